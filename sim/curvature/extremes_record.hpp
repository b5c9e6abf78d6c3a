// A solve under way as a flat record, so that it survives the process: what is read back continues with the same bits.
#pragma once

#include "sim/curvature/extremes.hpp"
#include "sim/record/dataset.hpp"

namespace hone {

/// Everything that decides how the solve goes on.   cost  a copy of the used part of the bases
Dataset to_dataset(const ExtremesState& state);

/// The solve that was recorded.
/// ensures  advance() gives the bits that the recorded state would have given
/// errors   FormatError naming the missing variable, or the one whose size does not fit
ExtremesState extremes_state(const Dataset& record);

}  // namespace hone
