// Rows of group /injection: noise of equal predicted rise in five parts of the spectrum.
#pragma once

#include <memory>

#include "experiments/instruments/instrument.hpp"

namespace hone::experiments {

/// On where noise.equal_rises lists any.
template <template <class> class Model>
std::unique_ptr<Instrument<Model>> injection_instrument();

}  // namespace hone::experiments
