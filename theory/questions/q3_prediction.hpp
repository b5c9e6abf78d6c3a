// Q3: does sharpness explain the damage?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q3: does the zero-parameter prediction explain the damage?
/// math    slope of ln delta on ln predicted over the main trunk; split of d ln delta/d ln D within (N, P) into
///         weighted trace, step², alignment = ln quadratic - ln predicted and higher order = ln
///         delta - ln quadratic, which add up exactly; delta is the damage less its first-order term g'e, measured on
///         the same windows and near 0 over many roundings; held-out R² of single mediators (q3_mediators.hpp)
/// ensures supported when the slope's interval is inside 1 ± q3_tolerance, refuted when disjoint
///         from it
Verdict judge_prediction(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
