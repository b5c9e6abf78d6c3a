#include "sim/train/schedule.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "sim/base/error.hpp"

namespace hone {
namespace {
constexpr std::array<std::string_view, 5> decay_names = {"constant", "cosine", "linear", "one_sqrt", "two_stage"};
}

std::string_view name_of(Decay decay) { return decay_names[static_cast<size_t>(decay)]; }

Decay decay_from_name(std::string_view name) {
  for (size_t i = 0; i < decay_names.size(); ++i)
    if (decay_names[i] == name) return static_cast<Decay>(i);
  throw OptionError(fmt::format("schedule = \"{}\" is unknown; did you mean \"{}\"? (known: {})", name,
                                nearest_name(name, decay_names), fmt::join(decay_names, ", ")));
}

double Schedule::operator()(std::int64_t step) const {
  if (step < warmup_steps) return peak * double(step + 1) / double(warmup_steps);
  const bool is_full_length = decay == Decay::cosine || decay == Decay::two_stage;
  const std::int64_t begin = is_full_length ? warmup_steps : horizon_steps - cooldown_steps;
  if (decay == Decay::constant || step < begin) return peak;
  const double length = std::max(1.0, double(horizon_steps - begin));
  const double x = std::min(1.0, double(step - begin + 1) / length);
  double shape = 1 - x;
  if (decay == Decay::cosine) shape = 0.5 * (1 + std::cos(std::numbers::pi * x));
  if (decay == Decay::one_sqrt) shape = 1 - std::sqrt(x);
  const double stage = decay == Decay::two_stage && step >= horizon_steps / 2 ? stage_ratio : 1;
  return peak * stage * (final_ratio + (1 - final_ratio) * shape);
}

void Schedule::validate() const {
  std::vector<std::string> wrong;
  if (!(peak > 0 && peak < 1e3)) wrong.push_back(fmt::format("lr = {} (expected above 0)", peak));
  if (warmup_steps < 0) wrong.push_back(fmt::format("warmup_steps = {} (expected at least 0)", warmup_steps));
  if (horizon_steps < 1) wrong.push_back(fmt::format("horizon = {} updates (expected at least 1)", horizon_steps));
  if (cooldown_steps < 0 || cooldown_steps > horizon_steps)
    wrong.push_back(fmt::format("cooldown_steps = {} (expected 0 to {})", cooldown_steps, horizon_steps));
  if (!(stage_ratio > 0 && stage_ratio <= 1))
    wrong.push_back(fmt::format("stage_ratio = {} (expected above 0, at most 1)", stage_ratio));
  if (!(final_ratio >= 0 && final_ratio <= 1))
    wrong.push_back(fmt::format("final_ratio = {} (expected in [0, 1])", final_ratio));
  if (!wrong.empty()) throw OptionError(fmt::format("schedule: {}", fmt::join(wrong, "; ")));
}

Schedule cooldown_branch(const Schedule& trunk, std::int64_t step, std::int64_t cooldown_steps, Decay shape) {
  Schedule branch = trunk;
  branch.peak = trunk(step);
  branch.warmup_steps = 0;
  branch.horizon_steps = step + cooldown_steps;
  branch.cooldown_steps = cooldown_steps;
  branch.decay = shape;
  return branch;
}

}  // namespace hone
