// Frequencies of rotary positions for a context longer than the one trained on first: pair i of rd/2 turns by t·f_i at
// position t. Plain frequencies are f_i = base^(-2i/rd); a scaling changes them, the same for every position.
//   source  linear: Chen et al. 2023 (position interpolation); llama3: Llama 3.1, Grattafiori et al. 2024
#pragma once

#include "sim/base/matrix.hpp"

namespace hone {

enum class RopeScalingRule { none, linear, llama3, dynamic };

/// linear divides every frequency by `factor`. llama3 asks how many full turns a pair makes within
/// `original_positions` tokens, r_i = original_positions·f_i/2π: it divides by `factor` below low_freq_factor turns,
/// leaves f_i above high_freq_factor turns, and between them takes the mean of both with weights linear in r_i.
/// dynamic leaves every frequency up to `original_positions` tokens; beyond them its angles depend on the length of the
/// whole text, which a cache of turned keys cannot follow, so that longer texts are refused (model/decoder.hpp).
struct RopeScaling {
  RopeScalingRule rule = RopeScalingRule::none;
  double factor = 1;
  double low_freq_factor = 1, high_freq_factor = 4;  ///< llama3 only
  double original_positions = 8192;                  ///< llama3, dynamic: context trained on first, in tokens

  bool operator==(const RopeScaling&) const = default;
  /// errors  OptionError naming the field, its value and what is expected
  void validate() const;
};

/// f_i in radians per token, for pair `i` of a head of which `rotary` channels turn.
/// expects  0 <= i < rotary/2, base > 1, scaling.validate() passes
double rope_frequency(double base, Index rotary, Index i, const RopeScaling& scaling = {});

}  // namespace hone
