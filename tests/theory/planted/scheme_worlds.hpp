// Planted worlds of the questions on schemes of quantization.
#pragma once

#include <vector>

#include "tests/theory/planted/judged.hpp"

namespace hone::theory {

/// Worlds of Q13 to Q15, with eight seeds: the intervals of all schemes hold together, which three seeds cannot narrow.
std::vector<World> scheme_worlds();

}  // namespace hone::theory
