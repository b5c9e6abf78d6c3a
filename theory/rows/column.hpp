// One field of a run file as numbers of any stored type. Internal to the rows.
#pragma once

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"

namespace hone::theory {

/// The group; null where the run did not measure it.
inline const Dataset* group_of(const RunFile& run, const std::string& name) {
  const auto found = run.groups.find(name);
  return found == run.groups.end() ? nullptr : &found->second;
}

/// Where an entry stands along each dimension of a field.
using Place = std::array<std::size_t, 3>;

/// A field as doubles; NaN everywhere where the run lacks it.
class Column {
 public:
  Column() = default;
  /// errors  FormatError naming the source, the group and the field when it has other dimensions or holds text
  Column(const RunFile& run, const FieldFacts& field, const std::string& source) {
    const Dataset* group = group_of(run, field.group);
    if (!group || !group->has(field.name)) return;
    const Variable& variable = group->at(field.name);
    if (variable.dims != field.dim_names())
      throw FormatError(fmt::format("{}: /{}: variable {} has dimensions ({}), expected ({}); run the study again",
                                    source, field.group, field.name, fmt::join(variable.dims, ", "),
                                    fmt::join(field.dim_names(), ", ")));
    std::visit([&](const auto& values) { assign(values, field, source); }, variable.values);
    for (std::size_t i = 1; i < variable.shape.size(); ++i) lengths_[i] = static_cast<std::size_t>(variable.shape[i]);
  }

  double at(const Place& place) const {
    return values_.empty() ? std::numeric_limits<double>::quiet_NaN()
                           : values_[(place[0] * lengths_[1] + place[1]) * lengths_[2] + place[2]];
  }
  double at(std::size_t i, std::size_t j = 0) const { return at(Place{i, j, 0}); }
  bool is_present() const { return !values_.empty(); }

 private:
  template <class T>
  void assign(const std::vector<T>& values, const FieldFacts& field, const std::string& source) {
    if constexpr (std::is_arithmetic_v<T>)
      values_.assign(values.begin(), values.end());
    else
      throw FormatError(fmt::format("{}: /{}: variable {} holds text, expected numbers; run the study again", source,
                                    field.group, field.name));
  }

  std::vector<double> values_;
  Place lengths_{1, 1, 1};  ///< of the dimensions; 1 beyond the last
};

}  // namespace hone::theory
