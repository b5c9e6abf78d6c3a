// Rows of one checkpoint, which a run appends as it goes.
#pragma once

#include <type_traits>
#include <utility>
#include <vector>

#include "sim/record/schema.hpp"

namespace hone::experiments {

/// Sets a field over checkpoints to its values at one of them.
/// shapes  the values fill the last dim; `middle` holds the lengths of the dims between
template <class T>
void set_row(Dataset& group, const Field<T>& field, std::type_identity_t<std::vector<T>> values,
             std::vector<std::int64_t> middle = {}) {
  if (field.rank() > 1) middle.insert(middle.begin(), 1);
  set(group, field, std::move(values), middle);
}

}  // namespace hone::experiments
