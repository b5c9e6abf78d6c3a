// Held-out loss at full precision, and where in the run it was measured: group /checkpoints.
#pragma once

#include <memory>

#include "experiments/instruments/instrument.hpp"

namespace hone::experiments {

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> loss_instrument();

}  // namespace hone::experiments
