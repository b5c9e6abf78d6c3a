#include "theory/questions/judge.hpp"

#include "theory/questions/findings.hpp"
#include "theory/questions/holm.hpp"
#include "theory/questions/settled.hpp"

namespace hone::theory {

std::vector<Verdict> judge(const Table& all, const Thresholds& thresholds) {
  const SettledRows settled = settle(all);
  const Table& table = settled.table;
  std::vector<Verdict> verdicts{judge_damage_growth(table, thresholds), judge_sharpness_growth(table, thresholds),
                                judge_prediction(table, thresholds),    judge_directions(table, thresholds),
                                judge_cause(table, thresholds),         judge_composition(table, thresholds),
                                judge_forms(table, thresholds),         judge_precision(table, thresholds),
                                judge_ratio(table, thresholds),         judge_plateau(table, thresholds),
                                judge_injection(table, thresholds),     judge_training_composition(table, thresholds),
                                judge_few_bits(table, thresholds),      judge_architecture(table, thresholds),
                                judge_experts(table, thresholds)};
  for (Verdict& v : verdicts)
    add_finding(v, {"dropped.in_warmup", "checkpoints dropped: in the warm-up of the learning rate"},
                settled.checkpoints_in_warmup);
  correct_for_questions(verdicts);
  return verdicts;
}

}  // namespace hone::theory
