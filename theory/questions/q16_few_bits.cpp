#include "theory/questions/q16_few_bits.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "sim/base/error.hpp"
#include "theory/questions/bit_scale.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/q16_further.hpp"

namespace hone::theory {
namespace {

using Places = std::vector<std::size_t>;

constexpr const char* straight_through = "qat";

/// The models of a study with the law of its losses, and those to which the law of bits is fitted.
struct Trained {
  const LowWeightModels& models;
  const LawWithError& law;
  const Thresholds& thresholds;

  bool is_low(const Subject& s) const { return s.train_w_bits < thresholds.q16_bits_min; }
  bool is_fitted(const Subject& s) const { return s.method == straight_through && !is_low(s); }
  /// The places among `some` that fulfil a condition.
  template <class Condition>
  Places among(const Places& some, Condition&& condition) const {
    Places own;
    for (const std::size_t i : some)
      if (condition(models[i])) own.push_back(i);
    return own;
  }
  /// ln gamma_w of the fitted models among `some`.
  double fitted_scale(const TrainingLaw& of, const Places& some) const {
    return log_scale_of(of, models, among(some, [&](const Subject& s) { return is_fitted(s); }));
  }
};

/// Models of one procedure and width.
struct Width {
  std::string method;
  double bits = 16;
  Places models;
  std::string label, key;
  Interval residual{NAN, NAN, NAN, 0};
  bool decides = false;
};

std::string bits_in_words(double bits) {
  return bits == ternary_bits ? "log2(3) bits" : fmt::format("{:g} bit{}", bits, bits == 1 ? "" : "s");
}

std::vector<Width> widths_of(const Trained& t) {
  std::map<std::pair<std::string, double>, Places> found;
  for (std::size_t i = 0; i < t.models.size(); ++i) found[{t.models[i].method, t.models[i].train_w_bits}].push_back(i);
  std::vector<Width> widths;
  for (const auto& [of, places] : found) {
    Width w{of.first, of.second, places, {}, {}};
    w.label = fmt::format("{} at {}", w.method, bits_in_words(w.bits));
    w.key = key_word(fmt::format("{} {:.3g}", w.method, w.bits));
    w.decides = w.bits < t.thresholds.q16_bits_min &&
                trajectories_of(t.models, places) >= static_cast<int>(t.thresholds.trajectories_min);
    widths.push_back(std::move(w));
  }
  return widths;
}

/// The models to which the law is fitted, and some more.
Places with_fitted(const Trained& t, const Places& some) {
  Places all = places_of(t.models, [&](const Subject& s) { return t.is_fitted(s); });
  all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

/// Mean over the models that fulfil a condition of a number that also takes ln gamma_w of the fitted models.
template <class Condition, class Number>
Interval mean_beside_law(const Trained& t, Condition&& condition, Number&& number, const IntervalOptions& options) {
  const auto statistic = [&](const TrainingLaw& of, const Places& some) {
    const double scale = t.fitted_scale(of, some);
    const Places own = t.among(some, condition);
    double sum = 0;
    for (const std::size_t i : own) sum += number(of, t.models[i], scale);
    return sum / static_cast<double>(own.size());
  };
  return interval_of_models(t.law, t.models, with_fitted(t, places_of(t.models, condition)), statistic, options);
}

double residual_of(const TrainingLaw& law, const LowWeightModel& m, double scale) {
  return log_share(law, m) - log_share_of_scale(m.train_w_bits, scale);
}

/// The loss beyond that which the fitted law of bits gives, in nats.
double excess_of(const TrainingLaw& law, const LowWeightModel& m, double scale) {
  const double share = log_share_of_scale(m.train_w_bits, scale);
  return m.rise - law.A * std::pow(m.active_N(), -law.alpha) * std::expm1(-law.alpha * share);
}

void add_width(Verdict& v, const Trained& t, const Width& w) {
  const auto is_own = [&](const Subject& s) { return s.method == w.method && s.train_w_bits == w.bits; };
  const auto mean = [&](auto number) { return mean_beside_law(t, is_own, number, interval_options(t.thresholds)); };
  add_finding(v, {"fraction." + w.key, "N_eff/N, " + w.label},
              exponential(mean([](const auto& law, const auto& m, double) { return log_share(law, m); })));
  add_finding(v, {"law." + w.key, "N_eff/N by the law of more bits, " + w.label},
              exponential(mean(
                  [](const auto&, const auto& m, double scale) { return log_share_of_scale(m.train_w_bits, scale); })));
  if (!(w.bits < t.thresholds.q16_bits_min)) return;
  add_finding(v, {"residual." + w.key, "ln of N_eff over that of the law of more bits, " + w.label, "ln"}, w.residual);
  add_finding(v, {"excess." + w.key, "loss beyond the law of more bits, " + w.label, "nats"}, mean(excess_of));
}

/// The models of one procedure on one side of q16_bits_min.
struct Procedure {
  std::string method;
  bool is_low = false;
  Places models;
  std::string key() const { return key_word(method) + (is_low ? "_low" : ""); }
  std::string label(const Thresholds& t) const {
    return fmt::format("{} {} {:g} bits", method, is_low ? "below" : "from", t.q16_bits_min);
  }
};

/// Scales of all procedures and their gaps to straight-through training on the same side of q16_bits_min, or at more
/// bits where there is none on it, and what the rule says of them.
void add_procedures(Verdict& v, const Trained& t) {
  std::map<std::pair<std::string, bool>, Procedure> all;
  for (std::size_t i = 0; i < t.models.size(); ++i) {
    const LowWeightModel& m = t.models[i];
    Procedure& p = all[{m.method, t.is_low(m)}];
    p.method = m.method, p.is_low = t.is_low(m), p.models.push_back(i);
  }
  const auto least = static_cast<int>(t.thresholds.trajectories_min);
  std::vector<std::pair<const Procedure*, const Procedure*>> pairs;
  for (const auto& [of, p] : all) {
    const auto statistic = [&](const TrainingLaw& law, const Places& some) {
      return log_scale_of(law, t.models, some);
    };
    add_finding(v, {"scale." + p.key(), "gamma_w of " + p.label(t.thresholds), "bits"},
                exponential(interval_of_models(t.law, t.models, p.models, statistic, interval_options(t.thresholds))));
    const auto same = all.find({straight_through, p.is_low}), more = all.find({straight_through, false});
    const auto base = same != all.end() ? same : more;
    if (p.method != straight_through && base != all.end() && trajectories_of(t.models, p.models) >= least)
      pairs.emplace_back(&p, &base->second);
  }
  add_control(v, Control::other_procedures, !pairs.empty());
  BandEvidence evidence;
  const IntervalOptions together = simultaneous_options(t.thresholds, static_cast<int>(pairs.size()));
  for (const auto& [own, base] : pairs) {
    Places both = own->models;
    both.insert(both.end(), base->models.begin(), base->models.end());
    const auto gap = [&, own = own, base = base](const TrainingLaw& law, const Places& some) {
      const auto side = [&](const Procedure& p) {
        return log_scale_of(law, t.models, t.among(some, [&](const Subject& s) {
          return s.method == p.method && t.is_low(s) == p.is_low;
        }));
      };
      return side(*own) - side(*base);
    };
    evidence.numbers.push_back(interval_of_models(t.law, t.models, both, gap, together));
    add_finding(v,
                {"gap." + own->key(),
                 fmt::format("ln of gamma_w, {} over {}", own->label(t.thresholds), base->label(t.thresholds)), "ln"},
                evidence.numbers.back());
    v.prose += fmt::format(" ln gamma_w of {} over {} is {}.", own->label(t.thresholds), base->label(t.thresholds),
                           in_words(evidence.numbers.back()));
  }
  if (!evidence.numbers.empty())
    add_finding(v, {"gap", "ln of gamma_w over that of straight-through, the procedure that decides", "ln"},
                evidence.numbers[deciding(evidence, 0, t.thresholds.q16_scale_tolerance)]);
  const Outcome outcome = procedure_rule()(evidence, t.thresholds);
  add_finding(v, {"one_scale", "no procedure has a scale of its own (1), one has (0)"},
              outcome == Outcome::supported ? 1
              : outcome == Outcome::refuted ? 0
                                            : NAN);
  if (!pairs.empty()) v.prose += " " + procedure_rule().answer(outcome);
}

/// Sets outcome, estimate and prose from the widths that decide.
/// expects at least one of them
void decide_widths(Verdict& v, const std::vector<Width>& widths, const Thresholds& thresholds) {
  BandEvidence evidence;
  std::vector<const Width*> judged;
  std::string words;
  for (const Width& w : widths) {
    if (!w.decides) continue;
    judged.push_back(&w), evidence.numbers.push_back(w.residual);
    words += fmt::format("{}{} of {}", words.empty() ? "" : ", ", in_words(w.residual), w.label);
    v.n += static_cast<int>(w.models.size());
  }
  const Width& first = *judged[deciding(evidence, 0, thresholds.q16_tolerance)];
  v.estimate_label += ", " + first.label;
  set_estimate(v, first.residual);
  decide(v, few_bits_rule(), evidence, thresholds);
  v.prose =
      fmt::format("ln of N_eff over that of the law fitted from {:g} bits on is {}.", thresholds.q16_bits_min, words);
}

void add_controls(Verdict& v, const Trained& t) {
  std::set<double> fitted, sizes, low;
  for (const LowWeightModel& m : t.models) {
    sizes.insert(m.N);
    if (t.is_fitted(m)) fitted.insert(m.train_w_bits);
    if (t.is_low(m)) low.insert(m.train_w_bits);
  }
  add_control(v, Control::several_precisions, fitted.size() >= 2);
  add_control(v, Control::several_low_sizes, sizes.size() >= 2);
  add_control(v, Control::extreme_bits, low.contains(1) && low.contains(ternary_bits));
}

/// The verdict on effective sizes and scales.
Verdict of_effective_size(const Table& table, const Thresholds& thresholds) {
  Verdict v =
      open_verdict("Q16", "Does training at one to two bits follow the law of more bits, by any procedure?",
                   "N (1 - exp(-P/gamma_w)), fitted from three bits on, gives N_eff of weights trained at fewer",
                   {"deciding", "ln of N_eff over that of the law of more bits", "ln"}, few_bits_rule(), thresholds);
  int unpaired = 0;
  LowWeightModels models = low_weight_models(table.losses, unpaired);
  std::erase_if(models, [](const Subject& s) { return s.has_experts(); });
  add_finding(v, {"dropped.without_full", "models dropped: no full precision of equal size, tokens, seed and recipe"},
              unpaired);
  add_control(v, Control::full_precision_peers, !models.empty());
  const std::optional<LawWithError> law = known_size_law(v, table, thresholds);
  if (!law || models.empty()) {
    v.prose = models.empty() ? "Nothing can be said: no weights were trained at few bits beside their twin in full "
                               "precision."
                             : "Nothing can be said: the losses in full precision do not determine what a size is "
                               "worth; several model sizes and token counts are needed.";
    return v;
  }
  const Trained trained{models, *law, thresholds};
  add_controls(v, trained);
  std::vector<Width> widths = widths_of(trained);
  std::set<double> fitted;
  int judged = 0;
  for (const Width& w : widths) {
    if (w.method == straight_through && !(w.bits < thresholds.q16_bits_min)) fitted.insert(w.bits);
    judged += w.decides;
  }
  LowWeightModels cells;
  for (Width& w : widths) {
    if (w.decides)
      for (const std::size_t i : w.models) cells.push_back(models[i]);
    if (w.bits < thresholds.q16_bits_min)
      w.residual = mean_beside_law(
          trained, [&](const Subject& s) { return s.method == w.method && s.train_w_bits == w.bits; }, residual_of,
          simultaneous_options(thresholds, judged));
    add_width(v, trained, w);
  }
  if (const int count = count_cells(keys_of(cells)); fitted.size() < 2 || count < thresholds.cells_min) {
    v.prose = fmt::format(
        "Nothing can be said: straight-through training has {} widths from {:g} bits on, two are needed; below, "
        "{} cells of size, tokens and bits have {:g} trajectories, {:g} are needed.",
        fitted.size(), thresholds.q16_bits_min, count, thresholds.trajectories_min, thresholds.cells_min);
    add_procedures(v, trained);
    return v;
  }
  add_finding(
      v, {"residual", "ln of N_eff over that of the law of more bits, all models below", "ln"},
      mean_beside_law(
          trained, [&](const Subject& s) { return trained.is_low(s); }, residual_of, interval_options(thresholds)));
  decide_widths(v, widths, thresholds);
  add_procedures(v, trained);
  return v;
}

}  // namespace

Verdict judge_few_bits(const Table& table, const Thresholds& thresholds) {
  Verdict v = of_effective_size(table, thresholds);
  add_further_quantization(v, table, thresholds);
  return v;
}

}  // namespace hone::theory
