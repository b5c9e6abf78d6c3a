#include "theory/questions/judge.hpp"

#include <algorithm>
#include <array>

#include "theory/questions/findings.hpp"
#include "theory/questions/holm.hpp"
#include "theory/questions/settled.hpp"

namespace hone::theory {
namespace {

constexpr auto table = std::to_array<Question>({{"Q1", judge_damage_growth}, {"Q2", judge_sharpness_growth},
                                                {"Q3", judge_prediction},    {"Q4", judge_directions},
                                                {"Q5", judge_cause},         {"Q6", judge_composition},
                                                {"Q7", judge_forms},         {"Q8", judge_precision},
                                                {"Q9", judge_ratio},         {"Q10", judge_plateau},
                                                {"Q11", judge_injection},    {"Q12", judge_training_composition},
                                                {"Q13", judge_schemes},      {"Q14", judge_scheme_exponents},
                                                {"Q15", judge_allocation},   {"Q16", judge_few_bits},
                                                {"Q17", judge_architecture}, {"Q18", judge_experts},
                                                {"Q19", judge_context},      {"Q20", judge_schedules},
                                                {"Q21", judge_tasks},        {"Q22", judge_tuning},
                                                {"Q23", judge_removed_bits}, {"Q24", judge_rounding},
                                                {"Q25", judge_sum_rule}});
static_assert(std::equal(table.begin(), table.end(), question_ids.begin(), question_ids.end(),
                         [](const Question& q, std::string_view id) { return q.id == id; }),
              "question_ids (verdict.hpp) lists the questions in the order of this table");

}  // namespace

std::span<const Question> questions() { return table; }

std::vector<Verdict> judge(const Table& all, const Thresholds& thresholds, const std::vector<std::string>& primary) {
  const SettledRows settled = settle(all);
  std::vector<Verdict> verdicts;
  for (const Question& q : questions()) {
    Verdict v = q.judge(settled.table, thresholds);
    v.is_primary = primary.empty() || std::find(primary.begin(), primary.end(), q.id) != primary.end();
    add_finding(v, {"dropped.in_warmup", "checkpoints dropped: in the warm-up of the learning rate"},
                settled.checkpoints_in_warmup);
    verdicts.push_back(std::move(v));
  }
  correct_for_questions(verdicts);
  return verdicts;
}

}  // namespace hone::theory
