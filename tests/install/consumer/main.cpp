// A program outside the project: the trace of a small model's Hessian, exactly and by probes, and a law's prediction.
#include <cmath>
#include <cstdio>

#include "sim/curvature/linearization.hpp"
#include "sim/curvature/trace.hpp"
#include "sim/model/mlp.hpp"
#include "theory/laws/laws.hpp"

int main() {
  const hone::Mlp<double> model({{4, 3}, hone::Activation::tanh, hone::MlpLoss::squared_error, false});
  const auto theta = model.initial_parameters(1);
  const hone::VectorBatch data{2, 4, 3, {1, 2, 3, 4, 0, 1, 0, -1}, {}, {0, 1, 0, 1, 0, 1}};
  hone::Linearization<hone::Mlp<double>> linear(model, theta.data(), data, {});
  const auto trace = hone::weighted_traces(linear.hessian(), {hone::Vector<double>::Ones(12)}, {.probes = 200})[0];
  const double exact = 2.0 / (2 * 3) * 3 * (1 + 4 + 9 + 16 + 0 + 1 + 0 + 1);  // 2/(M·O) · O · Σ x²
  const double damage = hone::theory::predict(hone::theory::LawKind::ptq_exponential,
                                              hone::theory::kumar_ptq_parameters(), {30e6, 26e9, 3});
  std::printf("trace %.3f ± %.3f, exact %.3f; law %.3f nats\n", trace.mean, trace.standard_error, exact, damage);
  const bool is_right = std::abs(trace.mean - exact) <= 5 * trace.standard_error + 1e-9 && std::isfinite(damage);
  return is_right ? 0 : 1;
}
