#include "theory/questions/scheme_selection.hpp"

namespace hone::theory {

bool is_scheme_of_weights(const SchemeRow& row) {
  return row.is_transformer() && row.is_of_weights() && is_main_trunk(row);
}

bool is_within_bits(const SchemeRow& row, const Thresholds& thresholds) {
  return row.P == 0 || (row.P >= thresholds.ptq_bits_min && row.P <= thresholds.ptq_bits_max);
}

double second_order(const SchemeRow& row) {
  return std::isfinite(row.quadratic_other) ? row.quadratic_other : row.quadratic;
}

double remainder(const SchemeRow& row) { return row.delta - row.gradient; }

double remainder_error(const SchemeRow& row) {
  return std::isfinite(row.remainder_se) ? row.remainder_se : row.delta_se;
}

}  // namespace hone::theory
