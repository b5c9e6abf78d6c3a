#include "theory/questions/q8_precision.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>

#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"
#include "theory/noise/rounding.hpp"
#include "theory/precision/effective_parameters.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/forms.hpp"
#include "theory/questions/q8_training_fit.hpp"
#include "theory/rows/curve.hpp"

namespace hone::theory {
namespace {

constexpr std::array<const char*, 3> part_names{"w", "a", "kv"};
constexpr std::array<Control, 3> part_controls{Control::weights_apart, Control::activations_apart,
                                               Control::cache_apart};

std::vector<Observation> drawn_rows(const std::vector<Observation>& rows, const std::vector<std::size_t>& sample) {
  std::vector<Observation> drawn;
  for (const std::size_t i : sample) drawn.push_back(rows[i]);
  return drawn;
}

/// The exponential law with intervals of P* and of each part's scale and offset.
struct Optimum {
  Interval bits;
  std::vector<Interval> parts;      ///< gamma and offset of w, a, kv
  std::vector<Interval> log_gamma;  ///< ln of gamma of w, a, kv
};

Optimum measure_optimum(const TrainingFit& fit, const std::vector<Observation>& rows, const Thresholds& thresholds) {
  const auto statistic = [&](const std::vector<std::size_t>& sample) {
    std::vector<double> values(10, NAN);
    const TrainingFit refitted = fit.refit(drawn_rows(rows, sample));
    if (!refitted.is_usable()) return values;
    values[0] = optimal_bits(refitted.law());
    std::copy(refitted.parameters().begin() + 5, refitted.parameters().end(), values.begin() + 1);
    const auto& bounds = law(LawKind::train_exponential).parameters;
    for (std::size_t part = 0; part < 3; ++part) {
      const double gamma = values[1 + 2 * part], low = bounds[5 + 2 * part].low, high = bounds[5 + 2 * part].high;
      if (gamma > 1.001 * low && gamma < 0.999 * high) values[7 + part] = std::log(gamma);  // a bound is no estimate
    }
    return values;
  };
  const auto intervals = jackknife(keys_of(rows), statistic, interval_options(thresholds));
  return {intervals[0], {intervals.begin() + 1, intervals.begin() + 7}, {intervals.begin() + 7, intervals.end()}};
}

/// Held-out errors of a training law by folds of cells; NaN where a fit failed.
std::vector<double> held_out_losses(const TrainingFit& whole, const std::vector<Observation>& rows,
                                    const Thresholds& thresholds) {
  const auto folded = in_folds(rows, static_cast<int>(thresholds.form_folds));
  std::vector<double> errors(rows.size(), NAN);
  std::set<std::int64_t> folds;
  for (const Observation& o : folded) folds.insert(o.cell);
  for (const std::int64_t fold : folds) {
    std::vector<Observation> rest;
    for (const Observation& o : folded)
      if (o.cell != fold) rest.push_back(o);
    const TrainingFit fit = whole.refit(rest);
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (folded[i].cell == fold && fit.is_usable())
        errors[i] = rows[i].log_y - std::log(predict(fit.kind(), fit.parameters(), rows[i].point));
  }
  return errors;
}

std::vector<double> log_predictions(const TrainingFit& fit, const std::vector<Observation>& rows) {
  std::vector<double> predictions;
  for (const Observation& o : rows) predictions.push_back(std::log(predict(fit.kind(), fit.parameters(), o.point)));
  return predictions;
}

/// Some row lowers two parts or more.
bool lowers_together(const std::vector<Observation>& rows) {
  return std::any_of(rows.begin(), rows.end(), [](const Observation& o) {
    return (o.point.P_w < 16) + (o.point.P_a < 16) + (o.point.P_kv < 16) > 1;
  });
}

/// The rivals of the exponential law: held-out errors, paired differences, and their P*. A rival that the rows cannot
/// tell from it is named, and has no difference.
void add_rivals(Verdict& v, const TrainingFit& exponential, const PrecisionRows& all, const Thresholds& thresholds) {
  const auto& rows = all.observations;
  const auto of_first = held_out_losses(exponential, rows, thresholds);
  add_finding(v, {"held_out.exponential", "held-out error: exponential", "ln"},
              summarize_held_out(of_first, rows).rmse_log);
  const auto of_exponential = log_predictions(exponential, rows);
  std::string equal, better, twins;
  struct Rival {
    LawKind kind;
    std::string key, name;
  };
  const Rival rivals[] = {{LawKind::train_logistic, "logistic", "logistic"},
                          {LawKind::train_tail, "tail", "power tail"},
                          {LawKind::train_additive, "additive", "additive"}};
  for (const auto& [kind, key, name] : rivals) {
    const TrainingFit fit(kind, all, rows);
    if (!fit.is_usable()) continue;
    if (are_indistinguishable(of_exponential, log_predictions(fit, rows), rows)) {
      add_finding(v, {"indistinguishable." + key, "these rows cannot tell exponential from " + name}, 1);
      twins += (twins.empty() ? "" : ", ") + name;
      continue;
    }
    const auto errors = held_out_losses(fit, rows, thresholds);
    const FormContrast c = contrast_errors(of_first, errors, rows, simultaneous_options(thresholds, 3));
    add_finding(v, {"held_out." + key, "held-out error: " + name, "ln"}, summarize_held_out(errors, rows).rmse_log);
    add_finding(v, {"held_out_difference." + key, "squared held-out error, exponential minus " + name, "ln^2"},
                c.difference);
    add_finding(v, {"optimal_bits." + key, "optimal bits of the form: " + name, "bits"}, fit.optimal_bits());
    if (c.is_equal) equal += (equal.empty() ? "" : ", ") + name;
    if (c.difference.low > 0) better += (better.empty() ? "" : ", ") + name;
  }
  if (!twins.empty())
    v.prose += fmt::format(
        " On these rows the exponential form predicts the same as another, which it is not told from: {}{}.", twins,
        lowers_together(rows) ? "" : "; each run lowers one part only");
  if (!better.empty()) v.prose += " Held out, a rival form of N_eff is better: " + better + ".";
  if (!equal.empty()) v.prose += " These rows cannot tell its form from: " + equal + ".";
}

/// Bits below 16 to which some run lowers the part, 2 at least.
std::vector<double> lowered_bits(const PrecisionRows& all, std::size_t part) {
  std::set<double> bits;
  for (const LossRow& r : all.rows) {
    const double own = std::array{r.train_w_bits, r.train_a_bits, r.train_kv_bits}[part];
    if (own >= 2 && own < 16) bits.insert(own);
  }
  return {bits.begin(), bits.end()};
}

/// The scale of each part against the one that the information in its codes implies: whether they are equal.
/// math    ln (gamma fitted / gamma derived); derived from the entropy of the codes of Gaussian values of which the largest
///         of q6_channel_length sets the step
void add_information(Verdict& v, const PrecisionRows& all, const Optimum& optimum, const Thresholds& thresholds) {
  const double extreme = absmax_moments(static_cast<int>(thresholds.q6_channel_length)).mean;
  bool is_derived = false;
  for (std::size_t part = 0; part < 3; ++part) {
    const std::vector<double> bits = lowered_bits(all, part);
    if (bits.size() < 2) continue;
    is_derived = true;
    std::vector<double> information;
    for (const double b : bits) {
      const auto code_max = static_cast<std::int64_t>(std::exp2(std::floor(b) - 1)) - 1;
      information.push_back(gaussian_code_entropy(static_cast<double>(code_max) / extreme, code_max));
    }
    const double derived = information_scale(bits, information).scale.gamma;
    Interval ratio = optimum.log_gamma[part];
    for (double* end : {&ratio.estimate, &ratio.low, &ratio.high}) *end -= std::log(derived);
    const std::string name = part_names[part], key = "information." + name;
    add_finding(v, {key + ".derived", "gamma_" + name + " of the information in the codes", "bits"}, derived);
    add_finding(v, {key + ".log_ratio", "ln of gamma_" + name + " fitted over that of the information", "ln"}, ratio);
    v.prose += fmt::format(" Fitted gamma_{} over that of the information in the codes has the ln {}. {}", name,
                           in_words(ratio), information_rule().answer(information_rule()(ratio, thresholds)));
  }
  add_control(v, Control::information_scale, is_derived);
}

/// One loss at low precision with its N_eff/N.
struct MeasuredSize {
  LossRow row;
  std::array<double, 3> bits{};  ///< of weights, activations, KV
  double share = NAN;
};

/// N_eff/N of each low-precision loss beside full precision at equal size, tokens and seed; the latter interpolated in
/// ln D.
std::vector<MeasuredSize> measured_sizes(const PrecisionRows& all, const TrainingLaw& law) {
  std::map<std::pair<double, std::int64_t>, Curve> full;
  for (const LossRow& r : all.rows)
    if (r.is_full_precision()) full[{r.N, r.seed}].add(std::log(r.D), r.loss);
  std::vector<MeasuredSize> sizes;
  for (const LossRow& r : all.rows) {
    const auto peer = full.find({r.N, r.seed});
    if (r.is_full_precision() || peer == full.end()) continue;
    const double share = empirical_fraction(law, r.N, r.loss, peer->second.at(std::log(r.D)));
    if (std::isfinite(share)) sizes.push_back({r, {r.train_w_bits, r.train_a_bits, r.train_kv_bits}, share});
  }
  return sizes;
}

/// Bits of most Π f(P)/P over the parts that some run lowers alone to three widths or more.
double optimum_of_measured(const std::vector<MeasuredSize>& sizes, const std::vector<std::size_t>& sample) {
  std::array<std::map<double, std::pair<double, int>>, 3> parts;
  for (const std::size_t i : sample)
    for (std::size_t part = 0; part < 3; ++part) {
      const auto& b = sizes[i].bits;
      const bool is_alone = b[part] < 16 && b[(part + 1) % 3] >= 16 && b[(part + 2) % 3] >= 16;
      if (is_alone) parts[part][b[part]].first += sizes[i].share, ++parts[part][b[part]].second;
    }
  std::vector<std::map<double, double>> curves;
  for (const auto& points : parts) {
    curves.emplace_back();
    for (const auto& [b, sum] : points) curves.back()[b] = sum.first / sum.second;
  }
  return measured_optimum(curves);
}

/// Bits of training as a point of the law; 16 and more are full precision.
Point point_of(const std::array<double, 3>& bits) {
  const auto part = [](double b) { return b < 16 ? b : std::numeric_limits<double>::infinity(); };
  Point point;
  point.P_w = part(bits[0]), point.P_a = part(bits[1]), point.P_kv = part(bits[2]);
  return point;
}

/// The sizes that were measured beside those of the fitted curve. Returns how many of them the curve leaves.
CurveMisfit add_measured_sizes(Verdict& v, const PrecisionRows& all, const TrainingLaw& law,
                               const Thresholds& thresholds) {
  const std::vector<MeasuredSize> sizes = measured_sizes(all, law);
  add_control(v, Control::full_precision_peers, !sizes.empty());
  CurveMisfit misfit;
  if (sizes.empty()) return misfit;
  std::map<std::array<double, 3>, std::vector<std::size_t>> by_bits;
  std::vector<LossRow> rows;
  for (std::size_t i = 0; i < sizes.size(); ++i) by_bits[sizes[i].bits].push_back(i), rows.push_back(sizes[i].row);
  for (const auto& [bits, members] : by_bits) {
    const std::string name = fmt::format("W{:g}A{:g}KV{:g}", bits[0], bits[1], bits[2]);
    std::vector<LossRow> own;
    std::vector<double> share;
    for (const std::size_t i : members) own.push_back(sizes[i].row), share.push_back(sizes[i].share);
    const Interval measured =
        mean_interval(keys_of(own), share, std::vector<double>(share.size(), 1.0), interval_options(thresholds));
    add_finding(v, {"fraction." + key_word(name), fmt::format("N_eff/N measured, {} in training", name)}, measured);
    const double fitted = effective_fraction(law, point_of(bits));
    add_finding(v, {"fitted_fraction." + key_word(name), fmt::format("N_eff/N of the fitted curve, {}", name)}, fitted);
    if (!std::isfinite(measured.low)) continue;
    ++misfit.points;
    misfit.missed += fitted < measured.low || fitted > measured.high;
  }
  add_finding(v, {"misfit.missed", "measured N_eff/N whose interval the fitted curve leaves"}, misfit.missed);
  add_finding(v, {"misfit.points", "measured N_eff/N with an interval"}, misfit.points);
  const auto optimum = [&](const std::vector<std::size_t>& sample) {
    return std::vector<double>{optimum_of_measured(sizes, sample)};
  };
  add_finding(v, {"optimal_bits.measured", "optimal bits of the measured N_eff, interpolated", "bits"},
              jackknife(keys_of(rows), optimum, interval_options(thresholds))[0]);
  return misfit;
}

/// P* of refits to growing budgets, and its slope in bits per decade; NaN where the study has too few.
Interval add_drift(Verdict& v, const TrainingFit& fit, const PrecisionRows& all, const Thresholds& thresholds) {
  constexpr int budgets = 4;
  double least = INFINITY, most = 0;
  for (const Observation& o : all.observations) {
    const double cost = training_cost(all, o);
    least = std::min(least, cost), most = std::max(most, cost);
  }
  const double z = normal_quantile(thresholds.level);
  std::vector<BudgetFit> fits;
  for (int i = 1; i <= budgets; ++i) {
    const double share = 0.4 + 0.6 * i / budgets;  // the smaller budgets hold too few runs for a fit
    const double budget = least * std::pow(most / least, share);
    std::vector<Observation> paid;
    for (const Observation& o : all.observations)
      if (training_cost(all, o) <= budget * (1 + 1e-9)) paid.push_back(o);
    const TrainingFit smaller = fit.refit(paid);
    if (!smaller.is_usable()) continue;
    const Interval bits = measure_optimum(smaller, paid, thresholds).bits;
    const double error = (bits.high - bits.low) / (2 * z);
    if (!(error > 0) || !std::isfinite(bits.estimate)) continue;
    add_finding(
        v,
        {fmt::format("budget_bits.{}", i), fmt::format("optimal bits from budgets up to {:.3g} FLOPs", budget), "bits"},
        bits);
    fits.push_back({budget, smaller.law(), error});
  }
  add_control(v, Control::growing_budgets, fits.size() >= 3);
  if (fits.size() < 3) return {NAN, NAN, NAN, 0};
  const PrecisionDrift drift = precision_drift(fits);
  const Interval slope{drift.slope, drift.slope - z * drift.standard_error, drift.slope + z * drift.standard_error, 0};
  add_finding(v, {"drift.compute", "drift of the optimal bits per decade of compute", "bits/decade"}, slope);
  return slope;
}

/// A model size with its bits of training: what must be there at few and at many tokens to be compared.
using Setting = std::tuple<double, double, double, double>;
Setting setting_of(const Point& x) { return {x.N, x.P_w, x.P_a, x.P_kv}; }

/// Low-precision rows up to and beyond the geometric middle of their tokens, those settings only that lie on both sides.
struct TokenHalves {
  double middle = NAN;
  std::set<Setting> shared;
  bool is_beyond(const Observation& o) const { return o.point.D > middle * (1 + 1e-9); }
};

bool is_low(const Observation& o) { return std::min({o.point.P_w, o.point.P_a, o.point.P_kv}) < 16; }

TokenHalves token_halves(const PrecisionRows& all) {
  TokenHalves halves;
  double least = INFINITY, most = 0;
  for (const Observation& o : all.observations)
    if (is_low(o)) least = std::min(least, o.point.D), most = std::max(most, o.point.D);
  halves.middle = std::sqrt(least * most);
  std::set<Setting> seen[2];
  for (const Observation& o : all.observations)
    if (is_low(o)) seen[halves.is_beyond(o)].insert(setting_of(o.point));
  std::set_intersection(seen[0].begin(), seen[0].end(), seen[1].begin(), seen[1].end(),
                        std::inserter(halves.shared, halves.shared.end()));
  return halves;
}

/// "w, a": the parts that some setting lowers.
std::string parts_in_words(const std::set<Setting>& settings) {
  bool lowered[3] = {};
  for (const auto& [n, w, a, kv] : settings)
    lowered[0] = lowered[0] || w < 16, lowered[1] = lowered[1] || a < 16, lowered[2] = lowered[2] || kv < 16;
  std::string words;
  for (std::size_t part = 0; part < 3; ++part)
    if (lowered[part]) words += fmt::format("{}{}", words.empty() ? "" : ", ", part_names[part]);
  return words;
}

/// P* of the same settings trained on fewer and on more tokens than the geometric middle, and its change per decade of
/// tokens; NaN where no setting has both. Refits to growing budgets keep the small runs and average a scale that moves
/// with tokens away, or turn it around; this looks at it alone.
std::array<Interval, 2> add_token_drift(Verdict& v, const TrainingFit& fit, const PrecisionRows& all,
                                        const Thresholds& thresholds) {
  const TokenHalves halves = token_halves(all);
  add_control(v, Control::models_on_more_tokens, !halves.shared.empty());
  const Interval unknown{NAN, NAN, NAN, 0};
  if (halves.shared.empty()) return {unknown, unknown};
  const auto statistic = [&](const std::vector<std::size_t>& sample) {
    std::vector<Observation> full, low[2];
    std::array<double, 2> bits{NAN, NAN}, place{};
    for (const Observation& o : drawn_rows(all.observations, sample)) {
      if (!is_low(o)) full.push_back(o);
      if (!is_low(o) || halves.shared.count(setting_of(o.point)) == 0) continue;
      low[halves.is_beyond(o)].push_back(o);
      place[halves.is_beyond(o)] += std::log10(o.point.D);
    }
    for (const std::size_t half : {0u, 1u}) {
      place[half] /= static_cast<double>(low[half].size());
      if (const TrainingFit part = fit.refit_apart(full, low[half]); part.is_usable()) bits[half] = part.optimal_bits();
    }
    return std::vector<double>{bits[0], bits[1], (bits[1] - bits[0]) / (place[1] - place[0])};
  };
  const std::vector<RowKey> keys = keys_of(all.observations);
  const auto intervals = jackknife(keys, statistic, interval_options(thresholds));
  const std::string parts = parts_in_words(halves.shared);
  add_finding(v,
              {"token_bits.fewer", fmt::format("optimal bits of {} up to {:.3g} tokens", parts, halves.middle), "bits"},
              intervals[0]);
  add_finding(v,
              {"token_bits.more", fmt::format("optimal bits of {} beyond {:.3g} tokens", parts, halves.middle), "bits"},
              intervals[1]);
  add_finding(v, {"drift.tokens", "drift of the optimal bits per decade of tokens", "bits/decade"}, intervals[2]);
  return {intervals[2], jackknife(keys, statistic, simultaneous_options(thresholds, 2))[2]};
}

std::string measured_in_words(const Verdict& v) {
  const Finding* found = find_finding(v, "q8.optimal_bits.measured");
  if (!found || !std::isfinite(found->estimate)) return "no bits for want of widths";
  return in_words({found->estimate, found->low, found->high, 0}) + " bits";
}

void decide_precision(Verdict& v, const PrecisionRows& all, const PrecisionEvidence& evidence,
                      const Thresholds& thresholds) {
  const auto& [bits, least, drift, token_drift, token_drift_both, misfit] = evidence;
  decide(v, precision_rule(), evidence, thresholds);
  v.prose = std::isfinite(bits.estimate)
                ? fmt::format("Compute is spent best at {} bits in training", in_words(bits))
                : std::string("The fitted law has no optimum between 0 bits and full precision");
  v.prose += fmt::format(", from {} trunks' losses at low precision of {:g} bits or more.", all.low, least);
  if (std::isfinite(drift.estimate))
    v.prose += fmt::format(" It moves by {} bits per decade of compute.", in_words(drift));
  if (std::isfinite(token_drift.estimate))
    v.prose += fmt::format(" The same models on more tokens move it by {} bits per decade.", in_words(token_drift));
  if (leaves_its_points(misfit, thresholds))
    v.prose += fmt::format(
        " The fitted curve leaves {} of the {} effective sizes that were measured, so that its optimum is not to be "
        "trusted; the measured sizes, interpolated, put it at {}.",
        misfit.missed, misfit.points, measured_in_words(v));
  if (!is_within_trained(evidence) && std::isfinite(bits.low))
    v.prose += " The interval is not within the bits that were trained.";
  if (!stands(evidence, thresholds) && !drifts(evidence, thresholds))
    v.prose += " Whether it drifts with compute or tokens is open.";
}

}  // namespace

Verdict judge_precision(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict(
      "Q8", "Is there a compute-optimal precision of training, and does it drift with compute?",
      "compute counted as N D P is spent best at some bits between the fewest that were trained and 16, at any budget",
      {"optimal_bits", "bits at which compute in training is spent best", "bits"}, precision_rule(), thresholds);
  const PrecisionRows all = precision_rows(table, thresholds);
  v.n = static_cast<int>(all.rows.size());
  add_finding(v, {"low_losses", "losses at low precision of training"}, all.low);
  add_control(v, Control::several_precisions, all.bits.size() >= 2);
  std::set<double> sizes;
  for (const LossRow& r : all.rows)
    if (!r.is_full_precision()) sizes.insert(r.N);
  add_control(v, Control::several_low_sizes, sizes.size() >= 2);
  if (all.bits.size() < 2 || count_cells(keys_of(all.rows)) < thresholds.cells_min) {
    v.prose = fmt::format(
        "Nothing can be said: models were trained at {} low precisions, at least 2 and {:g} cells are needed.",
        all.bits.size(), thresholds.cells_min);
    return v;
  }
  const TrainingFit fit(LawKind::train_exponential, all, all.observations);
  if (!fit.is_usable()) {
    v.prose = "Nothing can be said: the losses determine no law of size, tokens and bits of training.";
    return v;
  }
  const Optimum optimum = measure_optimum(fit, all.observations, thresholds);
  set_estimate(v, optimum.bits);
  for (std::size_t part = 0; part < 3; ++part) {
    if (!all.is_lowered[part]) continue;
    const std::string gamma = fmt::format("gamma_{}", part_names[part]), offset = fmt::format("n_{}", part_names[part]);
    add_finding(v, {gamma, gamma, "bits"}, optimum.parts[2 * part]);
    add_finding(v, {offset, offset}, optimum.parts[2 * part + 1]);
    add_control(v, part_controls[part], all.is_lowered_alone(part));
  }
  const Interval drift = add_drift(v, fit, all, thresholds);
  const auto token_drifts = add_token_drift(v, fit, all, thresholds);
  const CurveMisfit misfit = add_measured_sizes(v, all, fit.law(), thresholds);
  decide_precision(v, all, {optimum.bits, *all.bits.begin(), drift, token_drifts[0], token_drifts[1], misfit},
                   thresholds);
  add_rivals(v, fit, all, thresholds);
  add_information(v, all, optimum, thresholds);
  return v;
}

}  // namespace hone::theory
