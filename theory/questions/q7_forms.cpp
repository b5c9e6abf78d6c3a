#include "theory/questions/q7_forms.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "theory/noise/rounding.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/forms.hpp"
#include "theory/questions/growth.hpp"
#include "theory/questions/loss_fit.hpp"
#include "theory/questions/regime.hpp"

namespace hone::theory {
namespace {

/// The form named before the run stands first.
const std::vector<LawKind> plain_forms{
    LawKind::ptq_step,        LawKind::ptq_exponential,    LawKind::ptq_bit_power,
    LawKind::ptq_rate,        LawKind::ptq_bit_difference, LawKind::ptq_step_saturating,
    LawKind::ptq_step_broken, LawKind::ptq_saturating,     LawKind::ptq_broken};

/// The plain forms, and the squared step with the exponents of the study's own losses where those are known.
std::vector<FunctionalForm> forms_of(Verdict& v, const Table& table, const Thresholds& thresholds) {
  std::vector<FunctionalForm> forms;
  for (const LawKind kind : plain_forms) forms.push_back(form_of(kind));
  const FitSummary losses = fit_losses(table, thresholds);
  const bool is_known = determines_size(losses) && !losses.at_bound[3] && !losses.not_identified[3];
  add_control(v, Control::loss_exponents, is_known);
  if (!is_known) return forms;
  FunctionalForm capybara{"step_of_losses", "squared step, exponents of the losses", LawKind::ptq_step, {}};
  capybara.options.held = {NAN, losses.parameters[3], losses.parameters[1]};
  forms.push_back(capybara);
  return forms;
}

/// Rows selected by their prediction, as observations of ln delta; P_w says that they were trained at 16 bits.
std::vector<Observation> observations_of(const PredictionRows& p) {
  std::vector<Observation> rows;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    Observation o{{p.rows[i].N, p.rows[i].D, p.rows[i].P}, p.log_delta[i], p.sigma[i], p.keys[i].cell, p.keys[i].seed};
    o.point.P_w = 16;
    rows.push_back(o);
  }
  return rows;
}

/// Held-out errors of every form and their paired differences to the first; `part` is "" or "late.". Differences are left
/// out for forms that the rows cannot tell from another one. Returns what they are told from, in words.
std::string add_scores(Verdict& v, const std::vector<FormScore>& scores, const std::string& part,
                       const std::string& words) {
  std::string twins;
  for (std::size_t k = 0; k < scores.size(); ++k) {
    const FormScore& s = scores[k];
    const std::string& name = s.form.name;
    add_held_out(v, {s.form.key, name + words}, s.held_out, part);
    if (s.twin != k) {
      add_finding(v,
                  {part + "indistinguishable." + s.form.key,
                   fmt::format("these rows cannot tell {} from {}{}", name, scores[s.twin].form.name, words)},
                  1);
      twins += fmt::format("{}{} and {}", twins.empty() ? "" : "; ", name, scores[s.twin].form.name);
    } else if (k > 0) {
      add_finding(v,
                  {part + "held_out_difference." + s.form.key,
                   "squared held-out error, squared step minus " + name + words, "ln^2"},
                  s.contrast.difference);
    }
  }
  return twins.empty() ? ""
                       : " On these rows these forms predict the same, so nothing tells them apart: " + twins + ".";
}

/// Error and bias of each form at numbers of bits that it was not fitted to.
void add_other_bits(Verdict& v, const Table& table, const Thresholds& thresholds) {
  Thresholds wide = thresholds;
  wide.ptq_bits_min = 2, wide.ptq_bits_max = 15;
  Dropped ignored;
  const auto rows = observations_of(prediction_rows(table, wide, ignored));
  const Split split = split_by_bits(rows, thresholds.ptq_bits_min, thresholds.ptq_bits_max);
  std::map<double, Split> by_bits;
  for (const Observation& o : split.predicted) by_bits[o.point.P].predicted.push_back(o);
  add_control(v, Control::fewer_bits, !by_bits.empty() && by_bits.begin()->first < thresholds.ptq_bits_min);
  add_control(v, Control::more_bits, !by_bits.empty() && by_bits.rbegin()->first > thresholds.ptq_bits_max);
  for (const LawKind kind : plain_forms) {
    const FitOptions options = warmed(form_of(kind), split.fitted).options;
    for (auto& [bits, some] : by_bits) {
      some.fitted = split.fitted;
      const Extrapolation e = extrapolate(kind, some, options, Scale::log);
      const std::string key = ".bits_" + key_number(bits) + "." + law(kind).key;
      add_finding(v, {"other_bits.error" + key, fmt::format("error at {:g} bits: {}", bits, law(kind).name), "ln"},
                  e.rmse);
      add_finding(v,
                  {"other_bits.bias" + key,
                   fmt::format("measured minus predicted at {:g} bits: {}", bits, law(kind).name), "ln"},
                  e.bias);
    }
  }
}

/// Damage at P over that at P + 1 bits, checkpoint by checkpoint, beside what three laws say. Returns them in words.
std::string add_factors(Verdict& v, const PredictionRows& p, const Thresholds& thresholds) {
  using Place = std::tuple<std::string, std::string, double, double>;  // run, variant, D, P
  std::map<Place, std::size_t> places;
  for (std::size_t i = 0; i < p.rows.size(); ++i)
    places.emplace(Place{p.rows[i].run, p.rows[i].variant, p.rows[i].D, p.rows[i].P}, i);
  struct Steps {
    std::vector<PtqRow> rows;
    std::vector<double> damage, predicted, sigma;
  };
  std::map<double, Steps> by_bits;
  for (std::size_t i = 0; i < p.rows.size(); ++i) {
    const PtqRow& r = p.rows[i];
    const auto next = places.find({r.run, r.variant, r.D, r.P + 1});
    if (next == places.end() || r.P < 2) continue;  // a grid of one bit has no step
    Steps& s = by_bits[r.P];
    s.rows.push_back(r);
    s.damage.push_back(p.log_delta[i] - p.log_delta[next->second]);
    s.predicted.push_back(p.log_predicted[i] - p.log_predicted[next->second]);
    s.sigma.push_back(combined_sigma({p.sigma[i], p.sigma[next->second]}, 0));
  }
  std::string words;
  for (const auto& [bits, s] : by_bits) {
    const std::vector<RowKey> keys = keys_of(s.rows);
    const auto factor = [&](const std::vector<std::size_t>& rows) {
      return std::vector<double>{std::exp(weighted_mean(s.damage, s.sigma, rows)),
                                 std::exp(weighted_mean(s.predicted, s.sigma, rows))};
    };
    const auto intervals = jackknife(keys, factor, interval_options(thresholds));
    const std::string key = "factor.bits_" + key_number(bits);
    const std::string name = fmt::format("factor {:g} to {:g} bits", bits, bits + 1);
    const double step = step2_ratio(static_cast<int>(bits));
    add_finding(v, {key, name}, intervals[0]);
    add_finding(v, {key + ".prediction", name + ": of the prediction"}, intervals[1]);
    add_finding(v, {key + ".step", name + ": squared step"}, step);
    add_finding(v, {key + ".kumar", name + ": exponential, Kumar et al."}, std::exp(kumar_ptq_parameters()[3]));
    add_finding(v, {key + ".ouyang", name + ": power, Ouyang et al."},
                std::pow((bits + 1) / bits, ouyang_parameters()[3]));
    words += fmt::format("{}{} (squared step {:.3g}) from {:g} to {:g}", words.empty() ? "" : ", ",
                         in_words(intervals[0]), step, bits, bits + 1);
  }
  return words;
}

/// The shapes in bits alone, within checkpoints. Returns what they say in words.
std::string add_shapes(Verdict& v, const PredictionRows& p, const Thresholds& thresholds) {
  std::map<std::tuple<std::string, std::string, double>, std::size_t> numbers;
  std::vector<std::size_t> checkpoint;
  for (const PtqRow& r : p.rows)
    checkpoint.push_back(numbers.try_emplace({r.run, r.variant, r.D}, numbers.size()).first->second);
  const std::vector<BitShape> shapes{
      {"step", "squared step", [](double bits) { return -2 * std::log(std::exp2(bits - 1) - 1); }, false},
      {"exponential", "exponential in bits", [](double bits) { return bits; }, true},
      {"bit_power", "power of bits", [](double bits) { return std::log(bits); }, true},
      {"rate", "four per bit", [](double bits) { return -2 * std::log(2.0) * bits; }, false}};
  std::string better, worse;
  for (const ShapeScore& s : score_shapes(shapes, p, checkpoint, thresholds)) {
    add_finding(v, {"within.held_out." + s.key, "within checkpoints, held-out error: " + s.name, "ln"}, s.rmse);
    if (s.key == shapes[0].key) continue;
    add_finding(v,
                {"within.held_out_difference." + s.key,
                 "within checkpoints, squared held-out error, squared step minus " + s.name, "ln^2"},
                s.difference);
    if (s.difference.low > 0) better += (better.empty() ? "" : ", ") + s.name;
    if (s.difference.high < 0) worse += (worse.empty() ? "" : ", ") + s.name;
  }
  std::string words;
  if (!better.empty()) words += " Within checkpoints, where only the bits differ, it is worse than: " + better + ".";
  if (!worse.empty()) words += " Within checkpoints, where only the bits differ, it is better than: " + worse + ".";
  return words;
}

void add_choice(Verdict& v, const std::vector<Observation>& rows, const Thresholds& thresholds) {
  const auto folded = in_folds(rows, static_cast<int>(thresholds.form_folds) / 2);
  FitOptions options;
  options.starts = 3;  // in each fold of folds
  const NestedChoice choice = nested_choice(plain_forms, folded, options, Scale::log);
  add_finding(v, {"nested.error", "nested held-out error of choosing a form", "ln"}, choice.rmse);
  for (std::size_t k = 0; k < plain_forms.size(); ++k)
    if (choice.chosen[k] > 0)
      add_finding(v, {"nested.folds." + law(plain_forms[k]).key, "folds that chose: " + law(plain_forms[k]).name},
                  choice.chosen[k]);
}

/// Sets outcome, estimate and prose from the scores; the first is the form named before the run.
void decide_forms(Verdict& v, const std::vector<FormScore>& scores, const Thresholds& thresholds) {
  const FormScore& named = scores[0];
  const FormScore* best = nullptr;
  std::string beaten_by, equal;
  FormsEvidence evidence{{}, std::isfinite(named.held_out.rmse_log), 0};
  for (std::size_t k = 1; k < scores.size(); ++k) {
    const FormScore& s = scores[k];
    if (!std::isfinite(s.held_out.rmse_log) || s.twin == 0) continue;
    if (best == nullptr || s.held_out.rmse_log < best->held_out.rmse_log) best = &s;
    evidence.is_least = evidence.is_least && named.held_out.rmse_log <= s.held_out.rmse_log;
    evidence.differences.push_back(s.contrast.difference);
    if (s.form.kind == LawKind::ptq_exponential || s.form.kind == LawKind::ptq_bit_power)
      evidence.published_beaten += s.contrast.difference.high < 0;
    const auto append = [&](std::string& list) { list += (list.empty() ? "" : "; ") + s.form.name; };
    if (s.contrast.difference.low > 0) append(beaten_by);
    if (s.contrast.is_equal) append(equal);
  }
  if (best == nullptr) {
    v.prose = "Nothing can be said: no rival of the squared step could be fitted and told from it.";
    return;
  }
  set_estimate(v, best->contrast.difference);
  decide(v, forms_rule(), evidence, thresholds);
  v.prose = fmt::format(
      "Held out, the squared step with powers of D and N errs by {:.3g} in ln damage, its best rival ({}) by {:.3g}; "
      "the mean squared error of the first exceeds that of the second by {}.",
      named.held_out.rmse_log, best->form.name, best->held_out.rmse_log, in_words(best->contrast.difference));
  if (!beaten_by.empty()) v.prose += " It is beaten beyond the interval by: " + beaten_by + ".";
  if (!equal.empty()) v.prose += " These rows cannot tell it from: " + equal + ".";
}

/// The same forms on the rows of the late regime alone. Returns a sentence on them.
std::string add_late(Verdict& v, const Table& table, const PredictionRows& p, const std::vector<FunctionalForm>& forms,
                     const Thresholds& thresholds) {
  const LateRegime regime(table, thresholds);
  const PredictionRows late = prediction_columns(late_rows(p.rows, regime), thresholds);
  add_finding(v, {"late.rows", "rows of the late regime, " + regime.words()}, double(late.rows.size()));
  std::set<double> bits;
  for (const PtqRow& r : late.rows) bits.insert(r.P);
  const bool is_enough = count_cells(late.keys) >= thresholds.cells_min && bits.size() >= 2;
  add_control(v, Control::late_forms, is_enough);
  if (!is_enough) return "";
  const auto scores = score_forms(forms, observations_of(late), thresholds);
  const std::string twins = add_scores(v, scores, "late.", ", late");
  const FormScore& best = *std::min_element(scores.begin(), scores.end(), [](const FormScore& a, const FormScore& b) {
    return std::isfinite(a.held_out.rmse_log) && !(a.held_out.rmse_log >= b.held_out.rmse_log);  // NaN last
  });
  return fmt::format("{} In the late regime ({}) the squared step errs by {:.3g}, the best form ({}) by {:.3g}.", twins,
                     regime.words(), scores[0].held_out.rmse_log, best.form.name, best.held_out.rmse_log);
}

}  // namespace

