// Losses of several draws of a random rounding on the same windows, summed up as one change of the loss.
#pragma once

#include <vector>

#include "sim/base/mean.hpp"

namespace hone::experiments {

/// The mean over draws and windows of losses - reference.
/// math     se² = se² of the draws' mean over windows + se² of the windows' means over draws; what varies between windows
///          and draws at once counts in both, so that the error is never below the truth. One draw: the windows alone
/// shapes   losses: one list per draw, one value per window; reference: one value per window
/// expects  at least one draw
/// ensures  one draw: the bits of paired_difference
MeanEstimate change_over_draws(const std::vector<std::vector<double>>& losses, const std::vector<double>& reference);

}  // namespace hone::experiments
