// Damage in cells of a design of weight, activation and KV widths: group /factorial.
#pragma once

#include <memory>

#include "experiments/instruments/instrument.hpp"

namespace hone::experiments {

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> factorial_instrument();

}  // namespace hone::experiments
