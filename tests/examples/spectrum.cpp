// The largest eigenvalues of a transformer's Hessian with their error bounds, and its trace. README.md shows the part
// between the marks.
#include <cstdio>

#include "sim/curvature/linearization.hpp"
#include "sim/curvature/trace.hpp"
#include "sim/data/synthetic.hpp"
#include "sim/model/transformer.hpp"

int main() {
  // [README
  const hone::Transformer<double> model({.vocabulary = 64, .positions = 16, .layers = 1, .width = 16, .mlp_width = 32});
  const auto theta = model.initial_parameters(/*seed=*/1);
  const auto windows = hone::MarkovSource({.vocabulary = 64}).evaluation_windows(/*positions=*/16, /*count=*/8);

  hone::Linearization linear(model, theta.data(), windows, {});
  hone::Vector<double> v = linear.gradient(), product;
  linear.hessian_product(v, product);  // H v, exact to rounding
  const auto top = hone::extreme_eigenpairs(linear.hessian(), {.count_largest = 5});
  const auto trace = hone::hutchinson_trace(linear.hessian(), {.probes = 16}, &top);
  // README]

  std::printf("g'Hg/g'g %.3f; trace %.3f ± %.3f\n", v.dot(product) / v.squaredNorm(), trace.mean, trace.standard_error);
  const auto fine = hone::adaptive_trace(linear.hessian(), {.relative_half_width = 0.15}, &top);
  std::printf("trace to 15 %%: %.3f ± %.3f after %d probes\n", fine.estimate.mean, fine.half_width,
              static_cast<int>(fine.estimate.products));
  for (hone::Index i = 0; i < top.values.size(); ++i)
    std::printf("eigenvalue %.6f, error at most %.1e\n", top.values[i], top.error_bounds[i]);
  return hone::all_passed(top.certificates) && fine.stop == hone::TraceStop::target_met ? 0 : 1;
}
