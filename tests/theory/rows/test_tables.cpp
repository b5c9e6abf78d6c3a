#include "theory/rows/tables.hpp"

#include <cstring>

#include "sim/base/error.hpp"
#include "sim/base/gzip.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/rows/csv.hpp"

using namespace hone;
using namespace hone::theory;
using hone::test::mentions;
using hone::test::message_of;

namespace {

Table every_kind() {
  Table table = planted({});
  table.factorial = factorial(0.1, 0.1).factorial;
  table.noise = noise_rows(1, 1, 0.1).noise;
  add_losses(table, {}, 0.1);
  ShiftRow shift;
  static_cast<Subject&>(shift) = table.ptq.front();
  shift.shifted_data = "essays, \"modern\"\nand more", shift.P = 4, shift.delta = 0.1;
  table.shift = {shift};
  SchemeRow scheme;
  static_cast<Subject&>(scheme) = table.ptq.front();
  scheme.scheme = "rotate+rtn", scheme.P = 3, scheme.delta = -1e-300;
  table.schemes = {scheme};
  table.ptq[0].delta = NAN;
  table.ptq[1].seed = std::int64_t(9007199254740993);  // not a double
  return table;
}

}  // namespace

TEST_SUITE("rows") {
  TEST_CASE("tables: files give back every row, and the same verdicts byte for byte, packed or not") {
    const Table table = every_kind();
    const auto texts = to_tables(table);
    CHECK(texts.size() == 7);
    for (const bool is_packed : {false, true}) {
      const test::TemporaryFolder folder;
      for (const auto& [name, text] : texts)
        folder.write(name + (is_packed ? ".csv.gz" : ".csv"), is_packed ? gzip(text) : text);
      const Table read = from_tables(folder.path());
      CHECK(to_tables(read) == texts);
      CHECK(to_json(judge(read, Thresholds{})) == to_json(judge(table, Thresholds{})));
      CHECK(read.ptq[1].seed == table.ptq[1].seed);
      CHECK(read.shift[0].shifted_data == table.shift[0].shifted_data);
    }
  }

  TEST_CASE("tables: a folder without tables, and a cell that is no number, are named") {
    const test::TemporaryFolder folder;
    CHECK_MESSAGE(mentions(message_of<IoError>([&] { (void)from_tables(folder.path()); }), "holds no table"), "");
    auto texts = to_tables(planted({}));
    std::string& damage = texts.at("damage");
    const size_t line = damage.find('\n') + 1, cell = damage.rfind(',', damage.find('\n', line));
    damage.replace(cell + 1, damage.find('\n', line) - cell - 1, "many");
    folder.write("damage.csv", damage);
    const std::string said = message_of<FormatError>([&] { (void)from_tables(folder.path()); });
    CHECK_MESSAGE(mentions(said, "damage.csv, line 2: mean_step2 = \"many\", expected a number"), said);
  }

  TEST_CASE("csv: quotes, line ends and empty cells of RFC 4180") {
    const Csv csv("a,b\r\n\"x, \"\"y\"\"\nz\",1.5\r\n,\n", "t.csv");
    REQUIRE(csv.rows() == 2);
    CHECK(csv.text(0, 0) == "x, \"y\"\nz");
    CHECK(csv.number(0, 1) == 1.5);
    CHECK(std::isnan(csv.number(1, 1)));
  }

  TEST_CASE("csv: what is wrong is named with its line") {
    const auto said = [](const char* text) {
      return message_of<FormatError>([&] { Csv("a,b\n" + std::string(text), "t.csv"); });
    };
    CHECK(mentions(said("1,2,3\n"), "t.csv, line 2: 3 cells, the first line names 2 columns"));
    CHECK(mentions(said("1,2\n\"x,2\n"), "t.csv, line 3: the quote is never closed"));
    CHECK(mentions(said("\"x\"y,2\n"), "t.csv, line 2: text after a closing quote"));
    CHECK(mentions(message_of<FormatError>([] { Csv("a,a\n", "t.csv"); }), "two columns are called \"a\""));
    CHECK(mentions(message_of<FormatError>([] { Csv("", "t.csv"); }), "is empty"));
    CHECK(mentions(message_of<FormatError>([] { (void)Csv("a\n1\n", "t.csv").column("b"); }),
                   "no column \"b\"; it has: a"));
  }

  TEST_CASE("gzip: texts come back, damaged ones are refused") {
    std::string text;
    for (int i = 0; i < 100000; ++i) text += fmt::format("{} ", i * i % 977);
    for (const std::string& t : {std::string(), std::string("x"), text}) CHECK(gunzip(gzip(t), "x.gz") == t);
    CHECK(gunzip(gzip("ab") + gzip("cd"), "x.gz") == "abcd");
    const std::string packed = gzip(text);
    CHECK(mentions(message_of<FormatError>([&] { (void)gunzip(packed.substr(0, packed.size() / 2), "x.gz"); }),
                   "x.gz: ends"));
    std::string spoiled = packed;
    spoiled[packed.size() / 2] ^= 1;
    CHECK(mentions(message_of<FormatError>([&] { (void)gunzip(spoiled, "x.gz"); }), "x.gz: not a sound gzip file"));
  }
}
