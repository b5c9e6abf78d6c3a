// The judges: measured rows and thresholds in, verdicts out. Thresholds are fixed before the run. Each judge can give each
// outcome, accepts missing and broken rows, and lists in its verdict what it dropped and which controls are missing.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "theory/questions/q10_plateau.hpp"
#include "theory/questions/q11_injection.hpp"
#include "theory/questions/q12_training_composition.hpp"
#include "theory/questions/q13_schemes.hpp"
#include "theory/questions/q14_scheme_exponents.hpp"
#include "theory/questions/q15_allocation.hpp"
#include "theory/questions/q16_few_bits.hpp"
#include "theory/questions/q17_architecture.hpp"
#include "theory/questions/q18_experts.hpp"
#include "theory/questions/q19_context.hpp"
#include "theory/questions/q1_q2_growth.hpp"
#include "theory/questions/q20_schedules.hpp"
#include "theory/questions/q21_tasks.hpp"
#include "theory/questions/q22_tuning.hpp"
#include "theory/questions/q23_removed_bits.hpp"
#include "theory/questions/q24_rounding.hpp"
#include "theory/questions/q25_sum_rule.hpp"
#include "theory/questions/q3_prediction.hpp"
#include "theory/questions/q4_directions.hpp"
#include "theory/questions/q5_cause.hpp"
#include "theory/questions/q6_composition.hpp"
#include "theory/questions/q7_forms.hpp"
#include "theory/questions/q8_precision.hpp"
#include "theory/questions/q9_ratio.hpp"

namespace hone::theory {

/// A question and its judge, which alone keeps its own level.
struct Question {
  std::string_view id;
  Verdict (*judge)(const Table&, const Thresholds&);
};

/// All questions in their order.
std::span<const Question> questions();

/// All verdicts in order, over the rows past the warm-up, with Holm's correction for the number of the primary ones.
/// expects some of question_ids; none: all are primary
std::vector<Verdict> judge(const Table& table, const Thresholds& thresholds,
                           const std::vector<std::string>& primary = {});

}  // namespace hone::theory
