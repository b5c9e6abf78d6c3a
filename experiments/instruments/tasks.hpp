// Rows of group /tasks: how well the tasks in the text are done before and after quantization.
#pragma once

#include <memory>

#include "experiments/instruments/instrument.hpp"

namespace hone::experiments {

/// On where the data of the model has tasks.
template <template <class> class Model>
std::unique_ptr<Instrument<Model>> task_instrument();

}  // namespace hone::experiments
