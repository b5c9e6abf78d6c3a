#include "sim/perturb/injection.hpp"

#include <cmath>

#include "sim/curvature/linearization.hpp"
#include "sim/model/mlp.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone {
namespace {

/// Five large values, two below 0, a bulk between.
struct Case {
  Vector<double> spectrum = Vector<double>::LinSpaced(30, 0.1, 1);
  Basis h;
  Eigenpairs pairs;

  explicit Case(bool has_negative = true) {
    spectrum.tail(5) << 4, 5, 6, 7, 8;
    if (has_negative) spectrum.head(2) << -2, -1;
    h = test::matrix_with_spectrum(spectrum, 4);
    pairs = extreme_eigenpairs(test::operator_of(h),
                               {.count_largest = 5, .count_smallest = 3, .steps_max = 30, .tolerance = 1e-12});
  }
};

TEST_SUITE_BEGIN("injection");

TEST_CASE("injection: each space holds the directions of its name") {
  const Case c;
  const auto spaces = injection_spaces(c.pairs);
  std::vector<std::string> names;
  names.reserve(spaces.size());
  for (const InjectionSpace& s : spaces) names.emplace_back(s.name);
  CHECK(names == std::vector<std::string>{"top", "next", "random", "complement", "negative"});
  // The curvature of a unit vector lies within the eigenvalues of its space.
  const double low[] = {6, 4, -2, -2, -2}, high[] = {8, 5, 8, 1, -1};
  for (std::size_t s = 0; s < spaces.size(); ++s)
    for (const InjectedDirection& d :
         injected_directions(spaces[s], test::operator_of(c.h), {.draws = 20, .seed = 3})) {
      CAPTURE(names[s]);
      CHECK_NEAR(d.direction.norm(), 1, 1e-13, 0);
      CHECK_NEAR(d.curvature, d.direction.dot(c.h * d.direction), 1e-12, 1e-12);
      CHECK(d.curvature >= low[s] - 1e-9);
      CHECK(d.curvature <= high[s] + 1e-9);
    }
}

TEST_CASE("injection: every step has the second-order rise that was asked for, below 0 in the negative space") {
  const Case c;
  for (const InjectionSpace& space : injection_spaces(c.pairs))
    for (const InjectedDirection& d : injected_directions(space, test::operator_of(c.h), {.draws = 5, .seed = 3}))
      for (const double rise : {1e-4, 0.1}) {
        const Vector<double> e = d.step(rise);
        CHECK_NEAR(0.5 * e.dot(c.h * e), std::copysign(rise, d.curvature), 1e-10, 0);
        if (space.name == "negative") CHECK(d.curvature < 0);
        if (space.name == "top" || space.name == "next") CHECK(d.curvature > 0);
      }
}

TEST_CASE("injection: a spectrum without negative values, and one pair alone, leave spaces empty") {
  const Case c(false);
  const auto spaces = injection_spaces(c.pairs);
  CHECK(spaces[4].basis.cols() == 0);
  CHECK(injected_directions(spaces[4], test::operator_of(c.h), {}).empty());
  const Eigenpairs one =
      extreme_eigenpairs(test::operator_of(c.h), {.count_largest = 1, .steps_max = 30, .tolerance = 1e-12});
  CHECK(injection_spaces(one)[0].basis.cols() == 1);
  CHECK(injection_spaces(one)[1].basis.cols() == 0);
}

TEST_CASE("injection: on a quadratic loss noise of every space costs exactly the predicted rise") {
  const Mlp<double> model({{6, 3}, Activation::tanh, MlpLoss::squared_error, false});
  const VectorBatch data = test::random_vectors(40, 6, 3, 5);
  const Vector<double> theta = test::random_parameters(model.layout(), 6);
  Linearization<Mlp<double>> linear(model, theta.data(), data, {{16, 1}});
  const Eigenpairs pairs =
      extreme_eigenpairs(linear.hessian(), {.count_largest = 4, .steps_max = 18, .tolerance = 1e-12});
  Objective<Mlp<double>> objective(model, {16, 1});
  std::vector<Index> all;
  for (Index i = 0; i < theta.size(); ++i) all.push_back(i);
  const auto reference = objective.example_losses(theta.data(), data);
  for (const InjectionSpace& space : injection_spaces(pairs)) {
    std::vector<Vector<double>> steps;
    for (const InjectedDirection& d : injected_directions(space, linear.hessian(), {.draws = 3, .seed = 2}))
      steps.push_back(d.step(0.05));
    if (steps.empty()) continue;
    const NoiseRise r = antithetic_rise(objective, data, theta.data(), all, reference, steps);
    CAPTURE(space.name);
    CHECK_NEAR(r.delta_nats, 0.05, 1e-10, 0);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone
