#include "experiments/instruments/error_bar.hpp"

#include <fmt/format.h>

#include "sim/base/mean.hpp"

namespace hone::experiments {

double error_bar(double standard_error, std::int64_t count) {
  return half_width(MeanEstimate{0, standard_error, int(count)}, printed_coverage);
}

std::string error_bar_note(std::int64_t count, const std::string& samples, const std::string& option) {
  std::string note = fmt::format("± half of the {:g} % t interval over {} {}", 100 * printed_coverage, count, samples);
  if (count < fewest_samples)
    note += fmt::format("; so few {} give no error bar that may be quoted, take {} {} or more", samples, option,
                        fewest_samples);
  return note + "\n";
}

}  // namespace hone::experiments
