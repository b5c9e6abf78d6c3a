#include "theory/questions/q24_rounding.hpp"

#include <map>
#include <set>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/q23_shapes.hpp"

namespace hone::theory {
namespace {

constexpr const char* nearest = "nearest_even";
constexpr const char* by_chance = "stochastic";

bool is_candidate(const Subject& s) { return is_full_trunk(s) && (s.rounding != nearest || s.arm == "main"); }

/// The same weights at the same bits.
using Place = std::tuple<double, std::int64_t, double, Recipe, double, double>;
Place place_of(const PtqRow& r) { return {r.N, r.seed, r.D, recipe_of(r), r.loss, r.P}; }

/// Rows of one mode of rounding with what they are to nearest even, as logarithms of the ratio.
struct Ratios {
  std::vector<PtqRow> rows;
  std::vector<double> damage, predicted, quadratic, over_prediction, sigma, removed;
  std::vector<std::size_t> checkpoint;

  void add(const PtqRow& base, const PtqRow& r, double scatter, std::size_t number) {
    rows.push_back(r);
    damage.push_back(std::log(r.delta / base.delta));
    predicted.push_back(std::log(r.predicted / base.predicted));
    quadratic.push_back(std::log(r.quadratic / base.quadratic));
    over_prediction.push_back(damage.back() - predicted.back());
    sigma.push_back(combined_sigma({base.delta_se / base.predicted, r.delta_se / r.predicted}, scatter));
    removed.push_back(std::log(bits_whole - r.P));
    checkpoint.push_back(number);
  }

  /// Weighted mean over the rows that `keep` keeps and that have the number.
  template <class Keep>
  Interval mean(const std::vector<double>& values, Keep&& keep, const IntervalOptions& options) const {
    std::vector<PtqRow> some;
    std::vector<double> y, s;
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (keep(rows[i]) && std::isfinite(values[i]))
        some.push_back(rows[i]), y.push_back(values[i]), s.push_back(sigma[i]);
    return mean_interval(keys_of(some), y, s, options);
  }
};

std::map<std::string, Ratios> ratios_of(const std::vector<PtqRow>& rows, double scatter, int& unmatched) {
  std::map<Place, const PtqRow*> bases;
  for (const PtqRow& r : rows)
    if (r.rounding == nearest) bases.emplace(place_of(r), &r);
  std::map<std::tuple<double, std::int64_t, double, Recipe, double>, std::size_t> numbers;
  std::map<std::string, Ratios> found;
  for (const PtqRow& r : rows) {
    if (r.rounding == nearest) continue;
    const auto base = bases.find(place_of(r));
    if (base == bases.end()) {
      ++unmatched;
      continue;
    }
    const std::size_t number =
        numbers.try_emplace({r.N, r.seed, r.D, recipe_of(r), r.loss}, numbers.size()).first->second;
    found[r.rounding].add(*base->second, r, scatter, number);
  }
  return found;
}

void add_mode(Verdict& v, const std::string& mode, const Ratios& ratios, const Thresholds& thresholds) {
  const IntervalOptions options = interval_options(thresholds);
  const std::string over = ", " + mode + " over nearest even";
  const auto all = [](const PtqRow&) { return true; };
  const auto put = [&](const std::string& key, const std::string& words, const std::vector<double>& values) {
    add_finding(v, {key + "." + mode, words + over}, exponential(ratios.mean(values, all, options)));
  };
  put("ratio", "damage", ratios.damage);
  put("predicted", "prediction", ratios.predicted);
  put("over_prediction", "damage over prediction", ratios.over_prediction);
  put("quadratic", "second order of the errors made", ratios.quadratic);
  std::set<double> widths;
  for (const PtqRow& r : ratios.rows) widths.insert(r.P);
  for (const double bits : widths)
    add_finding(v, {"ratio." + mode + ".bits_" + key_number(bits), fmt::format("damage at {:g} bits{}", bits, over)},
                exponential(ratios.mean(
                    ratios.damage, [bits](const PtqRow& r) { return r.P == bits; }, options)));
  const auto slope = [&](const std::vector<std::size_t>& rows) {
    return std::vector{slope_within(ratios.removed, ratios.damage, ratios.sigma, ratios.checkpoint, rows)};
  };
  add_finding(v, {"exponent_gap." + mode, "exponent of the bits removed, " + mode + " minus nearest even"},
              jackknife(keys_of(ratios.rows), slope, options)[0]);
}

}  // namespace

Verdict judge_rounding(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q24", "Does stochastic rounding cost less than rounding to nearest?",
                           "stochastic rounding lowers the constant of the damage",
                           {"saving", "ln of the damage of nearest over that of stochastic rounding", "ln"},
                           rounding_rule(), thresholds);
  Dropped dropped;
  int unmatched = 0;
  const auto modes =
      ratios_of(select_predicted(table.ptq, is_candidate, thresholds, dropped), thresholds.fit_scatter, unmatched);
  add_dropped(v, dropped);
  add_finding(v, {"unmatched", "rows of other modes without the same checkpoint to nearest even"}, unmatched);
  add_control(v, Control::other_roundings, !modes.empty());
  for (const auto& [mode, ratios] : modes) add_mode(v, key_word(mode), ratios, thresholds);
  const auto found = modes.find(by_chance);
  if (found == modes.end() || count_trajectories(keys_of(found->second.rows)) < thresholds.trajectories_min) {
    v.prose = fmt::format(
        "Nothing can be said: no arm with stochastic rounding (quantize.rounding, quantize.draws) beside the same "
        "models to nearest even in {:g} trajectories.",
        thresholds.trajectories_min);
    return v;
  }
  const Ratios& ratios = found->second;
  std::vector<double> saved;
  for (const double change : ratios.damage) saved.push_back(-change);
  const Interval saving = ratios.mean(
      saved, [](const PtqRow&) { return true; }, interval_options(thresholds));
  v.n = static_cast<int>(ratios.rows.size());
  set_estimate(v, saving);
  decide(v, rounding_rule(), {{saving}}, thresholds);
  const Interval ratio = exponential(ratios.mean(
      ratios.damage, [](const PtqRow&) { return true; }, interval_options(thresholds)));
  v.prose = fmt::format(
      "At the same checkpoints and bits, the damage of stochastic rounding over that of rounding to nearest even is "
      "{}; errors anywhere between two levels would make it 2.",
      in_words(ratio));
  return v;
}

}  // namespace hone::theory
