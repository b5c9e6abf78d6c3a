// Prints the verdicts of a verdicts.json, or judges the run files that are named, or without any a study whose answer is
// known: its damage is its prediction.
#include <cmath>
#include <cstdio>

#include "sim/base/atomic_file.hpp"
#include "theory/questions/judge.hpp"
#include "theory/solvable/synthetic_rows.hpp"

int main(int count, char** names) {
  using namespace hone::theory;
  Table table;
  std::vector<Verdict> verdicts;
  if (count == 2 && std::string_view(names[1]).ends_with(".json")) {
    verdicts = verdicts_from_json(hone::read_text(names[1]), names[1]);
  } else if (count > 1) {
    table = collect({names + 1, names + count});
  } else {
    table.ptq = planted_ptq(SyntheticGrid{}, PlantedLaw{});
    table.sharpness = planted_sharpness(SyntheticGrid{}, PlantedLaw{});
  }

  bool is_explained = false;
  if (verdicts.empty()) verdicts = judge(table, Thresholds{});
  for (const Verdict& v : verdicts) {
    const std::string outcome(outcome_name(v.outcome));
    std::printf("%s %-12s %6.3f (%.3f to %.3f)  %s\n", v.id.c_str(), outcome.c_str(), v.estimate, v.low, v.high,
                v.question.c_str());
    is_explained = is_explained || (v.id == "Q3" && v.outcome == Outcome::supported);
  }
  return is_explained || count > 1 ? 0 : 1;
}
