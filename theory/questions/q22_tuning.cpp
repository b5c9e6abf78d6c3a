#include "theory/questions/q22_tuning.hpp"

#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"

namespace hone::theory {
namespace {

bool is_base(const Subject& s) { return is_main_trunk(s) && s.is_full_precision(); }
bool is_tuned(const Subject& s) { return s.kind == Kind::tuned && s.arm == "main" && s.is_full_precision(); }

double bits_of(const SharpnessRow&) { return 0; }
template <class Row>
double bits_of(const Row& r) {
  return r.P;
}

/// Rows of tuned branches with the row of the checkpoint that each left, by variant.
template <class Row>
struct Pairs {
  std::map<std::string, std::vector<std::pair<Row, Row>>> of;  ///< before and after
  int unmatched = 0;

  explicit Pairs(const std::vector<Row>& rows) {
    std::map<std::tuple<std::string, double, double>, Row> bases;
    for (const Row& r : rows)
      if (r.is_transformer() && is_base(r)) bases.emplace(std::tuple{r.run, r.D, bits_of(r)}, r);
    for (const Row& r : rows) {
      if (!r.is_transformer() || !is_tuned(r)) continue;
      const auto base = bases.find({r.run, r.branched_at, bits_of(r)});
      if (base == bases.end())
        ++unmatched;
      else
        of[r.variant].emplace_back(base->second, r);
    }
  }
};

/// Mean change of ln value from before to after; nothing is added where one of the values is not positive.
template <class Row, class Value, class Error>
Interval change(const std::vector<std::pair<Row, Row>>& pairs, Value&& value, Error&& error, double scatter,
                const IntervalOptions& options) {
  std::vector<Row> rows;
  std::vector<double> changes, sigma;
  for (const auto& [before, after] : pairs) {
    if (!(value(before) > 0) || !(value(after) > 0) || !std::isfinite(value(before) + value(after))) continue;
    rows.push_back(after);
    changes.push_back(std::log(value(after) / value(before)));
    sigma.push_back(combined_sigma({error(before), error(after)}, scatter));
  }
  return mean_interval(keys_of(rows), changes, sigma, options);
}

/// ln tr H and the damage on other text.
void add_others(Verdict& v, const Table& table, const Thresholds& thresholds) {
  const IntervalOptions options = interval_options(thresholds);
  const double scatter = thresholds.fit_scatter;
  for (const auto& [variant, pairs] : Pairs(table.sharpness).of)
    add_finding(v, {"trace." + key_word(variant), "change of ln trace, " + variant, "ln"},
                change(
                    pairs, [](const SharpnessRow& r) { return r.trace; },
                    [](const SharpnessRow& r) { return r.trace_se / r.trace; }, scatter, options));
  std::vector<ShiftRow> clear;
  for (const ShiftRow& r : table.shift)
    if (r.P >= thresholds.ptq_bits_min && r.P <= thresholds.ptq_bits_max &&
        r.delta > thresholds.ptq_min_snr * r.delta_se)
      clear.push_back(r);
  for (const auto& [variant, pairs] : Pairs(clear).of)
    add_finding(v, {"shifted." + key_word(variant), "change of ln damage on other text, " + variant, "ln"},
                change(
                    pairs, [](const ShiftRow& r) { return r.delta; },
                    [](const ShiftRow& r) { return r.delta_se / r.delta; }, scatter, options));
}

}  // namespace

Verdict judge_tuning(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q22", "Does the prediction from curvature hold after tuning?",
                           "tuning changes the damage as it changes the prediction",
                           {"gap", "change of ln (damage over prediction) where it is farthest from 0", "ln"},
                           tuning_rule(), thresholds);
  Dropped dropped;
  const auto wanted = [](const Subject& s) { return is_base(s) || is_tuned(s); };
  const Pairs pairs(select_predicted(table.ptq, wanted, thresholds, dropped));
  add_control(v, Control::tuned_branches, !pairs.of.empty());
  add_dropped(v, dropped);
  add_finding(v, {"unmatched", "rows of branches without the checkpoint that they left"}, pairs.unmatched);
  const IntervalOptions alone = interval_options(thresholds),
                        together = simultaneous_options(thresholds, static_cast<int>(pairs.of.size()));
  BandEvidence evidence;
  std::string words;
  for (const auto& [variant, some] : pairs.of) {
    const std::string key = key_word(variant);
    const auto changed = [&](double (*value)(const PtqRow&), const IntervalOptions& options) {
      const auto error = [](const PtqRow& r) { return r.delta_se / r.predicted; };
      return change(some, value, error, thresholds.fit_scatter, options);
    };
    const Interval damage = changed([](const PtqRow&r) { return r.delta; }, alone),
                   predicted = changed([](const PtqRow&r) { return r.predicted; }, alone),
                   gap = changed([](const PtqRow&r) { return r.delta / r.predicted; }, together);
    add_finding(v, {"damage." + key, "change of ln damage, " + variant, "ln"}, damage);
    add_finding(v, {"prediction." + key, "change of ln prediction, " + variant, "ln"}, predicted);
    add_finding(v, {"gap." + key, "change of ln (damage over prediction), " + variant + ", together", "ln"}, gap);
    std::vector<PtqRow> after;
    for (const auto& [base, tuned] : some) after.push_back(tuned);
    if (count_trajectories(keys_of(after)) < thresholds.trajectories_min) continue;
    evidence.numbers.push_back(gap);
    v.n += static_cast<int>(some.size());
    words += fmt::format("{}{} of the damage, {} of the prediction and {} of their ratio in {}",
                         words.empty() ? "" : "; ", in_words(damage), in_words(predicted), in_words(gap), variant);
  }
  add_others(v, table, thresholds);
  if (evidence.numbers.empty()) {
    v.prose = fmt::format(
        "Nothing can be said: no tuned branch was measured beside the checkpoint that it left in {:g} trajectories "
        "(option models.branches with data).",
        thresholds.trajectories_min);
    return v;
  }
  set_estimate(v, evidence.numbers[deciding(evidence, 0, thresholds.q22_tolerance)]);
  decide(v, tuning_rule(), evidence, thresholds);
  v.prose = fmt::format("Tuning changes the logarithms by {}.", words);
  return v;
}

}  // namespace hone::theory
