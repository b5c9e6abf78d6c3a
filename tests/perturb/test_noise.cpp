#include "sim/perturb/noise.hpp"

#include "sim/base/mean.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/model/mlp.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone {
namespace {

constexpr Stream stream_of(std::uint32_t draw) { return {5, Domain::noise, draw}; }

Basis first_axes(Index n, Index k) { return Basis::Identity(n, n).leftCols(k); }

TEST_CASE("noise: every direction has norm 1 and lies where its name says") {
  const Basis top =
      Eigen::HouseholderQR<Basis>(test::matrix_with_spectrum(Vector<double>::LinSpaced(30, 1, 2), 1)).householderQ() *
      first_axes(30, 4);
  for (std::uint32_t draw = 0; draw < 20; ++draw) {
    for (Subspace s : all_subspaces) CHECK_NEAR(unit_noise(s, top, stream_of(draw)).norm(), 1, 1e-14, 0);
    const Vector<double> t = unit_noise(Subspace::top, top, stream_of(draw));
    const Vector<double> c = unit_noise(Subspace::complement, top, stream_of(draw));
    CHECK_NEAR((top.transpose() * t).norm(), 1, 1e-13, 0);
    CHECK((top.transpose() * c).norm() <= 1e-14);
  }
}

TEST_CASE("noise: the random subspace is one k-dimensional space per seed") {
  const Basis top = first_axes(40, 3);
  Basis draws(40, 12);
  for (std::uint32_t d = 0; d < 12; ++d) draws.col(d) = unit_noise(Subspace::random, top, stream_of(d));
  CHECK(Eigen::ColPivHouseholderQR<Basis>(draws).setThreshold(1e-10).rank() == 3);
  for (std::uint32_t d = 0; d < 12; ++d) draws.col(d) = unit_noise(Subspace::isotropic, top, stream_of(d));
  CHECK(Eigen::ColPivHouseholderQR<Basis>(draws).setThreshold(1e-10).rank() == 12);
}

TEST_CASE("noise: the mean of e'He/2 is the prediction within 5 standard errors [top, complement, isotropic]") {
  Vector<double> spectrum = Vector<double>::LinSpaced(25, 0.1, 1);
  spectrum.tail(3) << 5, 6, 8;
  const Basis h = test::matrix_with_spectrum(spectrum, 2);
  const Eigenpairs pairs =
      extreme_eigenpairs(test::operator_of(h), {.count_largest = 3, .steps_max = 25, .tolerance = 1e-12});
  for (Subspace s : {Subspace::top, Subspace::complement, Subspace::isotropic}) {
    std::vector<double> rises;
    for (std::uint32_t draw = 0; draw < 400; ++draw) {
      const Vector<double> e = std::sqrt(0.3) * unit_noise(s, pairs.vectors, stream_of(draw));
      rises.push_back(0.5 * e.dot(h * e));
    }
    const MeanEstimate mean = mean_with_error(rises);
    CAPTURE(name_of(s));
    CHECK_NEAR(mean.mean, predicted_rise(s, 0.3, pairs.values, spectrum.sum(), 25), 0, 5 * mean.standard_error);
  }
}

TEST_CASE("noise: the random subspace meets its prediction over seeds") {
  const Vector<double> spectrum = Vector<double>::LinSpaced(20, 0, 1);
  const Basis h = test::matrix_with_spectrum(spectrum, 3), top = first_axes(20, 2);
  std::vector<double> rises;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const Vector<double> e = unit_noise(Subspace::random, top, {seed, Domain::noise, 0});
    rises.push_back(0.5 * e.dot(h * e));
  }
  const MeanEstimate mean = mean_with_error(rises);
  CHECK_NEAR(mean.mean, predicted_rise(Subspace::random, 1, Vector<double>::Ones(2), spectrum.sum(), 20), 0,
             5 * mean.standard_error);
}

TEST_CASE("noise: the share of a random residual in k of n directions is sqrt(k/n) in the root mean square") {
  const Basis top = first_axes(50, 5);
  double squares = 0;
  for (std::uint32_t i = 0; i < 500; ++i) squares += std::pow(residual_share(top, test::normals(50, 100 + i)), 2);
  CHECK_NEAR(squares / 500, 0.1, 0, 5 * std::sqrt(2 * 0.1 * 0.9 / 52 / 500));
  CHECK(residual_share(top, Vector<double>::Unit(50, 2)) == 1);
  CHECK(residual_share(top, Vector<double>::Unit(50, 7)) == 0);
  CHECK(residual_share(top, Vector<double>::Zero(50)) == 0);
}

TEST_CASE("noise: on a quadratic loss the measured rise is e'He/2 exactly, odd orders cancelled") {
  const Mlp<double> model({{6, 3}, Activation::tanh, MlpLoss::squared_error, false});
  const VectorBatch data = test::random_vectors(40, 6, 3, 5);
  const Vector<double> theta = test::random_parameters(model.layout(), 6);
  Linearization<Mlp<double>> linear(model, theta.data(), data, {{16, 1}});
  const Eigenpairs pairs =
      extreme_eigenpairs(linear.hessian(), {.count_largest = 2, .steps_max = 18, .tolerance = 1e-12});
  Objective<Mlp<double>> objective(model, {16, 1});
  std::vector<Index> all;
  for (Index i = 0; i < theta.size(); ++i) all.push_back(i);
  const auto reference = objective.example_losses(theta.data(), data);
  const NoiseOptions options{.draws = 4, .seed = 5};
  for (Subspace s : all_subspaces) {
    const NoiseRise r = measure_noise(objective, data, theta.data(), all, reference, s, pairs.vectors, 0.7, options);
    double mean = 0;
    for (int draw = 0; draw < 4; ++draw) {
      const Vector<double> e =
          std::sqrt(0.7) * unit_noise(s, pairs.vectors, {5, Domain::noise, std::uint32_t(int(s) * 1000 + draw)});
      Vector<double> he;
      linear.hessian_product(e, he);
      mean += 0.5 * e.dot(he) / 4;
    }
    CHECK_NEAR(r.delta_nats, mean, 1e-11, 0);
    CHECK(r.standard_error_nats > 0);
  }
}

TEST_CASE("paired difference: mean and standard error by their formulas; one window has no error") {
  const MeanEstimate d = paired_difference({1.5, 2.5, 4.0}, {1.0, 2.0, 2.0});
  CHECK_NEAR(d.mean, 1.0, 1e-15, 0);
  CHECK_NEAR(d.standard_error, std::sqrt((0.25 + 0.25 + 1.0) / 2 / 3), 1e-14, 0);
  CHECK(std::isinf(paired_difference({1}, {0}).standard_error));
  CHECK_THROWS_AS(paired_difference({1, 2}, {0}), ContractError);
}

}  // namespace
}  // namespace hone