Verdict judge_forms(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict(
      "Q7", "Which functional form does the damage have in bits and in tokens?",
      "the damage, its measured first-order term taken out, goes as the squared step of the grid, times powers of "
      "tokens and size",
      {"best_rival_difference", "mean squared held-out error, squared step minus its best rival", "ln^2"}, forms_rule(),
      thresholds);
  Dropped dropped;
  const PredictionRows p = prediction_rows(table, thresholds, dropped);
  const std::vector<Observation> rows = observations_of(p);
  v.n = static_cast<int>(rows.size());
  add_dropped(v, dropped);
  std::set<double> bits;
  for (const Observation& o : rows) bits.insert(o.point.P);
  add_control(v, Control::three_widths, bits.size() >= 3);
  const int cells = count_cells(p.keys), cells_min = static_cast<int>(thresholds.cells_min);
  if (cells < cells_min || bits.size() < 2) {
    v.prose = fmt::format("Nothing can be said: {} rows in {} cells (at least {} needed) at {} numbers of bits.", v.n,
                          cells, cells_min, bits.size());
    return v;
  }
  const std::vector<FunctionalForm> forms = forms_of(v, table, thresholds);
  const auto scores = score_forms(forms, rows, thresholds);
  decide_forms(v, scores, thresholds);
  v.prose += add_scores(v, scores, "", "");
  for (const FormScore& s : scores)
    if (!s.form.options.held.empty()) add_finding(v, {"aicc." + s.form.key, "AICc: " + s.form.name}, s.aicc);
  v.prose += add_late(v, table, p, forms, thresholds);
  add_reach(v, plain_forms, rows, thresholds);
  add_other_bits(v, table, thresholds);
  add_choice(v, rows, thresholds);
  v.prose += add_shapes(v, p, thresholds);
  if (const std::string factors = add_factors(v, p, thresholds); !factors.empty())
    v.prose += " One bit more divides the damage by " + factors + ".";
  return v;
}

}  // namespace hone::theory
