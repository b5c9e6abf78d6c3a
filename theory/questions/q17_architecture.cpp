#include "theory/questions/q17_architecture.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "sim/base/error.hpp"
#include "theory/questions/exponent_gap.hpp"
#include "theory/questions/findings.hpp"

namespace hone::theory {
namespace {

constexpr const char* main_arm = "main";

/// A size of the main arm that an arm of another architecture stands beside.
using MainSize = std::pair<double, Training>;

/// An arm and what it stands beside.
struct Family {
  std::string arm, key;
  std::set<std::pair<double, Shape>> members;  ///< sizes and shapes of the arm
  std::set<MainSize> beside;
  std::set<Control> changes;
  std::string words;  ///< "style gpt2, heads 2"
};

/// What sets a shape apart, in words and as controls.
void note_difference(Family& f, const Shape& own, const Shape& main) {
  if (!f.words.empty()) return;
  const auto add = [&](const std::string& what, Control control) {
    f.words += (f.words.empty() ? "" : ", ") + what;
    f.changes.insert(control);
  };
  if (own.style != main.style) add("style " + own.style, Control::other_style);
  const std::tuple<std::size_t, const char*, Control> sizes[] = {{0, "layers", Control::other_depth},
                                                                 {2, "heads", Control::other_heads},
                                                                 {4, "MLP width", Control::other_mlp_width}};
  for (const auto& [place, name, control] : sizes)
    if (own.sizes[place] != main.sizes[place]) add(fmt::format("{} {:g}", name, own.sizes[place]), control);
}

bool is_dense_trunk(const Subject& s) {
  return s.is_transformer() && is_full_trunk(s) && !s.has_experts() && is_settled(s);
}

/// Arms whose trunks have another shape than a main trunk of equal size and training, in the order of their names.
std::vector<Family> families_of(const std::vector<PtqRow>& rows, const Thresholds& thresholds) {
  std::map<MainSize, Shape> main;
  for (const PtqRow& r : rows)
    if (r.arm == main_arm) main[{r.N, recipe_of(r).training}] = recipe_of(r).shape;
  std::map<std::string, Family> families;
  for (const PtqRow& r : rows) {
    if (r.arm == main_arm) continue;
    const Recipe own = recipe_of(r);
    for (const auto& [size, shape] : main) {
      if (!is_equal_size(size.first, r.N, thresholds) || size.second != own.training || shape == own.shape) continue;
      Family& f = families[r.arm];
      f.arm = r.arm, f.key = key_word(r.arm);
      f.members.insert({r.N, own.shape}), f.beside.insert(size);
      note_difference(f, own.shape, shape);
    }
  }
  std::vector<Family> list;
  for (auto& [arm, family] : families) list.push_back(std::move(family));
  return list;
}

/// Rows of the family and of the main trunks beside it.
template <class Row>
std::vector<Row> rows_of(const Family& f, const std::vector<Row>& all) {
  std::vector<Row> rows;
  for (const Row& r : all) {
    if (!is_dense_trunk(r)) continue;
    const Recipe recipe = recipe_of(r);
    const bool is_own = r.arm == f.arm && f.members.contains({r.N, recipe.shape});
    if (is_own || (r.arm == main_arm && f.beside.contains({r.N, recipe.training}))) rows.push_back(r);
  }
  return rows;
}

/// An exponent of the arm, that of the main trunks beside it, and their gap.
struct Exponents {
  Interval own{NAN, NAN, NAN, 0}, main{NAN, NAN, NAN, 0}, gap{NAN, NAN, NAN, 0};
};

Exponents exponents_of(const std::vector<FamilyRow>& rows, const Thresholds& thresholds, int together) {
  Exponents found;
  for (const FamilyExponent& e : exponents_by_family(rows, main_arm, thresholds, together)) {
    (e.family == main_arm ? found.main : found.own) = e.exponent;
    if (e.family != main_arm) found.gap = e.gap;
  }
  return found;
}

std::vector<FamilyRow> damage_of(const std::vector<PtqRow>& rows) {
  std::vector<FamilyRow> list;
  for (const PtqRow& r : rows) list.push_back({r, r.arm, r.P, r.delta, r.delta_se / r.predicted});
  return list;
}

std::vector<FamilyRow> trace_of(const std::vector<SharpnessRow>& rows) {
  std::vector<FamilyRow> list;
  for (const SharpnessRow& r : rows)
    if (r.weighted_trace > 0 && std::isfinite(r.weighted_trace) && r.D > 0)
      list.push_back({r, r.arm, 0, r.weighted_trace, r.trace_se / r.trace});
  return list;
}

/// Damage over prediction of the arm and of the main trunks, and the gap of their logarithms at equal bits.
Exponents ratios_of(const std::vector<PtqRow>& rows, const Thresholds& thresholds, int together) {
  const PredictionRows p = prediction_columns(rows, thresholds);
  std::vector<double> log_ratio;
  for (std::size_t i = 0; i < rows.size(); ++i) log_ratio.push_back(p.log_delta[i] - p.log_predicted[i]);
  const auto mean_at = [&](const std::vector<std::size_t>& some, bool is_main, double bits) {
    std::vector<std::size_t> own;
    for (const std::size_t i : some)
      if ((p.rows[i].arm == main_arm) == is_main && p.rows[i].P == bits) own.push_back(i);
    return weighted_mean(log_ratio, p.sigma, own);
  };
  const auto statistic = [&](const std::vector<std::size_t>& some) {
    std::set<double> widths;
    for (const std::size_t i : some) widths.insert(p.rows[i].P);
    double sums[2] = {0, 0};
    int count = 0;
    for (const double bits : widths) {
      const double own = mean_at(some, false, bits), main = mean_at(some, true, bits);
      if (std::isfinite(own) && std::isfinite(main)) sums[0] += own, sums[1] += main, ++count;
    }
    return std::vector<double>{sums[0] / count, sums[1] / count, (sums[0] - sums[1]) / count};
  };
  const auto alone = jackknife(p.keys, statistic, interval_options(thresholds));
  return {exponential(alone[0]), exponential(alone[1]),
          jackknife(p.keys, statistic, simultaneous_options(thresholds, together))[2]};
}

void add_numbers(Verdict& v, const Family& f, const Name& name, const Exponents& e) {
  add_finding(v, {name.key + "." + f.key, name.label + " of " + f.arm, name.unit}, e.own);
  add_finding(v, {name.key + ".main_" + f.key, name.label + " of the main arm beside " + f.arm, name.unit}, e.main);
  add_finding(v,
              {"gap." + name.key + "." + f.key,
               (name.key == "ratio" ? "ln of " : "gap of ") + name.label + ", " + f.arm + " against the main arm",
               name.key == "ratio" ? "ln" : "1"},
              e.gap);
}

bool has_enough(const std::vector<PtqRow>& rows, const Thresholds& thresholds) {
  for (const bool is_main : {true, false}) {
    std::vector<PtqRow> side;
    for (const PtqRow& r : rows)
      if ((r.arm == main_arm) == is_main) side.push_back(r);
    const auto keys = keys_of(side);
    if (count_cells(keys) < thresholds.cells_min ||
        count_trajectories(keys) < static_cast<int>(thresholds.trajectories_min))
      return false;
  }
  return true;
}

void add_controls(Verdict& v, const std::vector<Family>& families) {
  for (const Control c : {Control::other_style, Control::other_heads, Control::other_mlp_width, Control::other_depth})
    add_control(v, c,
                std::any_of(families.begin(), families.end(), [&](const Family& f) { return f.changes.contains(c); }));
}

}  // namespace

Verdict judge_architecture(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict(
      "Q17", "Are the growth of the damage with tokens and its prediction the same for other architectures?",
      "architectures of equal size share the exponents of tokens and the ratio of damage to prediction",
      {"deciding", "gap of an exponent of tokens, or of ln damage over prediction, that decides"}, architecture_rule(),
      thresholds);
  Dropped dropped;
  const auto selected = select_predicted(table.ptq, is_dense_trunk, thresholds, dropped);
  add_dropped(v, dropped);
  std::vector<Family> families = families_of(selected, thresholds);
  add_controls(v, families);
  const std::size_t found = families.size();
  std::erase_if(families, [&](const Family& f) { return !has_enough(rows_of(f, selected), thresholds); });
  if (families.empty()) {
    v.prose = fmt::format(
        "Nothing can be said: {} arms hold another architecture than the main arm at equal size and training, and none "
        "of them {:g} cells and {:g} trajectories on either side.",
        found, thresholds.cells_min, thresholds.trajectories_min);
    return v;
  }
  const int together = 3 * static_cast<int>(families.size());
  BandEvidence evidence;
  std::vector<std::string> names;
  for (const Family& f : families) {
    const auto rows = rows_of(f, selected);
    const Exponents damage = exponents_of(damage_of(rows), thresholds, together),
                    trace = exponents_of(trace_of(rows_of(f, table.sharpness)), thresholds, together),
                    ratio = ratios_of(rows, thresholds, together);
    add_numbers(v, f, {"damage", "gamma_D of the damage"}, damage);
    add_numbers(v, f, {"trace", "gamma_D of the step-weighted trace"}, trace);
    add_numbers(v, f, {"ratio", "damage over prediction"}, ratio);
    for (const auto& [name, e] :
         {std::pair{"gamma_D of the damage", damage}, std::pair{"gamma_D of the step-weighted trace", trace},
          std::pair{"ln of damage over prediction", ratio}}) {
      evidence.numbers.push_back(e.gap), names.push_back(fmt::format("{} of {}", name, f.arm));
    }
    v.n += static_cast<int>(rows.size());
    v.prose += fmt::format(
        "{}{} ({}) exceeds the main arm by {} in gamma_D of the damage, by {} in that of the step-weighted trace and "
        "by "
        "{} in ln of damage over prediction.",
        v.prose.empty() ? "" : " ", f.arm, f.words, in_words(damage.gap), in_words(trace.gap), in_words(ratio.gap));
  }
  const std::size_t first = deciding(evidence, 0, thresholds.q17_tolerance);
  v.estimate_label = "gap to the main arm, " + names[first];
  set_estimate(v, evidence.numbers[first]);
  decide(v, architecture_rule(), evidence, thresholds);
  return v;
}

}  // namespace hone::theory
