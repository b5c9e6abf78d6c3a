#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>

#include "sim/base/hash.hpp"
#include "tests/experiments/program.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("experiments");

namespace hone::test {

TEST_CASE("table: a row per run, checkpoint and bits, equal from judge and from table, with the hash of each file") {
  const Workplace& place = quick();
  REQUIRE(place.says("judge").code == 0);
  const std::string h5 = read_text(place.out() / "table.h5"), csv = read_text(place.out() / "table.csv");
  fs::remove(place.out() / "table.h5");
  fs::remove(place.out() / "table.csv");
  const Said said = place.says("table");
  REQUIRE_MESSAGE(said.code == 0, said.err);
  CHECK(mentions(said.out, "table.csv"));
  CHECK(read_text(place.out() / "table.h5") == h5);
  CHECK(read_text(place.out() / "table.csv") == csv);
  const RunFile file = read_run_file(place.out() / "table.h5");
  const Dataset& table = file.group("table");
  std::int64_t rows = 0;
  for (size_t i = 0; i < place.runs().size(); ++i)
    rows += place.read(i).group("ptq").length("checkpoint") * place.read(i).group("ptq").length("bits");
  CHECK(table.length("row") == rows);
  const auto& names = table.strings("file");
  const auto& hashes = table.strings("file_sha256");
  for (size_t i = 0; i < names.size(); i += 7) CHECK(hashes[i] == sha256_of_file(place.out() / names[i]));
}

TEST_CASE("table: pandas, xarray and numpy read it, and the columns are those of SCHEMA.md") {
  const Workplace& place = quick();
  REQUIRE(place.says("table").code == 0);
  const std::string command =
      fmt::format("'" HONE_TEST_PYTHON "' -B '{0}/tests/experiments/figures/read_table.py' '{0}' '{1}'",
                  HONE_SOURCE_DIR, place.out().string());
  CHECK(std::system(command.c_str()) == 0);
}

TEST_CASE("table: before run it names the command to run first, and a spoiled run file is named") {
  const Workplace place(tiny_text());
  const Said early = place.says("table");
  CHECK(early.code == 2);
  CHECK_MESSAGE(mentions(early.err, "hone run " + place.file()), early.err);
  REQUIRE(place.says("run", alone).code == 0);
  place.write("out/runs/" + place.finished(0).filename().string(), "spoiled");
  const Said said = place.says("table");
  CHECK(said.code == 1);
  CHECK_MESSAGE(mentions(said.err, place.finished(0).string()), said.err);
  CHECK(!fs::exists(place.out() / "table.csv"));
}

}  // namespace hone::test

TEST_SUITE_END();
