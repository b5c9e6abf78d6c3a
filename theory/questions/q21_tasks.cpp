#include "theory/questions/q21_tasks.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"
#include "theory/rows/curve.hpp"

namespace hone::theory {
namespace {

/// Scores of one task that have a peer.
struct Scores {
  std::vector<TaskRow> rows;
  std::vector<double> shortfall, lost, said;  ///< accuracy lost, and lost by what the loss says
};

struct Dropouts {
  int not_finite = 0, without_peer = 0, too_low = 0;
};

bool is_judged(const TaskRow& r) { return r.is_transformer() && is_main_trunk(r) && r.is_full_precision(); }

std::map<std::string, Scores> scores_of(const Table& table, const Thresholds& thresholds, Dropouts& dropped) {
  // Lower losses lie to the right, as more training does.
  std::map<std::pair<std::string, std::string>, Curve> curves;
  for (const TaskRow& r : table.tasks)
    if (is_judged(r) && std::isfinite(r.loss) && std::isfinite(r.accuracy))
      curves[{r.run, r.task}].add(-r.loss, r.accuracy);
  std::map<std::string, Scores> found;
  for (const TaskRow& r : table.tasks) {
    if (!is_judged(r) || r.P < thresholds.ptq_bits_min || r.P > thresholds.ptq_bits_max) continue;
    if (!std::isfinite(r.loss + r.delta) || !std::isfinite(r.accuracy + r.accuracy_delta)) {
      ++dropped.not_finite;
      continue;
    }
    if (r.accuracy < thresholds.q21_accuracy_min) {
      ++dropped.too_low;
      continue;
    }
    const double peer = curves.at({r.run, r.task}).at(-(r.loss + r.delta));
    if (!std::isfinite(peer)) {
      ++dropped.without_peer;
      continue;
    }
    Scores& scores = found[r.task];
    scores.rows.push_back(r);
    scores.shortfall.push_back(peer - (r.accuracy + r.accuracy_delta));
    scores.lost.push_back(-r.accuracy_delta);
    scores.said.push_back(r.accuracy - peer);
  }
  return found;
}

/// Damage per token of the text of another corpus over that of the answers, at the same checkpoints and bits.
void add_shifted(Verdict& v, const Table& table, const std::map<std::string, Scores>& tasks,
                 const Thresholds& thresholds) {
  using Place = std::tuple<std::string, double, double>;
  std::map<Place, double> shifted;
  for (const ShiftRow& r : table.shift)
    if (is_main_trunk(r) && std::isfinite(r.delta)) shifted[{r.run, r.D, r.P}] = r.delta;
  add_control(v, Control::answers_shifted, !shifted.empty());
  for (const auto& [task, scores] : tasks) {
    std::vector<TaskRow> rows;
    std::vector<double> of_text, of_answers;
    for (const TaskRow& r : scores.rows)
      if (const auto at = shifted.find({r.run, r.D, r.P}); at != shifted.end())
        rows.push_back(r), of_text.push_back(at->second), of_answers.push_back(r.delta);
    if (rows.empty()) continue;
    const auto statistic = [&](const std::vector<std::size_t>& some) {
      double text = 0, answers = 0;
      for (const std::size_t i : some) text += of_text[i], answers += of_answers[i];
      return std::vector<double>{answers / text};
    };
    add_finding(v, {"over_shifted." + key_word(task), "damage of the answers over that of shifted text, " + task},
                jackknife(keys_of(rows), statistic, interval_options(thresholds))[0]);
  }
}

}  // namespace

Verdict judge_tasks(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q21", "Does accuracy on small tasks fall faster than the loss says?",
                           "in every task quantization costs more accuracy than less training to the same loss",
                           {"shortfall", "accuracy lost beyond what the loss says, where it is least clear"},
                           tasks_rule(), thresholds);
  Dropouts dropped;
  const auto tasks = scores_of(table, thresholds, dropped);
  add_finding(v, {"dropped.not_finite", "scores dropped: not finite"}, dropped.not_finite);
  add_finding(v, {"dropped.too_low", "scores dropped: too few right answers before quantization"}, dropped.too_low);
  add_finding(v, {"dropped.without_peer", "scores dropped: no checkpoint of that loss"}, dropped.without_peer);
  add_control(v, Control::several_tasks, tasks.size() > 1);
  const IntervalOptions alone = interval_options(thresholds),
                        together = simultaneous_options(thresholds, static_cast<int>(tasks.size()));
  BandEvidence evidence;
  std::string words;
  for (const auto& [task, scores] : tasks) {
    const std::vector<RowKey> keys = keys_of(scores.rows);
    const std::vector<double> equal(scores.rows.size(), 1);
    const std::string key = key_word(task);
    add_finding(v, {"lost." + key, "accuracy lost, " + task}, mean_interval(keys, scores.lost, equal, alone));
    add_finding(v, {"said." + key, "accuracy that the loss says is lost, " + task},
                mean_interval(keys, scores.said, equal, alone));
    const Interval shortfall = mean_interval(keys, scores.shortfall, equal, together);
    add_finding(v, {"shortfall." + key, "accuracy lost beyond that, " + task + ", together"}, shortfall);
    if (count_trajectories(keys) < thresholds.trajectories_min) continue;
    evidence.numbers.push_back(shortfall);
    v.n += static_cast<int>(scores.rows.size());
    words += fmt::format("{}{} in {}", words.empty() ? "" : ", ", in_words(shortfall), task);
  }
  add_shifted(v, table, tasks, thresholds);
  if (evidence.numbers.empty()) {
    v.prose = fmt::format(
        "Nothing can be said: no task has scores of at least {:g} before quantization and checkpoints of its losses "
        "after "
        "it in {:g} trajectories (option tasks of the data).",
        thresholds.q21_accuracy_min, thresholds.trajectories_min);
    return v;
  }
  set_estimate(v, evidence.numbers[least_above(evidence, thresholds.q21_shortfall_min + thresholds.q21_equivalence)]);
  decide(v, tasks_rule(), evidence, thresholds);
  v.prose = fmt::format("Beyond what the loss says, quantization costs the accuracy {}.", words);
  return v;
}

}  // namespace hone::theory
