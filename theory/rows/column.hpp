// One variable of a run file as numbers of any stored type. Internal to the rows.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/record/dataset.hpp"

namespace hone::theory {

/// A variable as doubles over leading dimensions; NaN everywhere where it is absent.
class Column {
 public:
  Column() = default;
  /// errors  FormatError naming the source and the variable when it has other dimensions or holds text
  Column(const Dataset& group, const std::string& name, const std::vector<std::string>& dims,
         const std::string& source) {
    if (!group.has(name)) return;
    const Variable& variable = group.at(name);
    if (variable.dims != dims)
      throw FormatError(fmt::format("{}: variable {} has dimensions ({}), expected ({}); run the study again", source,
                                    name, fmt::join(variable.dims, ", "), fmt::join(dims, ", ")));
    std::visit([&](const auto& values) { assign(values, name, source); }, variable.values);
    if (dims.size() > 1) stride_ = static_cast<std::size_t>(variable.shape[1]);
  }
  double at(std::size_t i) const { return values_.empty() ? unknown : values_[i]; }
  double at(std::size_t i, std::size_t j) const { return values_.empty() ? unknown : values_[i * stride_ + j]; }
  double at(std::size_t i, std::size_t j, std::size_t k, std::size_t depth) const {
    return values_.empty() ? unknown : values_[(i * stride_ + j) * depth + k];
  }
  bool is_present() const { return !values_.empty(); }

 private:
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

  template <class T>
  void assign(const std::vector<T>& values, const std::string& name, const std::string& source) {
    if constexpr (std::is_arithmetic_v<T>)
      values_.assign(values.begin(), values.end());
    else
      throw FormatError(fmt::format("{}: variable {} holds text, expected numbers; run the study again", source, name));
  }

  std::vector<double> values_;
  std::size_t stride_ = 1;
};

}  // namespace hone::theory
