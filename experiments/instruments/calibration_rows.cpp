#include "experiments/instruments/calibration_rows.hpp"

#include <cmath>
#include <set>
#include <utility>

namespace hone::experiments {

CalibrationShortage calibration_shortage(const std::vector<SchemeEntry>& entries, const ParamLayout& layout) {
  CalibrationShortage found;
  std::set<std::pair<std::string, std::string>> seen;  // scheme and block
  for (const SchemeEntry& entry : entries)
    for (const BlockReport& report : entry.blocks) {
      if (report.calibration_rows < 0 || !seen.emplace(entry.scheme, report.name).second) continue;
      const Index rows = report.calibration_rows, inputs = layout.at(report.name).cols;
      if (rows >= least_rows_per_input * inputs) continue;
      ++found.short_blocks;
      found.singular_blocks += rows < inputs;
      if (found.schemes.empty() || found.schemes.back() != entry.scheme) found.schemes.push_back(entry.scheme);
      if (found.block.empty() || rows * found.inputs < found.rows * inputs)
        found.block = report.name, found.rows = rows, found.inputs = inputs;
    }
  return found;
}

std::string calibration_warning(const CalibrationShortage& s, const SchemeInput& input, const std::string& option) {
  if (s.short_blocks == 0) return "";
  std::string text = fmt::format("calibration is short for {}: {} matrices have fewer than {} tokens per input",
                                 fmt::join(s.schemes, ", "), s.short_blocks, least_rows_per_input);
  if (s.singular_blocks > 0)
    text += fmt::format(", {} of them fewer tokens than inputs, so that the damping decides", s.singular_blocks);
  text += fmt::format(" (least: {}, {} tokens for {} inputs)", s.block, s.rows, s.inputs);
  if (s.rows == 0) return text + fmt::format("; raise {} above {}", option, input.calibration.sequences);
  const double factor = double(least_rows_per_input * s.inputs) / double(s.rows);
  return text + fmt::format("; raise {} from {} to {}", option, input.calibration.sequences,
                            std::int64_t(std::ceil(factor * double(input.calibration.sequences))));
}

}  // namespace hone::experiments
