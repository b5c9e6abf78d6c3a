// Whether a calibration text is long enough for the methods that solve with the Gram matrix of a layer's inputs: gptq,
// guided, lnq.
#pragma once

#include <string>
#include <vector>

#include "experiments/instruments/scheme_table.hpp"

namespace hone::experiments {

/// Rows (calibration tokens) per input of a linear below which a Gram matrix is called short. For white inputs the
/// smallest eigenvalue of the Gram matrix of n rows of I inputs is (1 - √(I/n))² of the true one: 0 at n = I, where the
/// matrix is singular and only the damping makes it invertible, and 0.47 at n = 10 I. Below, GPTQ shifts rounding
/// errors into directions that the text happens not to fill, and other text does.
///   source  Marchenko and Pastur 1967
inline constexpr Index least_rows_per_input = 10;

/// The matrices of all entries that had too few calibration rows.
struct CalibrationShortage {
  int short_blocks = 0, singular_blocks = 0;  ///< below least_rows_per_input rows per input; fewer rows than inputs
  std::vector<std::string> schemes;           ///< that have any, each once
  std::string block;                          ///< with the fewest rows per input
  Index rows = 0, inputs = 0;                 ///< of that block
};
/// Blocks of one scheme count once, whatever the number of its widths.
CalibrationShortage calibration_shortage(const std::vector<SchemeEntry>& entries, const ParamLayout& layout);

/// One line for the user, "" when nothing is short. `option` names what to raise, as the command at hand calls it.
std::string calibration_warning(const CalibrationShortage& shortage, const SchemeInput& input,
                                const std::string& option);

}  // namespace hone::experiments
