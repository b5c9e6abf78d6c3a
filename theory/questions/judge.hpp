// The judges: measured rows and thresholds in, verdicts out. Thresholds are fixed before the run. Each judge can give each
// outcome, accepts missing and broken rows, and lists in its verdict what it dropped and which controls are missing.
#pragma once

#include <vector>

#include "theory/questions/q10_plateau.hpp"
#include "theory/questions/q11_injection.hpp"
#include "theory/questions/q12_training_composition.hpp"
#include "theory/questions/q16_few_bits.hpp"
#include "theory/questions/q17_architecture.hpp"
#include "theory/questions/q18_experts.hpp"
#include "theory/questions/q1_q2_growth.hpp"
#include "theory/questions/q3_prediction.hpp"
#include "theory/questions/q4_directions.hpp"
#include "theory/questions/q5_cause.hpp"
#include "theory/questions/q6_composition.hpp"
#include "theory/questions/q7_forms.hpp"
#include "theory/questions/q8_precision.hpp"
#include "theory/questions/q9_ratio.hpp"

namespace hone::theory {

/// All verdicts in order, over the rows past the warm-up, with Holm's correction for their number. A judge alone keeps its
/// own level.
std::vector<Verdict> judge(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
