#include "sim/train/trainer.hpp"

namespace hone {

std::vector<std::int64_t> log_spaced_steps(std::int64_t first, std::int64_t last, int count) {
  EXPECTS(1 <= first && first <= last && count >= 1, "log-spaced steps: {} to {}, {} points", first, last, count);
  std::vector<std::int64_t> steps;
  for (int i = 0; i < count; ++i) {
    const double x = count == 1 ? 1 : double(i) / double(count - 1);
    const auto step = std::llround(double(first) * std::pow(double(last) / double(first), x));
    if (steps.empty() || step > steps.back()) steps.push_back(step);
  }
  return steps;
}

}  // namespace hone
