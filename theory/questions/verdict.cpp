#include "theory/questions/verdict.hpp"

#include <cctype>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "sim/base/error.hpp"

namespace hone::theory {
namespace {

using Json = nlohmann::ordered_json;
constexpr int schema = 4;

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

Control control_of(const std::string& key, const std::string& source) {
  for (const Control c : all_controls())
    if (key_of(c) == key) return c;
  throw FormatError(fmt::format("{}: control \"{}\" is unknown; run `hone judge` again", source, key));
}

Json to_object(const Verdict& v) {
  Json o{{"id", v.id},
         {"question", v.question},
         {"hypothesis", v.hypothesis},
         {"outcome", outcome_name(v.outcome)},
         {"answer", v.answer},
         {"prose", v.prose},
         {"estimate_key", v.estimate_key},
         {"estimate_label", v.estimate_label},
         {"unit", v.unit},
         {"estimate", number(v.estimate)},
         {"low", number(v.low)},
         {"high", number(v.high)},
         {"level", number(v.level)},
         {"bounds", v.bounds},
         {"distance_se", number(v.distance_se)},
         {"p_value", number(v.p_value)},
         {"is_primary", v.is_primary},
         {"p_holm", number(v.p_holm)},
         {"n", v.n},
         {"rule", v.rule}};
  o["thresholds"] = o["controls"] = o["findings"] = Json::array();
  for (const Threshold& t : v.thresholds)
    o["thresholds"].push_back({{"name", t.name}, {"value", number(t.value)}, {"meaning", t.meaning}});
  for (const ControlState& c : v.controls)
    o["controls"].push_back({{"key", key_of(c.control)}, {"label", label_of(c.control)}, {"was_run", c.was_run}});
  for (const Finding& f : v.findings)
    o["findings"].push_back({{"key", f.key},
                             {"label", f.label},
                             {"estimate", number(f.estimate)},
                             {"low", number(f.low)},
                             {"high", number(f.high)},
                             {"unit", f.unit}});
  return o;
}

Verdict from_object(const Json& o, const std::string& source) {
  Verdict v;
  v.id = o.at("id");
  v.question = o.at("question");
  v.hypothesis = o.at("hypothesis");
  v.outcome = outcome_of(o.at("outcome"), source);
  v.answer = o.at("answer");
  v.prose = o.at("prose");
  v.bounds = o.at("bounds").get<std::vector<double>>();
  v.distance_se = number_of(o, "distance_se");
  v.p_value = number_of(o, "p_value");
  v.is_primary = o.at("is_primary");
  v.p_holm = number_of(o, "p_holm");
  v.estimate_key = o.at("estimate_key");
  v.estimate_label = o.at("estimate_label");
  v.unit = o.at("unit");
  v.estimate = number_of(o, "estimate");
  v.low = number_of(o, "low");
  v.high = number_of(o, "high");
  v.level = number_of(o, "level");
  v.n = o.at("n");
  v.rule = o.at("rule");
  for (const Json& t : o.at("thresholds"))
    v.thresholds.push_back({t.at("name"), number_of(t, "value"), t.at("meaning")});
  for (const Json& c : o.at("controls")) v.controls.push_back({control_of(c.at("key"), source), c.at("was_run")});
  for (const Json& f : o.at("findings"))
    v.findings.push_back({f.at("key"), f.at("label"), number_of(f, "estimate"), number_of(f, "low"),
                          number_of(f, "high"), f.at("unit")});
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

const Finding* find_finding(const Verdict& verdict, std::string_view key) {
  for (const Finding& f : verdict.findings)
    if (f.key == key) return &f;
  return nullptr;
}

std::string key_word(std::string_view text) {
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 128 && std::isalnum(byte))
      word += static_cast<char>(std::tolower(byte));
    else if (!word.empty() && word.back() != '_')
      word += '_';
  }
  while (!word.empty() && word.back() == '_') word.pop_back();
  return word;
}

std::string to_json(const std::vector<Verdict>& verdicts, const std::string& registration) {
  Json all{{"schema", schema}, {"registration", registration}, {"verdicts", Json::array()}};
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
