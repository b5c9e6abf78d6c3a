#include <doctest/doctest.h>
#include <fmt/format.h>

#include <rapidcheck.h>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/record/dataset.hpp"
#include "tests/record/example_run.hpp"
#include "tests/support/messages.hpp"

TEST_SUITE_BEGIN("record");

namespace hone {
namespace {

using test::mentions;
using test::message_of;

Variable column(const std::string& dim, std::vector<double> values) {
  return vector_variable(dim, std::move(values), "nats", "test");
}

}  // namespace

TEST_CASE("dataset: a variable must fill its shape -> ContractError with both sizes") {
  Dataset data;
  const auto message = message_of<ContractError>([&] {
    data.set("loss", matrix_variable({"a", "b"}, {2, 3}, std::vector<double>(5), "nats", "test"));
  });
  CHECK(mentions(message, "'loss' holds 5 values and its shape asks for 6"));
  CHECK(!data.has("loss"));
  CHECK_THROWS_AS(data.set("loss", Variable{}), ContractError);
  CHECK_THROWS_AS(data.set("loss", {{"a"}, {}, std::vector<double>{1}, "1", ""}), ContractError);
  CHECK_THROWS_AS(data.set("loss", {{"a"}, {-1}, std::vector<double>{}, "1", ""}), ContractError);
  const std::int64_t huge = std::int64_t{1} << 40;
  CHECK_THROWS_AS(data.set("loss", {{"a", "b"}, {huge, huge}, std::vector<double>{}, "1", ""}), ContractError);
}

TEST_CASE("dataset: a dimension has one length -> ContractError naming both variables") {
  Dataset data;
  data.set("loss", column("step", {1, 2}));
  const auto message = message_of<ContractError>([&] { data.set("lr", column("step", {1, 2, 3})); });
  CHECK(mentions(message, "dimension 'step' has length 3 in variable 'lr' and 2 in 'loss'"));
  data.set("loss", column("step", {1, 2, 3}));  // replacing the only holder may change the length
  CHECK(data.length("step") == 3);
  CHECK_THROWS_AS(data.set("x", {{"step", "step"}, {3, 3}, std::vector<double>(9), "1", ""}), ContractError);
}

TEST_CASE("dataset: a variable named like a dimension is its coordinate [either order]") {
  Dataset data;
  data.set("loss", column("step", {1, 2}));
  CHECK_THROWS_AS(data.set("step", scalar_variable(1.0, "1", "")), ContractError);
  CHECK_THROWS_AS(data.set("step", column("loss", {1, 2})), ContractError);
  CHECK_THROWS_AS(data.set("lr", column("loss", {1, 2})), ContractError);
  CHECK_THROWS_AS(data.set("k", {{"k", "m"}, {1, 1}, std::vector<double>(1), "1", ""}), ContractError);
  data.set("step", column("step", {10, 20}));
  CHECK(data.length("step") == 2);
}

TEST_CASE("dataset: names and texts that a file cannot hold -> ContractError") {
  Dataset data;
  for (const std::string& bad : {std::string(), std::string("a/b"), std::string("."), std::string("a\0b", 3)}) {
    CHECK_THROWS_AS(data.set(bad, scalar_variable(1.0, "1", "")), ContractError);
    CHECK_THROWS_AS(data.set("x", column(bad, {1})), ContractError);
    CHECK_THROWS_AS(data.set_attribute(bad, 1.0), ContractError);
  }
  const std::string nul("a\0b", 3);
  CHECK_THROWS_AS(data.set("x", scalar_variable(nul, "1", "")), ContractError);
  CHECK_THROWS_AS(data.set("x", scalar_variable(1.0, nul, "")), ContractError);
  CHECK_THROWS_AS(data.set("x", scalar_variable(1.0, "1", nul)), ContractError);
  CHECK_THROWS_AS(data.set_attribute("x", nul), ContractError);
}

TEST_CASE("dataset: a missing name -> FormatError that lists what there is") {
  Dataset data("run.h5: group /ptq");
  CHECK(message_of<FormatError>([&] { data.at("x"); }) == "run.h5: group /ptq has no variable 'x'; it has: none");
  data.set("mse", column("bits", {1}));
  data.set("delta", column("bits", {1}));
  data.set_attribute("grid", "int");
  CHECK(message_of<FormatError>([&] { data.doubles("delta_nats"); }) ==
        "run.h5: group /ptq has no variable 'delta_nats'; it has: delta, mse");
  CHECK(mentions(message_of<FormatError>([&] { data.length("step"); }), "no dimension 'step'; it has: bits"));
  CHECK(mentions(message_of<FormatError>([&] { data.attribute("g"); }), "no attribute 'g'; it has: grid"));
  CHECK(mentions(message_of<FormatError>([&] { data.strings("mse"); }), "'mse' holds float64, not strings"));
  CHECK_THROWS_AS(data.ints("mse"), FormatError);
  CHECK_THROWS_AS(data.floats("mse"), FormatError);
  CHECK(data.doubles("mse") == std::vector<double>{1});
}

TEST_CASE("dataset: equality is of bits [NaN, signed zero, type]") {
  const auto with = [](Values values) {
    Dataset data;
    data.set("x", vector_variable("i", std::move(values), "1", ""));
    return data;
  };
  CHECK(with(std::vector<double>{NAN}) == with(std::vector<double>{NAN}));
  CHECK(!(with(std::vector<double>{std::nan("1")}) == with(std::vector<double>{std::nan("2")})));
  CHECK(!(with(std::vector<double>{0.0}) == with(std::vector<double>{-0.0})));
  CHECK(!(with(std::vector<double>{1}) == with(std::vector<float>{1})));
  CHECK(!(with(std::vector<std::string>{"a"}) == with(std::vector<std::string>{"b"})));
  CHECK(same_bits(Attribute(NAN), Attribute(NAN)));
  CHECK(!same_bits(Attribute(1.0), Attribute(std::int64_t{1})));
  Dataset a = with(std::vector<double>{1}), b = a;
  b.set_attribute("k", 1.0);
  CHECK(!(a == b));
}

TEST_CASE("append: rows one by one give the whole table [random cuts]") {
  const bool is_whole = rc::check("rows one by one give the whole table", [] {
    const int rows = *rc::gen::inRange(1, 12), cols = *rc::gen::inRange(0, 4);
    const auto slice = [cols](int from, int to) {
      std::vector<double> table;
      std::vector<std::string> names;
      std::vector<std::int64_t> steps;
      for (int r = from; r < to; ++r) {
        steps.push_back(r);
        names.push_back(fmt::format("row {}", r));
        for (int c = 0; c < cols; ++c) table.push_back(r % 3 ? r * 10 + c : NAN);
      }
      Dataset part;
      part.set("table", matrix_variable({"row", "col"}, {to - from, cols}, table, "1", ""));
      part.set("name", vector_variable("row", names, "1", ""));
      part.set("row", vector_variable("row", steps, "1", ""));
      part.set("col", vector_variable("col", std::vector<double>(static_cast<std::size_t>(cols), 2), "1", ""));
      part.set_attribute("kind", "t");
      return part;
    };
    Dataset grown;
    for (int from = 0; from < rows;) {
      const int to = *rc::gen::inRange(from + 1, rows + 1);
      grown.append(slice(from, to), "row");
      from = to;
    }
    RC_ASSERT(grown == slice(0, rows));
  });
  CHECK(is_whole);
}

TEST_CASE("append: a row that does not fit -> FormatError, and nothing changes") {
  Dataset data("sum");
  data.set("loss", column("step", {1, 2}));
  data.set("grid", column("bits", {3, 4}));
  data.set_attribute("kind", "a");
  const Dataset before = data;
  const auto refuses = [&](const std::string& why, auto&& change) {
    Dataset row("row");
    row.set("loss", column("step", {3}));
    row.set("grid", column("bits", {3, 4}));
    change(row);
    const std::string message = message_of<FormatError>([&] { data.append(row, "step"); });
    CHECK_MESSAGE(mentions(message, why), message);
    CHECK(data == before);
  };
  refuses("'grid' lacks that dimension and differs", [](Dataset& r) { r.set("grid", column("bits", {3, 5})); });
  refuses("'mse' is new in the row", [](Dataset& r) { r.set("mse", column("step", {3})); });
  refuses("'kind' is an attribute with another value", [](Dataset& r) { r.set_attribute("kind", "b"); });
  refuses("'loss' differs in dims",
          [](Dataset& r) { r.set("loss", vector_variable("step", std::vector<float>{3}, "nats", "test")); });
  refuses("'loss' differs in dims",
          [](Dataset& r) { r.set("loss", vector_variable("step", std::vector<double>{3}, "bits", "test")); });
  refuses("'wide' has that dimension, but not first", [](Dataset& r) {
    r.set("wide", matrix_variable({"bits", "step"}, {2, 1}, std::vector<double>{1, 2}, "1", ""));
  });
  Dataset lacking("row");
  lacking.set("loss", column("step", {3}));
  CHECK(mentions(message_of<FormatError>([&] { data.append(lacking, "step"); }), "'grid' is missing in the row"));
  CHECK_THROWS_AS(data.append(lacking, "checkpoint"), ContractError);
  CHECK_THROWS_AS(data.append(data, "step"), ContractError);
  CHECK(data == before);
}

TEST_SUITE_END();

}  // namespace hone
