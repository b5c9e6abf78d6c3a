#include "sim/record/field.hpp"

#include <doctest/doctest.h>

#include "sim/base/error.hpp"
#include "tests/support/messages.hpp"

TEST_SUITE_BEGIN("record");

namespace hone {
namespace {

constexpr Field<std::int64_t> bits{"g", "bits", {"bits"}, "bits", "widths"};
constexpr Field<double> rise{"g", "rise", {"checkpoint", "bits"}, "nats", "loss after minus before"};
constexpr Fact<std::string> outcome{"g", "outcome", "1", "how it ended"};
constexpr Fact<double> tokens{"options", "model.tokens", "tokens", "length"};

}  // namespace

TEST_CASE("field: what is set under a field is read under it, with its dims, unit and meaning in the data") {
  Dataset rows;
  set(rows, bits, {3, 4});
  set(rows, rise, {0.5, 0.25}, {1});
  CHECK(values_of(rows, bits) == std::vector<std::int64_t>{3, 4});
  CHECK(values_of(rows, rise) == std::vector{0.5, 0.25});
  const Variable& stored = rows.at("rise");
  CHECK(stored.dims == std::vector<std::string>{"checkpoint", "bits"});
  CHECK(stored.shape == std::vector<std::int64_t>{1, 2});
  CHECK(stored.unit == "nats");
  CHECK(stored.meaning == "loss after minus before");
}

TEST_CASE("field: values that do not fill the rows, or lengths of too few dims, are refused") {
  Dataset rows;
  CHECK_THROWS_AS(set(rows, rise, {1.0, 2.0, 3.0}, {2}), ContractError);
  CHECK_THROWS_AS(set(rows, rise, {1.0, 2.0}), ContractError);
  const std::string said = test::message_of<ContractError>([] {
    (void)variable_of(rise, std::vector{1.0, 2.0, 3.0}, {2});
  });
  CHECK_MESSAGE(test::mentions(said, "field /g/rise: 3 values do not fill 2 rows"), said);
  CHECK(rows.variables().empty());
}

TEST_CASE("field: an attribute of another type is named with its group") {
  Dataset rows;
  rows.set_attribute("outcome", 3.0);
  const std::string said = test::message_of<FormatError>([&] { (void)value_of(rows, outcome); });
  CHECK_MESSAGE(test::mentions(said, "attribute outcome of /g is not text"), said);
  set(rows, outcome, "complete");
  CHECK(value_of(rows, outcome) == "complete");
}

TEST_CASE("field: an option of a model names that of a branch by its section") {
  CHECK(in_section(tokens, "branch2") == "branch2.tokens");
}

}  // namespace hone
