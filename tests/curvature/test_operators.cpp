#include "sim/curvature/operators.hpp"

#include "sim/base/error.hpp"
#include "sim/curvature/blocks.hpp"
#include "sim/model/transformer.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone {
namespace {

using test::relative_error;

constexpr Index n = 9;

Basis symmetric(std::uint32_t number) {
  return test::matrix_with_spectrum(Vector<double>::LinSpaced(n, -1, 3), number);
}

Basis orthonormal(Index columns, std::uint32_t number) {
  const Vector<double> draws = test::normals(n * columns, number);
  const Basis g = Eigen::Map<const Basis>(draws.data(), n, columns);
  return Eigen::HouseholderQR<Basis>(g).householderQ() * Basis::Identity(n, columns);
}

/// Every adaptor once, with the matrix that it stands for.
std::vector<std::pair<LinearOperator, Basis>> adaptors() {
  const Basis a = symmetric(11), b = symmetric(12), u = orthonormal(3, 13), one = Basis::Identity(n, n);
  const Vector<double> d = test::normals(n, 14);
  const LinearOperator op = test::operator_of(a);
  const Basis p = one - u * u.transpose();
  const PositionList keep = {7, 0, 3};
  Basis block(3, 3);
  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 3; ++j) block(i, j) = a(keep[size_t(i)], keep[size_t(j)]);
  return {{restrict_to(op, keep), block},
          {scaled(op, d), d.asDiagonal() * a * d.asDiagonal()},
          {shifted(op, -0.7), a - 0.7 * one},
          {projected(op, u), p * a * p},
          {linear_combination({{2, op}, {-3, test::operator_of(b)}}), 2 * a - 3 * b},
          {shifted(scaled(restrict_to(op, keep), d.head(3)), 2),
           d.head(3).asDiagonal() * block * d.head(3).asDiagonal() + 2.0 * Basis::Identity(3, 3)}};
}

TEST_CASE("adaptors: each is the dense matrix of its formula [restrict, scale, shift, project, add, nested]") {
  for (const auto& [op, wanted] : adaptors()) {
    CAPTURE(wanted);
    CHECK(op.size == wanted.rows());
    CHECK(relative_error(test::dense(op), wanted) <= 1e-14);
  }
}

TEST_CASE("adaptors: a product of many columns has the bits of the single ones, none and one column included") {
  for (const auto& [op, wanted] : adaptors())
    for (Index k : {0, 1, 5}) {
      const Vector<double> draws = test::normals(op.size * k, 21);
      const Basis v = Eigen::Map<const Basis>(draws.data(), op.size, k);
      Basis many;
      multiply(op, v, many);
      REQUIRE(many.rows() == op.size);
      REQUIRE(many.cols() == k);
      Vector<double> one;
      for (Index j = 0; j < k; ++j) {
        op.apply(v.col(j), one);
        CHECK((many.col(j).array() == one.array()).all());
      }
    }
}

TEST_CASE("adaptors: projecting by eigenvectors takes their eigenvalues to 0 and leaves the others") {
  const Vector<double> spectrum = Vector<double>::LinSpaced(n, 1, 9);
  const Basis q = orthonormal(n, 31), a = q * spectrum.asDiagonal() * q.transpose();
  const Basis u = q.rightCols(2);
  const Basis left = test::dense(projected(test::operator_of(a), u));
  CHECK((left * u).norm() <= 1e-13);
  for (Index i = 0; i < n - 2; ++i) CHECK(relative_error(left * q.col(i), spectrum[i] * q.col(i)) <= 1e-13);
}

TEST_CASE("adaptors: wrong sizes are refused") {
  const LinearOperator op = test::operator_of(symmetric(11));
  Vector<double> result;
  Basis many;
  CHECK_THROWS_AS(restrict_to(op, {n}), ContractError);
  CHECK_THROWS_AS(restrict_to(op, {-1}), ContractError);
  CHECK_THROWS_AS(scaled(op, Vector<double>::Ones(n + 1)), ContractError);
  CHECK_THROWS_AS(projected(op, Basis::Zero(n - 1, 2)), ContractError);
  CHECK_THROWS_AS(linear_combination({}), ContractError);
  CHECK_THROWS_AS(linear_combination({{1, op}, {1, restrict_to(op, {0})}}), ContractError);
  CHECK_THROWS_AS(shifted(op, 1).apply(Vector<double>::Ones(n - 1), result), ContractError);
  CHECK_THROWS_AS(multiply(op, Basis::Zero(n - 1, 2), many), ContractError);
}

TEST_CASE("blocks: positions by pattern, by layer and by name are those of the layout") {
  TransformerOptions options = test::tiny_llama();
  const ParamLayout layout = options.layout();
  PositionList wanted;
  for (const char* name : {"layers.0.wq", "layers.1.wq"})
    for (Index i = 0; i < layout.at(name).size(); ++i) wanted.push_back(layout.at(name).offset + i);
  CHECK(matching_positions(layout, "layers.*.wq") == wanted);
  CHECK(Index(matching_positions(layout, "*").size()) == layout.size());
  const PositionList outside = layer_positions(layout, -1), first = layer_positions(layout, 0);
  CHECK(Index(outside.size() + first.size() + layer_positions(layout, 1).size()) == layout.size());
  CHECK(first.front() == layout.at("layers.0.attn_norm.weight").offset);
  PositionList joined;
  for (const PositionList& block : named_positions(layout)) joined.insert(joined.end(), block.begin(), block.end());
  for (Index i = 0; i < layout.size(); ++i) REQUIRE(joined[size_t(i)] == i);
  CHECK_THROWS_AS(layer_positions(layout, 2), OptionError);
  CHECK_THROWS_WITH_AS(matching_positions(layout, "layers.0.wz"),
                       "no parameter block fits 'layers.0.wz'; did you mean 'layers.0.wq'?", OptionError);
}

TEST_CASE("blocks: the products of all blocks at once have the bits of the restricted operators [11 blocks]") {
  const Basis a = test::matrix_with_spectrum(Vector<double>::LinSpaced(33, -1, 3), 41);
  const LinearOperator op = test::operator_of(a);
  std::vector<PositionList> blocks;
  std::vector<Vector<double>> vectors, results;
  for (Index b = 0; b < 11; ++b) {
    blocks.push_back({32 - b, b});
    if (b % 2) blocks.back().push_back(12);
    vectors.push_back(test::normals(Index(blocks.back().size()), 50 + std::uint32_t(b)));
  }
  block_products(op, blocks, vectors, results);
  REQUIRE(results.size() == blocks.size());
  for (size_t b = 0; b < blocks.size(); ++b) {
    Vector<double> one;
    restrict_to(op, blocks[b]).apply(vectors[b], one);
    REQUIRE(results[b].size() == one.size());
    CHECK((results[b].array() == one.array()).all());
  }
}

TEST_CASE("blocks: the block diagonal keeps what lies inside the blocks and nothing else") {
  const Basis a = symmetric(61);
  const std::vector<PositionList> blocks = {{0, 4}, {8, 1, 2}};
  Basis wanted = Basis::Zero(n, n);
  for (const PositionList& block : blocks)
    for (Index i : block)
      for (Index j : block) wanted(i, j) = a(i, j);
  const LinearOperator op = test::operator_of(a);
  CHECK(relative_error(test::dense(block_diagonal(op, blocks)), wanted) <= 1e-15);
  CHECK_THROWS_AS(block_diagonal(op, {{0, 1}, {1}}), ContractError);
  CHECK_THROWS_AS(block_diagonal(op, {{n}}), ContractError);
}

}  // namespace
}  // namespace hone
