// Facts about estimators and symmetries that hold whatever the implementation: variances of probes, errors of
// differences, and what a scale symmetry of the loss makes of gradient and Hessian.
#include "sim/curvature/finite_difference.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/curvature/probe.hpp"
#include "sim/curvature/trace.hpp"
#include "tests/support/near.hpp"
#include "tests/support/spectrum.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone {
namespace {

TEST_CASE("Hutchinson: variance 2 sum_{i≠j} H_ij^2 with signs and 2 |H|_F^2 with normals [4000 probes, indefinite]") {
  const test::SpectralCase c(Vector<double>::LinSpaced(12, -1, 2), 31);
  constexpr int probes = 4000;
  const auto variance_of = [&](auto&& draw) {
    double sum = 0, squares = 0;
    for (std::uint32_t i = 0; i < probes; ++i) {
      const Vector<double> v = draw(1, ProbeUse::trace, i, 12);
      const double t = v.dot(c.a * v) - c.spectrum.sum();
      sum += t, squares += t * t;
    }
    CHECK_NEAR(sum / probes, 0, 0, 5 * std::sqrt(squares) / probes);
    return squares / probes;
  };
  const double all = c.a.squaredNorm(), diagonal = c.a.diagonal().squaredNorm();
  // A variance of 4000 draws is good to √(kurtosis/4000): 4 % for normals.
  CHECK_NEAR(variance_of(sign_probe), 2 * (all - diagonal), 0.15, 0);
  CHECK_NEAR(variance_of(normal_probe), 2 * all, 0.15, 0);
  const std::vector<TraceEstimate> signs = weighted_traces(c.op, {{0, 12}}, {.probes = probes});
  CHECK_NEAR(signs[0].standard_error, std::sqrt(2 * (all - diagonal) / probes), 0.08, 0);
}

TEST_CASE("differences of the gradient: error O(eps^2) above and O(u/eps) below, least near u^(1/3) [transformer]") {
  const Transformer<double> model(test::tiny_llama());
  const TokenBatch data = test::random_tokens(model.options(), 4, 1);
  const Vector<double> theta = test::random_parameters(model.layout(), 2), v = test::normals(theta.size(), 3);
  Linearization<Transformer<double>> linear(model, theta.data(), data, {});
  Vector<double> exact, plus, minus;
  linear.hessian_product(v, exact);
  const GradientFunction gradient = gradient_function(model, data, {});
  const auto error = [&](double eps) {
    gradient(theta + eps * v, plus), gradient(theta - eps * v, minus);
    return test::relative_error(Vector<double>((plus - minus) / (2 * eps)), exact);
  };
  for (const double eps : {5e-4, 2.5e-4}) CHECK_NEAR(error(eps) / error(eps / 2), 4, 0.02, 0);
  double best = 0, least = INFINITY;
  for (int doublings = 0; doublings < 27; ++doublings) {
    const double eps = std::ldexp(1e-10, doublings);
    if (const double e = error(eps); e < least) least = e, best = eps;
  }
  // Up to the third derivative along v, which is tens of units long.
  const double cube_root = std::cbrt(2.2e-16);
  CHECK(best > cube_root / 100);
  CHECK(best < cube_root * 30);
  CHECK(error(best / 1000) > 100 * least);
  CHECK(error(best * 1000) > 100 * least);
}

/// A Llama-style model whose norms have no eps: everything that writes the residual stream may be scaled by c at once.
struct ScaleCase {
  TransformerOptions options;
  Transformer<double> model;
  TokenBatch data;
  Vector<double> theta;

  ScaleCase() : options(with_bare_norms()), model(options) {
    data = test::random_tokens(options, 4, 1);
    theta = test::random_parameters(model.layout(), 2);
  }
  static TransformerOptions with_bare_norms() {
    TransformerOptions o = test::tiny_llama();
    o.norm_eps = 1e-30;
    return o;
  }
  /// v with the parameters of other blocks set to 0.
  Vector<double> writers(Vector<double> v) const {
    for (const ParamBlock& b : model.layout().blocks())
      if (b.role != Role::embedding && !b.name.ends_with(".wo") && !b.name.ends_with(".w_down"))
        v.segment(b.offset, b.size()).setZero();
    return v;
  }
};

TEST_CASE("scale symmetry f(cw) = f(w): w'g = 0, H w = -g, H(cw) = H(w)/c^2 [embedding, wo and w_down together]") {
  const ScaleCase s;
  const Vector<double> w = s.writers(s.theta), others = s.theta - w;
  REQUIRE(w.squaredNorm() > 1);
  REQUIRE(others.squaredNorm() > 1);
  Linearization<Transformer<double>> at(s.model, s.theta.data(), s.data, {});
  const Vector<double> g = s.writers(at.gradient());
  REQUIRE(g.norm() > 1e-3);
  CHECK(std::abs(w.dot(g)) <= 1e-13 * w.norm() * g.norm());
  Vector<double> product;
  at.hessian_product(w, product);
  CHECK((product + g).norm() <= 1e-12 * g.norm());  // and nothing on the other parameters
  for (const double c : {0.25, 3.0}) {
    const Vector<double> moved = others + c * w;
    Linearization<Transformer<double>> there(s.model, moved.data(), s.data, {});
    CHECK_NEAR(there.loss_nats(), at.loss_nats(), 1e-13, 0);
    CHECK(test::relative_error(s.writers(there.gradient()), Vector<double>(g / c)) <= 1e-12);
    for (std::uint32_t draw = 0; draw < 3; ++draw) {
      const Vector<double> v = s.writers(test::normals(s.theta.size(), 10 + draw));
      Vector<double> here, scaled;
      at.hessian_product(v, here), there.hessian_product(v, scaled);
      CHECK(test::relative_error(s.writers(scaled), Vector<double>(s.writers(here) / (c * c))) <= 1e-11);
    }
  }
}

}  // namespace
}  // namespace hone
