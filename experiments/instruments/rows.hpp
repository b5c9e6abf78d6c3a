// Builders of record variables whose first dimension is the checkpoint, one row long; rows are appended as a run goes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/record/dataset.hpp"

namespace hone::experiments {

/// One number at one checkpoint.
inline Variable row(Values value, std::string unit, std::string meaning) {
  return vector_variable("checkpoint", std::move(value), std::move(unit), std::move(meaning));
}

/// A list over `dim` at one checkpoint.
inline Variable row(std::string dim, std::vector<double> values, std::string unit, std::string meaning) {
  const auto length = std::int64_t(values.size());
  return matrix_variable({"checkpoint", std::move(dim)}, {1, length}, std::move(values), std::move(unit),
                         std::move(meaning));
}

/// A table over two dims at one checkpoint.
inline Variable row(std::vector<std::string> dims, std::vector<std::int64_t> shape, std::vector<double> values,
                    std::string unit, std::string meaning) {
  dims.insert(dims.begin(), "checkpoint");
  shape.insert(shape.begin(), 1);
  return Variable{std::move(dims), std::move(shape), std::move(values), std::move(unit), std::move(meaning)};
}

}  // namespace hone::experiments
