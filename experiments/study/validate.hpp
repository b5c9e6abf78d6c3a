// Checks of a whole study before any training starts.
#pragma once

#include "experiments/study/study.hpp"

namespace hone::experiments {

/// errors  OptionError listing every field that does not fit another (models without data, heads, …), each with its line
void validate(const Study& study);

}  // namespace hone::experiments
