// Loss and damage on windows of other data: group /shift.
#pragma once

#include <memory>

#include "experiments/instruments/instrument.hpp"

namespace hone::experiments {

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> shift_instrument();

}  // namespace hone::experiments
