#include "theory/rows/csv.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/messages.hpp"

using namespace hone;
using namespace hone::theory;
using hone::test::mentions;
using hone::test::message_of;

TEST_SUITE("rows") {
  TEST_CASE("csv: quotes, line ends and empty cells of RFC 4180") {
    const Csv csv("a,b\r\n\"x, \"\"y\"\"\nz\",1.5\r\n,\n", "t.csv");
    REQUIRE(csv.rows() == 2);
    CHECK(csv.text(0, 0) == "x, \"y\"\nz");
    CHECK(csv.number(0, 1) == 1.5);
    CHECK(std::isnan(csv.number(1, 1)));
    CHECK(Csv("\xef\xbb\xbf"
              "a\n1\n",
              "t.csv")
              .has("a"));  // as spreadsheets begin a file
  }

  TEST_CASE("csv: what is wrong is named with its line") {
    const auto said = [](const char* text) {
      return message_of<FormatError>([&] { Csv("a,b\n" + std::string(text), "t.csv"); });
    };
    CHECK(mentions(said("1,2,3\n"), "t.csv, line 2: 3 cells, the first line names 2 columns"));
    CHECK(mentions(said("1,2\n\"x,2\n"), "t.csv, line 3: the quote is never closed"));
    CHECK(mentions(said("\"x\ny\",2\n1,2,3\n"), "t.csv, line 4: 3 cells"));  // a cell of two lines
    CHECK(mentions(said("\"x\"y,2\n"), "t.csv, line 2: text after a closing quote"));
    CHECK(mentions(message_of<FormatError>([] { Csv("a,a\n", "t.csv"); }), "two columns are called \"a\""));
    CHECK(mentions(message_of<FormatError>([] { Csv("", "t.csv"); }), "is empty"));
    CHECK(mentions(message_of<FormatError>([] { (void)Csv("a\n1\n", "t.csv").column("b"); }),
                   "no column \"b\"; it has: a"));
    CHECK(mentions(message_of<FormatError>([] { (void)Csv("a\n1.5x\n", "t.csv").number(0, 0); }), "expected a number"));
    CHECK(mentions(message_of<FormatError>([] { (void)Csv("a\n1.5\n", "t.csv").integer(0, 0); }), "an integer"));
  }
}
