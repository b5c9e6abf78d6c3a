// Rise of the loss under noise of given energy in chosen subspaces, and the share of the rounding error in the top one:
// group /noise.
#pragma once

#include <memory>

#include "experiments/instruments/instrument.hpp"

namespace hone::experiments {

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> noise_instrument();

}  // namespace hone::experiments
