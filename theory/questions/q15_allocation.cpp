#include "theory/questions/q15_allocation.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/fits/weighted.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/scheme_selection.hpp"

namespace hone::theory {
namespace {

constexpr const char* uniform = "rtn";
constexpr const char* guided = "mixed-fisher";
constexpr const char* all_rivals[] = {"mixed-fisher-rows", "mixed-output", "mixed-share", "mixed-trace"};

/// One checkpoint at one width: its rows by scheme, uniform bits among them.
using Cellmates = std::map<std::string, SchemeRow>;

std::vector<Cellmates> cellmates_of(const Table& table, const Thresholds& t, int& below_noise) {
  std::map<std::tuple<std::string, std::string, double, double>, Cellmates> found;
  for (const SchemeRow& r : table.schemes)
    if (is_scheme_of_weights(r) && r.P > 0 && std::isfinite(r.delta)) found[{r.run, r.variant, r.D, r.P}][r.scheme] = r;
  std::vector<Cellmates> usable;
  for (auto& [key, rows] : found) {
    const auto base = rows.find(uniform);
    if (base == rows.end()) continue;
    const SchemeRow& u = base->second;
    if (u.delta > 0 && second_order(u) > t.ptq_min_snr * u.delta_se)
      usable.push_back(std::move(rows));
    else
      ++below_noise;
  }
  return usable;
}

/// What two schemes of the same cells differ by, in units of the damage at uniform bits.
struct Comparison {
  std::vector<SchemeRow> rows;
  std::vector<double> change;

  Interval mean(const IntervalOptions& options) const {
    return mean_interval(keys_of(rows), change, std::vector<double>(rows.size(), 1), options);
  }
  bool can_decide(const Thresholds& t) const {
    const auto keys = keys_of(rows);
    return count_cells(keys) >= t.cells_min && count_trajectories(keys) >= t.trajectories_min;
  }
};

/// The first less the second scheme, over the cells that have both and pass.
template <class Keep>
Comparison compare(const std::vector<Cellmates>& all, const std::string& first, const std::string& second,
                   Keep&& keep) {
  Comparison c;
  for (const Cellmates& mates : all) {
    const auto a = mates.find(first), b = mates.find(second);
    if (a == mates.end() || b == mates.end() || !keep(a->second)) continue;
    c.rows.push_back(a->second);
    c.change.push_back((a->second.delta - b->second.delta) / mates.at(uniform).delta);
  }
  return c;
}

/// Every scheme against uniform bits, width by width.
void add_widths(Verdict& v, const std::vector<Cellmates>& all, const Thresholds& t) {
  std::map<std::string, std::map<double, int>> widths;
  for (const Cellmates& mates : all)
    for (const auto& [scheme, row] : mates)
      if (scheme != uniform) ++widths[scheme][row.P];
  for (const auto& [scheme, of_scheme] : widths)
    for (const auto& [bits, count] : of_scheme)
      add_finding(v,
                  {fmt::format("change.{}.bits_{}", key_word(scheme), key_number(bits)),
                   fmt::format("damage less that of rtn, over that of rtn, {}, {:g} bits", scheme, bits)},
                  compare(all, scheme, uniform, [bits = bits](const SchemeRow& r) {
                    return r.P == bits;
                  }).mean(interval_options(t)));
}

/// Bits per weight beyond those of uniform bits. NaN where the file does not say.
double add_metadata(Verdict& v, const std::vector<Cellmates>& all, const std::string& scheme) {
  double sum = 0, count = 0;
  for (const Cellmates& mates : all)
    if (const auto row = mates.find(scheme); row != mates.end())
      sum += row->second.bits_per_weight - mates.at(uniform).bits_per_weight, ++count;
  if (count == 0) return NAN;
  add_finding(v, {"metadata." + key_word(scheme), "bits per weight beyond those of rtn, " + scheme, "bits"},
              sum / count);
  return sum / count;
}

/// The share of what guided bits save that a rival saves too, over the cells that have both.
void add_kept(Verdict& v, const std::vector<Cellmates>& all, const std::string& rival,
              const std::function<bool(const SchemeRow&)>& keep, const Thresholds& t) {
  std::vector<Cellmates> both;
  for (const Cellmates& mates : all)
    if (mates.count(rival) && mates.count(guided)) both.push_back(mates);
  const Comparison own = compare(both, rival, uniform, keep), best = compare(both, guided, uniform, keep);
  const std::vector<double> equal(own.rows.size(), 1);
  const auto share = jackknife(
      keys_of(own.rows),
      [&](const std::vector<std::size_t>& some) {
        return std::vector<double>{weighted_mean(own.change, equal, some) / weighted_mean(best.change, equal, some)};
      },
      interval_options(t));
  add_finding(v, {"kept." + key_word(rival), "share of the guided saving that it keeps, " + rival}, share[0]);
}

}  // namespace

Verdict judge_allocation(const Table& table, const Thresholds& t) {
  Verdict v = open_verdict("Q15", "Do bits assigned by gradients beat uniform bits of the same average?",
                           "guided bits lose less than uniform bits, and no other assignment is clearly better",
                           {"guided", "damage at guided bits less that at uniform bits, over that at uniform bits"},
                           allocation_rule(), t);
  int below_noise = 0;
  const std::vector<Cellmates> all = cellmates_of(table, t, below_noise);
  add_finding(v, {"dropped.below_noise", "cells dropped: damage at uniform bits below its noise"}, below_noise);
  add_widths(v, all, t);
  const double cost = add_metadata(v, all, guided);
  add_control(v, Control::equal_budget, std::abs(cost) <= 0.1);
  const auto in_range = [&](const SchemeRow& r) { return is_within_bits(r, t); };
  std::map<std::string, Comparison> rivals;
  for (const char* rival : all_rivals)
    if (Comparison c = compare(all, guided, rival, in_range); c.can_decide(t)) rivals[rival] = std::move(c);
  const Comparison against_uniform = compare(all, guided, uniform, in_range);
  v.n = static_cast<int>(against_uniform.rows.size());
  if (!against_uniform.can_decide(t) || rivals.empty()) {
    v.prose = fmt::format(
        "Nothing can be said: {}, {} and one of {} are needed on the same checkpoints, in {:g} cells and {:g} "
        "trajectories (option quantize.schemes).",
        uniform, guided, fmt::join(all_rivals, ", "), t.cells_min, t.trajectories_min);
    return v;
  }
  const IntervalOptions together = simultaneous_options(t, 1 + static_cast<int>(rivals.size()));
  AllocationEvidence evidence{against_uniform.mean(together), {}};
  std::string words;
  for (const auto& [rival, c] : rivals) {
    const Interval change = c.mean(together);
    add_finding(v, {"rival." + key_word(rival), "damage at guided bits less that of " + rival + ", over uniform"},
                change);
    add_metadata(v, all, rival);
    if (evidence.uniform.high < 0) add_kept(v, all, rival, in_range, t);
    evidence.rivals.push_back(change);
    words += fmt::format("{}{} against {}", words.empty() ? "" : ", ", in_words(change), rival);
  }
  set_estimate(v, evidence.uniform);
  decide(v, allocation_rule(), evidence, t);
  v.prose = fmt::format(
      "In units of the damage at uniform bits, guided bits change it by {}; {}. They store {:.3g} bits per weight more "
      "than uniform bits, which say which width each item has.",
      in_words(evidence.uniform), words, cost);
  return v;
}

}  // namespace hone::theory
