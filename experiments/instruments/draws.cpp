#include "experiments/instruments/draws.hpp"

#include <cmath>

#include "sim/base/error.hpp"

namespace hone::experiments {

MeanEstimate change_over_draws(const std::vector<std::vector<double>>& losses, const std::vector<double>& reference) {
  EXPECTS(!losses.empty(), "change of the loss over {} draws", losses.size());
  if (losses.size() == 1) return paired_difference(losses.front(), reference);
  std::vector<double> by_draw, by_window(reference.size(), 0.0);
  for (const std::vector<double>& draw : losses) {
    by_draw.push_back(paired_difference(draw, reference).mean);
    for (size_t w = 0; w < by_window.size(); ++w) by_window[w] += draw[w] / double(losses.size());
  }
  MeanEstimate change = paired_difference(by_window, reference);
  change.standard_error = std::hypot(change.standard_error, mean_with_error(by_draw).standard_error);
  return change;
}

}  // namespace hone::experiments
