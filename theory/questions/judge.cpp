#include "theory/questions/judge.hpp"

namespace hone::theory {

std::vector<Verdict> judge(const Table& table, const Thresholds& thresholds) {
  return {judge_damage_growth(table, thresholds), judge_sharpness_growth(table, thresholds),
          judge_prediction(table, thresholds),    judge_directions(table, thresholds),
          judge_cause(table, thresholds),         judge_composition(table, thresholds),
          judge_forms(table, thresholds),         judge_precision(table, thresholds)};
}

}  // namespace hone::theory
