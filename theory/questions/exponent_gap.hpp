// Do families of rows share one exponent of tokens? Families differ in one thing, such as the scheme, the procedure of
// training or the architecture, and share everything else.
#pragma once

#include <string>
#include <vector>

#include "theory/questions/selection.hpp"

namespace hone::theory {

/// One positive number of one checkpoint.
struct FamilyRow {
  Subject subject;
  std::string family;
  double level = 0;  ///< rows of one family, size and level share a constant: the bits, where there are several
  double value = 0;
  double relative_se = 0;
};

/// The exponent of tokens of one family, and by how much it exceeds that of the reference.
struct FamilyExponent {
  std::string family;
  Interval exponent;
  Interval gap{NAN, NAN, NAN, 0};  ///< of the reference itself it stays NaN
  int cells = 0;
};

/// Exponents of ln value in ln D, within each family, size and level.
/// math    weighted least squares with one constant per (family, N, level) and one slope per family; the gap is the
///         difference of two slopes on the same trajectories, so that what a seed gives to both cancels
/// expects every value and D positive and finite; gaps_together is the number of gaps that are to hold together
/// ensures families in the order of their names; a family without the spread of a slope has NaN
/// cost    trajectories + 1 regressions
std::vector<FamilyExponent> exponents_by_family(const std::vector<FamilyRow>& rows, const std::string& reference,
                                                const Thresholds& thresholds, int gaps_together = 1);

}  // namespace hone::theory
