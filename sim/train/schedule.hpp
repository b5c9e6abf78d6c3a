// Learning rates as pure functions of the step.
#pragma once

#include <cstdint>
#include <string_view>

namespace hone {

enum class Decay {
  constant,   ///< no decay: the stable phase of WSD
  cosine,     ///< ½(1+cos πx) from the end of warmup to the horizon
  linear,     ///< 1-x over the last cooldown_steps
  one_sqrt,   ///< 1-√x over the last cooldown_steps (Hägele et al. 2024)
  two_stage,  ///< 1-x from the end of warmup to the horizon, and times stage_ratio in the second half of all updates
              ///< (Ma et al. 2024, training tips for BitNet b1.58)
};

/// lr(step) = peak · warmup · decay. A WSD run is `linear` or `one_sqrt` with cooldown_steps < horizon_steps.
struct Schedule {
  double peak = 3e-3;
  std::int64_t warmup_steps = 50;   ///< lr = peak·(step+1)/warmup_steps before it
  std::int64_t horizon_steps = 0;   ///< total updates
  std::int64_t cooldown_steps = 0;  ///< last updates of linear and one_sqrt
  Decay decay = Decay::constant;
  double final_ratio = 0;        ///< lr at the horizon over peak; with two_stage times stage_ratio
  double stage_ratio = 2.0 / 3;  ///< of two_stage: the peak of the second half over that of the first

  /// Learning rate of update number `step` = 0, 1, …; beyond the horizon it stays at the final value.
  double operator()(std::int64_t step) const;
  /// errors  OptionError listing every wrong field
  void validate() const;
};

std::string_view name_of(Decay decay);
/// errors  OptionError naming the nearest known name
Decay decay_from_name(std::string_view name);

/// The schedule of a branch that leaves the trunk after `step` updates and decays to the trunk's final ratio within
/// `cooldown_steps`, starting from the trunk's own rate there.
Schedule cooldown_branch(const Schedule& trunk, std::int64_t step, std::int64_t cooldown_steps, Decay shape);

}  // namespace hone
