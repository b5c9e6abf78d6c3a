#include "theory/questions/q23_removed_bits.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/q23_shapes.hpp"

namespace hone::theory {
namespace {

bool is_base(const Subject& s) { return is_main_trunk(s) && s.is_full_precision(); }
bool is_tuned(const Subject& s) {
  return s.kind == Kind::tuned && s.arm == "main" && s.is_full_precision() && !s.branch_data.empty();
}

/// What is compared: checkpoints that share a place differ in their tokens alone.
struct Contrast {
  std::string key, words;
  bool (*is_one)(const Subject&);
  std::tuple<std::string, double, std::string> (*place)(const Subject&);
  double (*tokens)(const Subject&);
};
const Contrast contrasts[] = {{"trunk", "the trunk", is_base,
                               [](const Subject& s) {
                                 return std::tuple{s.run, 0.0, std::string()};
                               },
                               [](const Subject& s) { return s.D; }},
                              {"tuned", "tuned branches", is_tuned,
                               [](const Subject& s) {
                                 return std::tuple{s.run, s.branched_at, s.branch_data};
                               },
                               [](const Subject& s) { return s.D - s.branched_at; }}};

/// One width at few and at many tokens of one run.
struct Pair {
  PtqRow few, many;
  std::size_t place = 0;
};

/// The rows at the fewest and at the most tokens of each place, at the bits that both have.
std::vector<Pair> pairs_of(const std::vector<PtqRow>& rows, const Contrast& contrast, double ratio_min) {
  std::map<std::tuple<std::string, double, std::string>, std::map<double, std::map<double, PtqRow>>> places;
  for (const PtqRow& r : rows)
    if (r.is_transformer() && contrast.is_one(r)) places[contrast.place(r)][contrast.tokens(r)].emplace(r.P, r);
  std::vector<Pair> pairs;
  std::size_t place = 0;
  for (const auto& [key, by_tokens] : places) {
    const auto& [fewest, few] = *by_tokens.begin();
    const auto& [most, many] = *by_tokens.rbegin();
    if (!(fewest > 0) || most < ratio_min * fewest) continue;
    for (const auto& [bits, row] : few)
      if (const auto other = many.find(bits); other != many.end()) pairs.push_back({row, other->second, place});
    ++place;
  }
  return pairs;
}

/// Columns of the regressions within pairs.
struct Columns {
  std::vector<RowKey> keys;
  std::vector<double> few, many, sigma, removed, removed_of_32;
  std::vector<std::size_t> place;

  Columns(const std::vector<Pair>& pairs, double scatter) {
    std::vector<PtqRow> rows;
    for (const Pair& p : pairs) {
      rows.push_back(p.many);
      few.push_back(std::log(p.few.delta)), many.push_back(std::log(p.many.delta));
      sigma.push_back(combined_sigma({p.few.delta_se / p.few.predicted, p.many.delta_se / p.many.predicted}, scatter));
      removed.push_back(std::log(bits_whole - p.few.P)), removed_of_32.push_back(std::log(2 * bits_whole - p.few.P));
      place.push_back(p.place);
    }
    keys = keys_of(rows);
  }

