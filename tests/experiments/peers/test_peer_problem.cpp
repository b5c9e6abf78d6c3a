// The file in which the comparison with other libraries hands its problem to hone, written here byte by byte.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "experiments/peers/problem.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace hone::experiments {
namespace {

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

const std::string mlp_header = R"({"model": {"kind": "mlp", "widths": [2, 3]}, "examples": 2, "chunk_rows": 64})";
const std::vector<double> theta = {1, 2, 3, 4, 5, 6, 7, 8, 9}, direction = {9, 8, 7, 6, 5, 4, 3, 2, 1};

std::string mlp_file() {
  return mlp_header + "\n" + raw(theta) + raw(direction) + raw<double>({0.5, 1, 1.5, 2}) + raw<std::int32_t>({2, 0});
}

PeerProblem read_back(const std::string& content) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "problem.bin";
  write_text_atomically(file, content);
  return read_problem(file);
}

std::string refusal_of(const std::string& content) {
  return test::message_of<FormatError>([&] { read_back(content); });
}

TEST_SUITE_BEGIN("peers");

TEST_CASE("problem file: an MLP's point, direction, inputs and classes come back") {
  const PeerProblem problem = read_back(mlp_file());
  CHECK(std::get<MlpOptions>(problem.model).widths == std::vector<Index>{2, 3});
  CHECK(problem.theta == theta);
  CHECK(problem.direction == direction);
  CHECK(problem.vectors.examples == 2);
  CHECK(problem.vectors.outputs == 3);
  CHECK(problem.vectors.x == std::vector<double>{0.5, 1, 1.5, 2});
  CHECK(problem.vectors.labels == std::vector<std::int32_t>{2, 0});
  CHECK(problem.chunk_rows == 64);
}

TEST_CASE("problem file: a transformer's shape and windows come back") {
  TransformerOptions options{.vocabulary = 5, .positions = 3, .layers = 1, .width = 4, .heads = 2, .kv_heads = 2};
  options.mlp_width = 6;
  const std::vector<double> point(size_t(options.layout().size()), 0.25);
  const std::vector<std::uint16_t> tokens = {0, 1, 2, 3, 4, 3, 2, 1};
  const PeerProblem problem = read_back(
      R"({"model": {"kind": "transformer", "vocabulary": 5, "positions": 3, "layers": 1, "width": 4, "heads": 2,)"
      R"( "mlp_width": 6}, "examples": 2, "chunk_rows": 256})"
      "\n" +
      raw(point) + raw(point) + raw(tokens));
  const auto& read = std::get<TransformerOptions>(problem.model);
  CHECK(read.kv_heads == 2);
  CHECK(read.layout().size() == options.layout().size());
  CHECK(problem.tokens.sequences == 2);
  CHECK(problem.tokens.positions == 3);
  CHECK(problem.tokens.tokens == tokens);
}

TEST_CASE("problem file: one cut anywhere, one with a byte too many and one with a bad header are refused") {
  const std::string whole = mlp_file();
  for (size_t size : {size_t(0), size_t(7), mlp_header.size()})
    CHECK(refusal_of(whole.substr(0, size)).find("no header line") != std::string::npos);
  for (size_t size : {mlp_header.size() + 3, mlp_header.size() + 70, whole.size() - 1}) {
    CAPTURE(size);
    CHECK(refusal_of(whole.substr(0, size)).find("bytes left") != std::string::npos);
  }
  CHECK(refusal_of(whole + "x").find("1 bytes too many") != std::string::npos);
  CHECK_THROWS_AS(read_back("{}\n"), FormatError);
  CHECK_THROWS_AS(read_back("[1\n"), FormatError);
}

TEST_CASE("problem file: a count of examples below 1 or beyond the bytes of the file is named and refused") {
  for (const std::string examples : {"-1", "0", "4611686018427387904"}) {
    CAPTURE(examples);
    std::string file = mlp_file();
    file.replace(file.find("\"examples\": 2"), 13, "\"examples\": " + examples);
    CHECK(refusal_of(file).find("examples = " + examples) != std::string::npos);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::experiments
