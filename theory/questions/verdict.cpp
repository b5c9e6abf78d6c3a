#include "theory/questions/verdict.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "sim/base/error.hpp"

namespace hone::theory {
namespace {

using Json = nlohmann::ordered_json;
constexpr int schema = 1;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double number_of(const Json& object, const char* name) {
  const Json& value = object.at(name);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

Outcome outcome_of(const std::string& name, const std::string& source) {
  for (const Outcome o : {Outcome::supported, Outcome::refuted, Outcome::inconclusive})
    if (outcome_name(o) == name) return o;
  throw FormatError(
      fmt::format("{}: field outcome = \"{}\", expected supported, refuted or inconclusive; run "
                  "`hone judge` again",
                  source, name));
}

Json to_object(const Verdict& v) {
  Json o{{"id", v.id},
         {"question", v.question},
         {"hypothesis", v.hypothesis},
         {"outcome", outcome_name(v.outcome)},
         {"prose", v.prose},
         {"estimate", number(v.estimate)},
         {"low", number(v.low)},
         {"high", number(v.high)},
         {"level", number(v.level)},
         {"n", v.n},
         {"rule", v.rule}};
  o["thresholds"] = o["controls"] = o["details"] = Json::array();
  for (const Threshold& t : v.thresholds)
    o["thresholds"].push_back({{"name", t.name}, {"value", number(t.value)}, {"meaning", t.meaning}});
  for (const Control& c : v.controls) o["controls"].push_back({{"name", c.name}, {"was_run", c.was_run}});
  for (const Detail& d : v.details)
    o["details"].push_back(
        {{"name", d.name}, {"value", number(d.value)}, {"low", number(d.low)}, {"high", number(d.high)}});
  return o;
}

Verdict from_object(const Json& o, const std::string& source) {
  Verdict v;
  v.id = o.at("id");
  v.question = o.at("question");
  v.hypothesis = o.at("hypothesis");
  v.outcome = outcome_of(o.at("outcome"), source);
  v.prose = o.at("prose");
  v.estimate = number_of(o, "estimate");
  v.low = number_of(o, "low");
  v.high = number_of(o, "high");
  v.level = number_of(o, "level");
  v.n = o.at("n");
  v.rule = o.at("rule");
  for (const Json& t : o.at("thresholds"))
    v.thresholds.push_back({t.at("name"), number_of(t, "value"), t.at("meaning")});
  for (const Json& c : o.at("controls")) v.controls.push_back({c.at("name"), c.at("was_run")});
  for (const Json& d : o.at("details"))
    v.details.push_back({d.at("name"), number_of(d, "value"), number_of(d, "low"), number_of(d, "high")});
  return v;
}

}  // namespace

std::string_view outcome_name(Outcome outcome) {
  switch (outcome) {
    case Outcome::supported: return "supported";
    case Outcome::refuted: return "refuted";
    case Outcome::inconclusive: return "inconclusive";
  }
  return "";
}

std::vector<Threshold> default_thresholds() {
  return {
      {"level", 0.95, "level of every interval"},
      {"fit_scatter", 0.1, "scatter in ln units added in quadrature to every standard error"},
      {"ptq_bits_min", 3, "least bits per weight that enter a fit"},
      {"ptq_bits_max", 6, "most bits per weight that enter a fit"},
      {"ptq_min_snr", 2, "least damage, in its standard errors, that enters a fit"},
      {"cells_min", 3, "fewest cells (N, D, variant) that can give an outcome"},
      {"trajectories_min", 3, "fewest trajectories (sizes and seeds) of a contrast that can decide"},
      {"reach_share", 0.6, "share of the range of ln(D/N) that is fitted when the rest is predicted"},
      {"form_folds", 10, "groups of cells that are left out in turn when many forms are compared"},
      {"loss_scatter", 0.01, "scatter in ln units of losses that is added in quadrature to their standard error"},
      {"form_margin", 0.8, "held-out error of the saturating over the power form that refutes growth"},
      {"q1_gamma_d_min", 0, "growth exponent of the damage above which it grows"},
      {"q1_equivalence", 0.1, "half-width of the band around q1_gamma_d_min that counts as no growth"},
      {"q2_gamma_d_min", 0, "growth exponent of the trace above which it grows"},
      {"q2_equivalence", 0.1, "half-width of the band around q2_gamma_d_min that counts as no growth"},
      {"q3_tolerance", 0.1, "distance from 1 of the slope of ln delta on ln prediction"},
      {"q4_tolerance", 0.1, "excess over 1 of the residual's share in the top directions over its null"},
      {"q5_tolerance", 0.15, "distance from 0 of the change of ln damage at fixed prediction"},
      {"q5_exponent_tolerance", 0.1, "distance from 0 of the exponent of D at fixed prediction"},
      {"q6_tolerance", 0.1, "distance from 0 of the interaction relative to the sum"},
      {"q6_balance", 0.2, "least share of the smaller of the two damages in their sum"},
      {"q6_breakdown", 0.05, "interaction relative to the sum beyond which independence of given bits breaks down"},
      {"q6_channel_length", 64, "channel length in the predicted noise of absmax rounding"},
      {"q8_drift", 0.5,
       "change of the optimal precision, in bits per decade of compute or of tokens, that counts as none"},
  };
}

std::vector<Threshold> with_values(std::vector<Threshold> thresholds, const std::map<std::string, double>& values) {
  std::vector<std::string> names;
  for (const Threshold& t : thresholds) names.push_back(t.name);
  for (const auto& [name, value] : values) {
    bool is_known = false;
    for (Threshold& t : thresholds)
      if (t.name == name) t.value = value, is_known = true;
    if (!is_known)
      throw OptionError(fmt::format("thresholds: unknown name {}; did you mean {}?", name, nearest_name(name, names)));
    if (!std::isfinite(value)) throw OptionError(fmt::format("thresholds: {} = {}; give a finite number", name, value));
  }
  return thresholds;
}

double value_of(const std::vector<Threshold>& thresholds, std::string_view name) {
  for (const Threshold& t : thresholds)
    if (t.name == name) return t.value;
  EXPECTS(false, "value_of: no threshold {}", name);
  return 0;
}

const Detail* find_detail(const Verdict& verdict, std::string_view name) {
  for (const Detail& d : verdict.details)
    if (d.name == name) return &d;
  return nullptr;
}

std::string to_json(const std::vector<Verdict>& verdicts) {
  Json all{{"schema", schema}, {"verdicts", Json::array()}};
  for (const Verdict& v : verdicts) all["verdicts"].push_back(to_object(v));
  return all.dump(2) + "\n";
}

std::vector<Verdict> verdicts_from_json(std::string_view text, const std::string& source) {
  try {
    const Json all = Json::parse(text);
    if (all.at("schema") != schema)
      throw FormatError(fmt::format("{}: field schema = {}, expected {}; run `hone judge` again", source,
                                    all.at("schema").dump(), schema));
    std::vector<Verdict> verdicts;
    for (const Json& o : all.at("verdicts")) verdicts.push_back(from_object(o, source));
    return verdicts;
  } catch (const nlohmann::json::exception& e) {
    throw FormatError(fmt::format("{}: not a verdict file ({}); run `hone judge` again", source, e.what()));
  }
}

}  // namespace hone::theory
