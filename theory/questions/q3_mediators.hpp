// Single numbers that could stand between training and damage, compared by how well each predicts the damage of cells
// that its fit did not see.
#pragma once

#include <string>

#include "theory/questions/findings.hpp"

namespace hone::theory {

/// Held-out R² of each mediator with its interval, and of the prediction minus the best of the others.
/// math    ln delta = a_P + b ln m, a constant for each number of bits since only some mediators know of bits; fitted
///         without the cell it then predicts. R² = 1 - Σ w e²/Σ w e₀², e₀ the error of a_P alone. The prediction also
///         stands without any parameter
/// ensures the same rows for all mediators: those of p where each that was measured at all is positive; the intervals
///         resample the errors, not the fits; returns one sentence for the prose, empty when there was nothing to
///         compare
std::string add_mediators(Verdict& v, const Table& table, const PredictionRows& p, const Thresholds& thresholds);

}  // namespace hone::theory
