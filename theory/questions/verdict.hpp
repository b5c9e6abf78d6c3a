// A verdict: the outcome of one question of a study, with the thresholds that were fixed before the run, the numbers, and
// the controls that were and were not run. Figures and reports read verdicts and compute no statistics.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hone::theory {

enum class Outcome { supported, refuted, inconclusive };

std::string_view outcome_name(Outcome outcome);

/// A number that decides an outcome, named in the study file.
struct Threshold {
  std::string name;
  double value = 0;
  std::string meaning;
};

/// Every threshold and setting that judge reads, with its value before any study changes it.
std::vector<Threshold> default_thresholds();

/// The defaults with some values replaced.
/// errors  OptionError for an unknown name (nearest known one in the message) or a value that is
///         not finite
std::vector<Threshold> with_values(std::vector<Threshold> thresholds, const std::map<std::string, double>& values);

/// The value of a threshold.
/// errors  ContractError when there is none of that name
double value_of(const std::vector<Threshold>& thresholds, std::string_view name);

/// A control experiment or condition, and whether the study contains it.
struct Control {
  std::string name;
  bool was_run = false;
};

/// A named number behind a verdict; low and high are NaN where it has no interval.
struct Detail {
  std::string name;
  double value = 0;
  double low = 0;
  double high = 0;
};

struct Verdict {
  std::string id;          ///< Q1 … Q8
  std::string question;    ///< in plain words
  std::string hypothesis;  ///< what `supported` would mean
  double estimate = 0;
  double low = 0;
  double high = 0;
  double level = 0.95;                ///< of [low, high]
  std::string rule;                   ///< how the interval and the thresholds give the outcome
  std::vector<Threshold> thresholds;  ///< those that the rule uses
  Outcome outcome = Outcome::inconclusive;
  std::string prose;  ///< one to three sentences with the numbers
  std::vector<Control> controls;
  int n = 0;  ///< rows used
  std::vector<Detail> details;
};

/// The detail of that name, nullptr when there is none.
const Detail* find_detail(const Verdict& verdict, std::string_view name);

/// JSON text of verdicts: {"schema": 1, "verdicts": [...]}; numbers that are not finite become
/// null.
std::string to_json(const std::vector<Verdict>& verdicts);

/// Verdicts from such a text; null becomes NaN.
/// errors  FormatError naming the source, the field and the fix
std::vector<Verdict> verdicts_from_json(std::string_view text, const std::string& source);

}  // namespace hone::theory
