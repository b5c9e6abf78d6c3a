// Damage of each expert of a mixture rounded alone, with the tokens that reach it: group /experts.
#pragma once

#include <memory>

#include "experiments/instruments/instrument.hpp"

namespace hone::experiments {

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> expert_damage_instrument();

}  // namespace hone::experiments
