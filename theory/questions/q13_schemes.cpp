#include "theory/questions/q13_schemes.hpp"

#include <algorithm>
#include <map>

#include "sim/base/error.hpp"
#include "theory/fits/weighted.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/scheme_selection.hpp"

namespace hone::theory {
namespace {

using Prediction = double (*)(const SchemeRow&);

double same_windows(const SchemeRow& row) { return row.quadratic; }

/// Rows by scheme.
using ByScheme = std::map<std::string, std::vector<SchemeRow>>;

ByScheme usable_rows(const Table& table, int& dropped) {
  ByScheme found;
  for (const SchemeRow& r : table.schemes) {
    if (!is_scheme_of_weights(r)) continue;
    if (std::isfinite(remainder(r)) && second_order(r) > 0)
      found[r.scheme].push_back(r);
    else
      ++dropped;
  }
  return found;
}

/// Mean of measured over predicted damage; all NaN for no rows.
Interval mean_ratio(const std::vector<SchemeRow>& rows, Prediction predicted, double scatter,
                    const IntervalOptions& options) {
  std::vector<double> ratio, sigma;
  for (const SchemeRow& r : rows) {
    ratio.push_back(remainder(r) / predicted(r));
    sigma.push_back(combined_sigma({remainder_error(r) / predicted(r)}, scatter));
  }
  return mean_interval(keys_of(rows), ratio, sigma, options);
}

template <class Keep>
std::vector<SchemeRow> kept(const std::vector<SchemeRow>& rows, Keep&& keep) {
  std::vector<SchemeRow> some;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(some), keep);
  return some;
}

/// Rows of each scheme that can decide, at errors for which second order is claimed.
ByScheme judged_rows(const ByScheme& all, const Thresholds& t) {
  ByScheme judged;
  for (const auto& [scheme, rows] : all) {
    const auto some =
        kept(rows, [&](const SchemeRow& r) { return is_within_bits(r, t) && second_order(r) <= t.q13_rise; });
    const auto keys = keys_of(some);
    if (count_cells(keys) >= t.cells_min && count_trajectories(keys) >= t.trajectories_min) judged[scheme] = some;
  }
  return judged;
}

/// The ratio at each width, whatever the damage.
void add_widths(Verdict& v, const ByScheme& all, const Thresholds& t) {
  for (const auto& [scheme, rows] : all) {
    std::map<double, std::vector<SchemeRow>> by_bits;
    for (const SchemeRow& r : rows) by_bits[r.P].push_back(r);
    for (const auto& [bits, some] : by_bits)
      add_finding(v,
                  {fmt::format("ratio.{}.bits_{}", key_word(scheme), key_number(bits)),
                   fmt::format("measured over second order, {}, {:g} bits", scheme, bits)},
                  mean_ratio(some, second_order, t.fit_scatter, interval_options(t)));
  }
}

void add_controls(Verdict& v, const ByScheme& judged) {
  const auto has = [&](const char* rule) {
    return std::any_of(judged.begin(), judged.end(),
                       [&](const auto& s) { return s.first.find(rule) != std::string::npos; });
  };
  add_control(v, Control::scheme_kinds, has("gptq") && has("awq") && has("rotate"));
  bool is_apart = !judged.empty();
  for (const auto& [scheme, rows] : judged)
    for (const SchemeRow& r : rows) is_apart = is_apart && std::isfinite(r.quadratic_other);
  add_control(v, Control::other_windows, is_apart);
}

}  // namespace

Verdict judge_schemes(const Table& table, const Thresholds& t) {
  Verdict v = open_verdict("Q13", "Does second order predict the damage of every scheme of quantization?",
                           "each scheme loses what second order says of its own errors",
                           {"worst_ratio", "measured over second order, of the scheme that decides"},
                           scheme_prediction_rule(), t);
  int dropped = 0;
  const ByScheme all = usable_rows(table, dropped);
  add_finding(v, {"dropped", "rows of schemes dropped: damage not finite or e'He/2 not above 0"}, dropped);
  add_widths(v, all, t);
  const ByScheme judged = judged_rows(all, t);
  add_controls(v, judged);
  const IntervalOptions together = simultaneous_options(t, std::max(1, static_cast<int>(judged.size())));
  BandEvidence evidence;
  std::string words;
  for (const auto& [scheme, rows] : judged) {
    const Interval ratio = mean_ratio(rows, second_order, t.fit_scatter, together);
    add_finding(v, {"ratio." + key_word(scheme), "measured over second order, " + scheme + ", with all others"}, ratio);
    add_finding(v, {"same_windows." + key_word(scheme), "the same with H on windows of the damage, " + scheme},
                mean_ratio(kept(rows, [](const SchemeRow& r) { return r.quadratic > 0; }), same_windows, t.fit_scatter,
                           interval_options(t)));
    evidence.numbers.push_back(ratio);
    v.n += static_cast<int>(rows.size());
    words += fmt::format("{}{} for {}", words.empty() ? "" : ", ", in_words(ratio), scheme);
  }
  if (evidence.numbers.size() < 2) {
    v.prose = fmt::format(
        "Nothing can be said: {} schemes have {:g} cells and {:g} trajectories with a second order up to {:g} nats, "
        "and "
        "two are needed (options quantize.schemes and quantize.schemes_at).",
        evidence.numbers.size(), t.cells_min, t.trajectories_min, t.q13_rise);
    return v;
  }
  set_estimate(v, evidence.numbers[deciding(evidence, 1, t.q13_tolerance)]);
  decide(v, scheme_prediction_rule(), evidence, t);
  v.prose = fmt::format("Up to {:g} nats, damage less its first order is, in units of e'He/2, {}.", t.q13_rise, words);
  return v;
}

}  // namespace hone::theory
