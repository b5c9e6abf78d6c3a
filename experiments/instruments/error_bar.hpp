// The ± that commands print: half of the 95 % t interval, over probes, windows or draws.
#pragma once

#include <cstdint>
#include <string>

namespace hone::experiments {

/// What stands after ±: half of the 95 % t interval of a mean of `count` samples; 0 for an exact number.
double error_bar(double standard_error, std::int64_t count);

/// The line that explains it below a table: "± half of the 95 % t interval over 16 probes", and below fewest_samples
/// that it is no error bar, with the option that gives more.
std::string error_bar_note(std::int64_t count, const std::string& samples, const std::string& option);

}  // namespace hone::experiments
