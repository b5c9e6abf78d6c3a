// Curvature in parts: the trace and the largest eigenvalue of each block of a transformer's Hessian, and what the
// largest eigenvalue of the whole owes to couplings between blocks and to the terms that Gauss-Newton leaves out.
#include <algorithm>
#include <cstdio>

#include "sim/curvature/blocks.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/curvature/trace.hpp"
#include "sim/data/synthetic.hpp"
#include "sim/model/transformer.hpp"

int main() {
  const hone::Transformer<double> model({.vocabulary = 64, .positions = 16, .layers = 2, .width = 16, .mlp_width = 32});
  const auto theta = model.initial_parameters(/*seed=*/1);
  const auto windows = hone::MarkovSource({.vocabulary = 64}).evaluation_windows(/*positions=*/16, /*count=*/8);
  hone::Linearization linear(model, theta.data(), windows, {});
  const hone::LinearOperator hessian = linear.hessian();
  const hone::ParamLayout& layout = model.layout();
  const auto top = [](const hone::LinearOperator& op) {
    return hone::extreme_eigenpairs(op, {.count_largest = 1}).values[0];
  };

  const std::vector<hone::PositionList> blocks = hone::named_positions(layout);
  hone::Segments segments{std::vector<int>(static_cast<size_t>(linear.size())), static_cast<int>(blocks.size())};
  for (size_t b = 0; b < blocks.size(); ++b)
    for (const hone::Index i : blocks[b]) segments.ids[static_cast<size_t>(i)] = static_cast<int>(b);
  const auto traces = hone::segment_traces(hessian, segments, {}, {.probes = 32});  // all from the same 32 products
  const hone::DiagonalEstimate diagonal = hone::diagonal_estimate(hessian, {.probes = 32});
  const double whole = top(hessian);
  bool is_inside = true;
  for (size_t b = 0; b < blocks.size(); ++b) {
    const double own = top(hone::restrict_to(hessian, blocks[b]));
    const double largest = diagonal.mean(blocks[b]).maxCoeff();
    std::printf("%-20s trace %8.4f ± %.4f, largest eigenvalue %.4f, largest H_ii about %.4f\n",
                layout.blocks()[b].name.c_str(), traces[b].mean, traces[b].standard_error, own, largest);
    is_inside = is_inside && own <= whole * (1 + 1e-9);  // eigenvalues of a principal block interlace
  }
  std::printf("largest eigenvalue %.4f; without couplings between blocks %.4f; of H - G %.4f\n", whole,
              top(hone::block_diagonal(hessian, blocks)),
              top(hone::linear_combination({{1, hessian}, {-1, linear.ggn()}})));
  std::printf("layer 0 alone %.4f, attention of all layers %.4f\n",
              top(hone::restrict_to(hessian, hone::layer_positions(layout, 0))),
              top(hone::restrict_to(hessian, hone::matching_positions(layout, "layers.*.w[qkvo]"))));
  return is_inside ? 0 : 1;
}
