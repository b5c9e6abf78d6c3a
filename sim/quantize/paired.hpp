// Paired comparison of two precisions on the same fixed windows.
#pragma once

#include <vector>

namespace hone {

/// Mean of the per-window differences and its standard error over windows.
struct PairedDifference {
  double mean_nats = 0;            ///< mean of (changed - reference), nats per token
  double standard_error_nats = 0;  ///< sd/√windows; +inf for one window
  int windows = 0;
};

/// math     d_w = changed_w - reference_w;  mean d, √(Σ(d-mean)²/(W-1)/W)
/// expects  equal sizes, at least one window
PairedDifference paired_difference(const std::vector<double>& changed, const std::vector<double>& reference);

/// Half of the two-sided t interval over windows.
double half_width(const PairedDifference& difference, double coverage);

}  // namespace hone
