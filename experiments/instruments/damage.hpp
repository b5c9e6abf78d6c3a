// Damage of rounding weights at every width, to nearest or by draws, beside its predictions: group /ptq.
#pragma once

#include <memory>

#include "experiments/instruments/instrument.hpp"

namespace hone::experiments {

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> damage_instrument();

}  // namespace hone::experiments