  /// delta and ln eta at few and at many tokens, the gaps of both, the gap of delta where 32 bits are counted from, and how
  /// much closer to 1 delta is at few tokens.
  std::vector<double> numbers(const std::vector<std::size_t>& rows) const {
    const double first = slope_within(removed, few, sigma, place, rows),
                 last = slope_within(removed, many, sigma, place, rows);
    const double centre = weighted_mean(removed, sigma, rows);
    const double eta = weighted_mean(few, sigma, rows) - first * centre,
                 eta_last = weighted_mean(many, sigma, rows) - last * centre;
    return {
        first,
        last,
        last - first,
        eta,
        eta_last,
        eta_last - eta,
        slope_within(removed_of_32, many, sigma, place, rows) - slope_within(removed_of_32, few, sigma, place, rows),
        std::abs(last - 1) - std::abs(first - 1)};
  }
};
constexpr std::size_t gap_place = 2;  // in Columns::numbers

/// Numbers of one contrast; the gap that can hold together with those of the others, in words too.
Interval add_contrast(Verdict& v, const Contrast& c, const Columns& columns, const Thresholds& thresholds, int together,
                      std::string& words) {
  const auto statistic = [&](const std::vector<std::size_t>& rows) { return columns.numbers(rows); };
  const auto alone = jackknife(columns.keys, statistic, interval_options(thresholds));
  const Interval gap = jackknife(columns.keys, statistic, simultaneous_options(thresholds, together))[gap_place];
  const std::string in = ", " + c.words;
  add_finding(v, {"delta.few." + c.key, "exponent of the bits removed at few tokens" + in}, alone[0]);
  add_finding(v, {"delta.many." + c.key, "exponent of the bits removed at many tokens" + in}, alone[1]);
  add_finding(v, {"gap." + c.key, "exponent of the bits removed, many tokens minus few" + in + ", together"}, gap);
  add_finding(v, {"eta.few." + c.key, "ln eta at few tokens" + in, "ln"}, alone[3]);
  add_finding(v, {"eta.many." + c.key, "ln eta at many tokens" + in, "ln"}, alone[4]);
  add_finding(v, {"eta.gap." + c.key, "ln eta, many tokens minus few" + in, "ln"}, alone[5]);
  add_finding(v, {"gap_of_32." + c.key, "the same gap where the bits removed are counted from 32" + in}, alone[6]);
  add_finding(v,
              {"nearer_one." + c.key, "by how much the exponent of the bits removed is closer to 1 at few tokens" + in},
              alone[7]);
  words += fmt::format("{}{} at few and {} at many tokens in {}", words.empty() ? "" : "; ", in_words(alone[0]),
                       in_words(alone[1]), c.words);
  return gap;
}

/// Damage at 8 bits at the fewest and at the most tokens, also where it is below its noise.
void add_eight_bits(Verdict& v, const Table& table, const Thresholds& thresholds) {
  std::vector<PtqRow> rows;
  for (const PtqRow& r : table.ptq)
    if (r.P == 8 && std::isfinite(r.delta)) rows.push_back(without_first_order(r));
  const std::vector<Pair> pairs = pairs_of(rows, contrasts[0], thresholds.q23_ratio_min);
  add_control(v, Control::eight_bits, !pairs.empty());
  if (pairs.empty()) return;
  std::vector<PtqRow> many;
  std::vector<double> first, last, change, predicted;
  for (const Pair& p : pairs) {
    many.push_back(p.many);
    first.push_back(p.few.delta), last.push_back(p.many.delta), change.push_back(p.many.delta - p.few.delta);
    predicted.push_back(std::log(p.many.predicted / p.few.predicted));
  }
  const auto mean = [&](const std::vector<double>& values) {
    return mean_interval(keys_of(many), values, std::vector<double>(many.size(), 1), interval_options(thresholds));
  };
  add_finding(v, {"eight_bits.few", "damage at 8 bits at few tokens", "nats"}, mean(first));
  add_finding(v, {"eight_bits.many", "damage at 8 bits at many tokens", "nats"}, mean(last));
  add_finding(v, {"eight_bits.change", "damage at 8 bits, many tokens minus few", "nats"}, mean(change));
  add_finding(v, {"eight_bits.predicted", "ln prediction at 8 bits, many tokens minus few", "ln"}, mean(predicted));
}

}  // namespace

Verdict judge_removed_bits(const Table& table, const Thresholds& thresholds) {
  Verdict v =
      open_verdict("Q23", "Is the exponent of the bits removed the same at few and at many tokens?",
                   "the damage of a checkpoint is a power of the bits removed, with one exponent at all tokens",
                   {"deciding", "exponent of the bits removed, many tokens minus few, where it is farthest from 0"},
                   removed_bits_rule(), thresholds);
  Dropped dropped;
  const auto wanted = [](const Subject& s) { return is_base(s) || is_tuned(s); };
  const std::vector<PtqRow> rows = select_predicted(table.ptq, wanted, thresholds, dropped);
  add_dropped(v, dropped);
  std::vector<std::pair<const Contrast*, Columns>> found;
  for (const Contrast& c : contrasts) {
    const std::vector<Pair> pairs = pairs_of(rows, c, thresholds.q23_ratio_min);
    if (c.key == "tuned") add_control(v, Control::tuned_few_and_many, !pairs.empty());
    if (!pairs.empty()) found.emplace_back(&c, Columns(pairs, thresholds.fit_scatter));
  }
  BandEvidence evidence;
  std::string words;
  for (const auto& [contrast, columns] : found) {
    const Interval gap = add_contrast(v, *contrast, columns, thresholds, static_cast<int>(found.size()), words);
    if (count_trajectories(columns.keys) < thresholds.trajectories_min || !std::isfinite(gap.estimate)) continue;
    evidence.numbers.push_back(gap);
    v.n += static_cast<int>(columns.keys.size());
  }
  add_eight_bits(v, table, thresholds);
  std::vector<PtqRow> trunk;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(trunk), is_base);
  const PredictionRows p = prediction_columns(std::move(trunk), thresholds);
  if (!p.rows.empty()) {
    add_removed_shapes(v, "damage", "damage", p, thresholds);
    add_lost_parameters(v, table, p, thresholds);
  }
  if (evidence.numbers.empty()) {
    v.prose = fmt::format(
        "Nothing can be said: no two checkpoints whose tokens differ by a factor of {:g} were quantized to the same "
        "two widths in {:g} trajectories.",
        thresholds.q23_ratio_min, thresholds.trajectories_min);
    return v;
  }
  set_estimate(v, evidence.numbers[deciding(evidence, 0, thresholds.q23_tolerance)]);
  decide(v, removed_bits_rule(), evidence, thresholds);
  v.prose = fmt::format("The exponent of the bits removed is {}.", words);
  if (const Finding* rival = find_finding(v, "q23.damage.best_rival_difference"); rival != nullptr && rival->low > 0)
    v.prose += " Another shape in bits predicts the damage of left-out checkpoints better.";
  return v;
}

}  // namespace hone::theory
