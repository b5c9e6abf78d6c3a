#include "sim/layers/hadamard.hpp"

#include <rapidcheck.h>

#include <set>

#include "tests/support/json_values.hpp"
#include "tests/support/layer_harness.hpp"

namespace hone::test {
namespace {

/// All supported sizes up to `top`.
std::vector<Index> sizes_to(Index top) {
  std::vector<Index> sizes;
  for (Index n = 1; n <= top; ++n)
    if (has_hadamard(n)) sizes.push_back(n);
  return sizes;
}

/// hadamard_rotate of every row of x.
Matrix<double> turned(Matrix<double> x, Index size, Index channels, Turn turn) {
  const HadamardTable<double> table(size);
  hadamard_rotate<double>(MatView<double>(x.data(), x.rows(), x.cols()), table, channels, turn);
  return x;
}

Matrix<double> random_matrix(Index rows, Index cols, std::uint32_t number) {
  const Vector<double> draws = normals(rows * cols, number);
  return ConstMatView<double>(draws.data(), rows, cols);
}

/// in = x (rows, size·channels).
struct HadamardLayer {
  Index rows, size, channels;

  Index output_count() const { return rows * size * channels; }
  std::vector<InputPart> parts() const { return {{output_count(), Write::assign}}; }
  template <class S>
  void turned_copy(const S* in, S* out, Turn turn) const {
    std::copy_n(in, output_count(), out);
    hadamard_rotate<S>(MatView<S>(out, rows, size * channels), HadamardTable<S>(size), channels, turn);
  }
  template <class S>
  void forward(const S* in, S* out) const {
    turned_copy(in, out, Turn::forward);
  }
  template <class S>
  void backward(const S*, const S* dout, S* din) const {
    turned_copy(dout, din, Turn::inverse);
  }
  void tforward(const double*, const double* tin, double* tout) const { turned_copy(tin, tout, Turn::forward); }
  void tbackward(const double*, const double*, const double*, const double* tdout, double* tdin) const {
    turned_copy(tdout, tdin, Turn::inverse);
  }
  /// (H ⊗ I) x from the stored entries.
  Vector<double> naive(const Vector<double>& in) const {
    const Matrix<double> h = hadamard_signs(size) / std::sqrt(double(size));
    Vector<double> out = Vector<double>::Zero(in.size());
    for (Index m = 0; m < rows; ++m)
      for (Index i = 0; i < size; ++i)
        for (Index j = 0; j < size; ++j)
          for (Index c = 0; c < channels; ++c)
            out[(m * size + i) * channels + c] += h(i, j) * in[(m * size + j) * channels + c];
    return out;
  }
};

TEST_SUITE_BEGIN("layers");

TEST_CASE("hadamard: matrices equal the stored ones sign by sign [8, 12, 20, 28]") {
  const nlohmann::json stored = load_quant("hadamard_rotation.json");
  CHECK(hadamard_signs(8) == matrix_of(stored["sylvester_unnormalised_n8"]));
  CHECK(hadamard_signs(12) == matrix_of(stored["had12"]));
  CHECK(hadamard_signs(20) == matrix_of(stored["had20"]));
  CHECK(hadamard_signs(28) == matrix_of(stored["had28"]));
}

TEST_CASE("hadamard: the transform of the identity equals the stored one sign by sign [24, 40, 56]") {
  const nlohmann::json stored = load_quant("hadamard_rotation.json");
  for (Index n : {24, 40, 56}) {
    CAPTURE(n);
    const Matrix<double> eye = turned(Matrix<double>::Identity(n, n), n, 1, Turn::forward);
    CHECK(eye.array().sign().matrix() == matrix_of(stored[fmt::format("matmul_hadU_eye_sign_n{}", n)]));
    CHECK((eye.array().abs() - 1 / std::sqrt(double(n))).abs().maxCoeff() <= 1e-15);
  }
}

TEST_CASE("hadamard: H H' = n I exactly, with entries ±1 [every size to 320]") {
  const std::vector<Index> sizes = sizes_to(320);
  CHECK(std::set<Index>(sizes.begin(), sizes.end()).contains(288));
  CHECK(sizes.size() == 9 + 5 + 5 + 4 + 4);
  for (Index n : sizes) {
    CAPTURE(n);
    const Matrix<double> h = hadamard_signs(n);
    CHECK((h.array().abs() == 1).all());
    CHECK(h * h.transpose() == double(n) * Matrix<double>::Identity(n, n));
    if (hadamard_factors(n).base == 1) CHECK(h == h.transpose());
  }
}

TEST_CASE("hadamard: the four passes are those of H ⊗ I, on duals too") {
  for (const HadamardLayer layer : {HadamardLayer{3, 1, 2}, HadamardLayer{2, 8, 1}, HadamardLayer{2, 4, 3},
                                    HadamardLayer{2, 12, 1}, HadamardLayer{1, 24, 5}, HadamardLayer{1, 40, 2}}) {
    CAPTURE(layer.size);
    const std::uint32_t number = 10 + std::uint32_t(layer.size);
    check_layer(layer, normals(input_count(layer), number), Shape::flat, number + 1);
  }
}

TEST_CASE("hadamard: the transpose undoes it and norms stay [random sizes, channels]") {
  const std::vector<Index> sizes = sizes_to(160);
  CHECK(rc::check([&] {
    const Index n = *rc::gen::elementOf(sizes), channels = *rc::gen::inRange<Index>(1, 5);
    const Matrix<double> x = random_matrix(3, 2 * n * channels, *rc::gen::arbitrary<std::uint32_t>());
    const Matrix<double> y = turned(x, n, channels, Turn::forward);
    RC_ASSERT(relative_error(turned(y, n, channels, Turn::inverse), x) <= 1e-14);
    RC_ASSERT(near(y.norm(), x.norm(), 1e-14));
  }));
}

TEST_CASE("hadamard: across heads and within heads together are the full transform [4 heads of 8]") {
  const Matrix<double> x = random_matrix(3, 32, 1);
  const Matrix<double> both = turned(turned(x, 8, 1, Turn::forward), 4, 8, Turn::forward);
  CHECK(relative_error(both, turned(x, 32, 1, Turn::forward)) <= 1e-14);
}

TEST_CASE("hadamard: float agrees with double to rounding") {
  const Matrix<double> x = random_matrix(4, 224, 2);
  Matrix<float> single = x.cast<float>();
  hadamard_rotate<float>(MatView<float>(single.data(), 4, 224), HadamardTable<float>(224), 1, Turn::forward);
  CHECK(relative_error(single.cast<double>().eval(), turned(x, 224, 1, Turn::forward)) <= 1e-6);
}

TEST_CASE("hadamard: random matrices are orthogonal, seeded, and differ between seeds") {
  for (const auto& draw : {random_sign_hadamard, random_orthogonal}) {
    const Matrix<double> q = draw(24, Stream{1, Domain::rotation, 0});
    CHECK((q.transpose() * q - Matrix<double>::Identity(24, 24)).norm() <= 1e-13);
    CHECK(q == draw(24, Stream{1, Domain::rotation, 0}));
    CHECK(q != draw(24, Stream{2, Domain::rotation, 0}));
    CHECK(q != draw(24, Stream{1, Domain::rotation, 1}));
  }
  CHECK(random_orthogonal(7, Stream{}).rows() == 7);
}

TEST_CASE("hadamard: a corner of random orthogonal matrices has mean 0 and variance 1/n [100 seeds]") {
  // The factor of a plain Householder QR has a corner of one sign: a mean of 8 deviations.
  constexpr Index n = 12, seeds = 100;
  double sum = 0, sum2 = 0;
  for (Index seed = 0; seed < seeds; ++seed) {
    const double corner = random_orthogonal(n, Stream{std::uint64_t(seed), Domain::rotation, 0})(0, 0);
    sum += corner, sum2 += corner * corner;
  }
  CHECK_NEAR(sum / seeds, 0, 0, 4 / std::sqrt(double(n * seeds)));
  CHECK_NEAR(sum2 / seeds, 1 / double(n), 4 * std::sqrt(2.0 / seeds), 0);
}

TEST_CASE("hadamard: a size without matrix -> OptionError naming it and the nearest sizes") {
  CHECK_THROWS_WITH_AS(hadamard_factors(18),
                       "no Hadamard matrix of size 18 (nearest sizes: 16 and 20); take one of these sizes or a random "
                       "orthogonal matrix",
                       OptionError);
  CHECK_THROWS_AS(HadamardTable<float>(0), OptionError);
  CHECK_THROWS_AS(random_sign_hadamard(3, Stream{}), OptionError);
  CHECK(nearest_hadamard_sizes(3) == "2 and 4");
  CHECK(nearest_hadamard_sizes(0) == "1");
  Matrix<double> x = Matrix<double>::Zero(3, 5);
  CHECK_THROWS_AS(turned(x, 2, 2, Turn::forward), ContractError);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
