#include <doctest/doctest.h>
#include <fmt/format.h>

#include "experiments/commands/schema.hpp"
#include "experiments/study/reader.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/record/schema.hpp"
#include "tests/experiments/program.hpp"

TEST_SUITE_BEGIN("studies");

namespace hone::test {

TEST_CASE("schema: SCHEMA.md and schema.json of the figures are what the program prints") {
  const std::string source = HONE_SOURCE_DIR, text = experiments::schema_markdown();
  const std::string table = "## The table of a study\n\n";
  const size_t split = text.find(table);
  REQUIRE(split != std::string::npos);
  const std::string documented = read_text(source + "/sim/record/SCHEMA.md");
  CHECK_MESSAGE(documented.find(text.substr(0, split)) != std::string::npos, "run .ci/renew_schema");
  CHECK_MESSAGE(documented.ends_with(text.substr(split + table.size())), "run .ci/renew_schema");
  CHECK_MESSAGE(read_text(source + "/experiments/figures/schema.json") == experiments::schema_json(),
                "run .ci/renew_schema");
  CHECK(hone_says({"schema"}).out == text);
  CHECK(hone_says({"schema", "--json"}).out == experiments::schema_json());
}

TEST_CASE("schema: a run writes no group and no variable that the schema lacks") {
  const Workplace& place = quick();
  for (size_t i = 0; i < place.runs().size(); ++i) {
    const RunFile file = place.read(i);
    CHECK_NOTHROW(schema::expect_written_by_this_version(file));
    for (const auto& [name, group] : file.groups) {
      const auto all = schema::all_groups();
      CHECK_MESSAGE(std::any_of(all.begin(), all.end(), [&](const auto& known) { return known.name == name; }), name);
    }
    for (const FieldFacts& fact : schema::fields_of(schema::manifest)) {
      const bool is_of_a_checkpoint = fact.name == std::string("checkpoint") || fact.name == std::string("format") ||
                                      fact.name == std::string("tokenizer");
      const bool is_of_a_registration = fact.name == std::string("registration_sha256");
      CHECK_MESSAGE(
          file.group("manifest").attributes().contains(fact.name) == !(is_of_a_checkpoint || is_of_a_registration),
          fact.name);
    }
  }
}

TEST_CASE("schema: every option that readers look at is an option of a run") {
  for (const experiments::RunSpec& run : quick().runs()) {
    const auto options = run.options();
    for (const FieldFacts& fact : schema::fields_of(schema::options)) {
      REQUIRE_MESSAGE(options.contains(fact.name), fact.name);
      CHECK_MESSAGE((fact.type == FieldFacts::Type::text) == std::holds_alternative<std::string>(options.at(fact.name)),
                    fact.name);
    }
  }
}

}  // namespace hone::test
