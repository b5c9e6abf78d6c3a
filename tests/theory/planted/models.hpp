// Worlds of models that differ in the bits of their training, in their architecture or in their experts. Internal to the
// tables of worlds.hpp.
#pragma once

#include "tests/theory/planted/judged.hpp"

namespace hone::theory {

/// Worlds of Q16, Q17 and Q18, three each.
std::vector<World> model_worlds();

}  // namespace hone::theory
