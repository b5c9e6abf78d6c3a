// Oracle values of tests/golden: JSON files, and their arrays as matrices and vectors.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/base/atomic_file.hpp"
#include "sim/base/matrix.hpp"

namespace hone::test {

/// tests/golden/NAME.
/// expects  HONE_GOLDEN is defined, as hone_test does
inline nlohmann::json load_golden(const std::string& name) {
  return nlohmann::json::parse(read_text(std::string(HONE_GOLDEN "/") + name));
}
inline nlohmann::json load_quant(const std::string& name) { return load_golden("quant/" + name); }

/// A list of rows of equal length.
inline Matrix<double> matrix_of(const nlohmann::json& rows) {
  Matrix<double> m(static_cast<Index>(rows.size()), static_cast<Index>(rows[0].size()));
  for (Index r = 0; r < m.rows(); ++r)
    for (Index c = 0; c < m.cols(); ++c) m(r, c) = rows[static_cast<size_t>(r)][static_cast<size_t>(c)].get<double>();
  return m;
}

/// Appends all numbers of a nested list, in order.
inline void flatten(const nlohmann::json& value, std::vector<double>& out) {
  if (!value.is_array()) return out.push_back(value.get<double>());
  for (const nlohmann::json& item : value) flatten(item, out);
}

/// All of them as one vector.
inline Vector<double> vector_of(const nlohmann::json& value) {
  std::vector<double> flat;
  flatten(value, flat);
  return ConstVecView<double>(flat.data(), static_cast<Index>(flat.size()));
}

}  // namespace hone::test
