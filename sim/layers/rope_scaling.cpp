#include "sim/layers/rope_scaling.hpp"

#include <cmath>
#include <numbers>

#include "sim/base/error.hpp"

namespace hone {

void RopeScaling::validate() const {
  if (rule == RopeScalingRule::none) return;
  const auto demand = [](bool good, const char* field, double value, const char* expected) {
    if (!good) throw OptionError(fmt::format("rope_scaling: {} = {} (expected {})", field, value, expected));
  };
  demand(std::isfinite(original_positions) && original_positions >= 1, "original_max_position_embeddings",
         original_positions, "at least 1");
  demand(std::isfinite(factor) && factor > 0, "factor", factor, "a number above 0");
  if (rule != RopeScalingRule::llama3) return;
  demand(std::isfinite(low_freq_factor) && low_freq_factor > 0, "low_freq_factor", low_freq_factor, "a number above 0");
  demand(std::isfinite(high_freq_factor) && high_freq_factor > low_freq_factor, "high_freq_factor", high_freq_factor,
         "a number above low_freq_factor");
}

double rope_frequency(double base, Index rotary, Index i, const RopeScaling& scaling) {
  const double plain = std::pow(base, -2.0 * double(i) / double(rotary));
  if (scaling.rule == RopeScalingRule::none || scaling.rule == RopeScalingRule::dynamic) return plain;
  const double slow = plain / scaling.factor;
  if (scaling.rule == RopeScalingRule::linear) return slow;
  const double turns = scaling.original_positions * plain / (2 * std::numbers::pi);
  if (turns < scaling.low_freq_factor) return slow;
  if (turns > scaling.high_freq_factor) return plain;
  const double share = (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return (1 - share) * slow + share * plain;
}

}  // namespace hone
