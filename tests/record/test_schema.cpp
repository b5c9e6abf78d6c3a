#include <doctest/doctest.h>
#include <fmt/format.h>

#include <set>

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"
#include "tests/support/messages.hpp"

TEST_SUITE_BEGIN("record");

namespace hone {

using test::message_of;

namespace {

/// A file with one row of /ptq at two widths.
RunFile two_widths() {
  RunFile file;
  file.origin = "run.h5";
  Dataset& ptq = file.groups[schema::ptq.group];
  set(ptq, schema::ptq.bits, {3, 4});
  set(ptq, schema::ptq.delta_nats, {0.5, 0.25}, {1});
  return file;
}

}  // namespace

TEST_CASE("schema: every field belongs to the group that lists it, has a name of its own, a unit and a meaning") {
  std::set<std::string> groups;
  for (const schema::GroupFacts& group : schema::all_groups()) {
    CHECK(groups.insert(group.name).second);
    CHECK(std::string(group.about).ends_with("."));
    std::set<std::string> names;
    for (const FieldFacts& field : group.fields) {
      CAPTURE(field.name);
      CHECK(std::string(field.group) == group.name);
      CHECK_MESSAGE(names.insert(field.name).second, group.name);
      CHECK(!std::string(field.unit).empty());
      CHECK(!std::string(field.meaning).empty());
      CHECK(field.is_attribute == (field.rank() == 0));
      CHECK((field.since >= 1 && field.since <= run_schema_version));
    }
  }
  CHECK(groups.size() == 22);
}

TEST_CASE("schema: a dimension named like a variable is its coordinate, in every group") {
  for (const schema::GroupFacts& group : schema::all_groups())
    for (const FieldFacts& field : group.fields)
      for (const FieldFacts& other : group.fields)
        for (const std::string& dim : field.dim_names())
          if (dim == other.name && !other.is_attribute) CHECK(other.dim_names() == std::vector{dim});
}

TEST_CASE("schema: a variable of another unit, dims or type, or of no field, marks a file of another version") {
  CHECK_NOTHROW(schema::expect_written_by_this_version(two_widths()));
  const Variable good = two_widths().group("ptq").at("delta_nats");
  const auto refused = [&](const std::string& name, const Variable& variable) {
    RunFile file = two_widths();
    file.groups["ptq"].set(name, variable);
    const std::string said = message_of<FormatError>([&] { schema::expect_written_by_this_version(file); });
    CHECK_MESSAGE(test::mentions(said, "run.h5: /ptq/" + name), said);
  };
  Variable other = good;
  other.unit = "bits";
  refused("delta_nats", other);
  other = good;
  other.meaning = "something else";
  refused("delta_nats", other);
  other = good;
  other.dims = {"checkpoint", "cell"};
  refused("delta_nats", other);
  other = good;
  other.values = std::vector<float>{1, 2};
  refused("delta_nats", other);
  refused("delta_nat", good);
}

TEST_CASE("schema: the tables list every field once, in the order of the members") {
  const std::string text = schema::as_markdown();
  size_t at = 0;
  for (const schema::GroupFacts& group : schema::all_groups()) {
    at = text.find(fmt::format("### /{}\n", group.name), at);
    REQUIRE(at != std::string::npos);
    for (const FieldFacts& field : group.fields) {
      at = text.find(fmt::format("\n| {}", field.name), at);
      REQUIRE_MESSAGE(at != std::string::npos, field.name);
    }
  }
  CHECK(text.find("| bits* | int64 | bits | bits |") != std::string::npos);
  CHECK(text.find("| delta_nats | float64 | checkpoint, bits | nats |") != std::string::npos);
}

}  // namespace hone
