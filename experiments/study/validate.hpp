// Checks of a whole study before any training starts.
#pragma once

#include "experiments/study/study.hpp"

namespace hone::experiments {

/// errors  OptionError listing every field that does not fit another (models without data, heads, …), each with its line
void validate(const Study& study);

/// What the files of its series say: every checkpoint is there and fits the others, and series that read the same data
/// have one tokenizer. Nothing is done where there is no series.
/// errors  OptionError naming model, field, value and fix; those of series_of
void validate_series(const std::vector<RunSpec>& runs);

}  // namespace hone::experiments
