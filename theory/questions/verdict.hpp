// A verdict: the outcome of one question of a study, with the thresholds that were fixed before the run, the numbers, and
// the controls that were and were not run. Figures and reports read verdicts and compute no statistics.
#pragma once

#include <array>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "theory/questions/controls.hpp"
#include "theory/questions/thresholds.hpp"

namespace hone::theory {

/// Names of the questions in the order of judging.
inline constexpr std::array<std::string_view, 25> question_ids{
    "Q1",  "Q2",  "Q3",  "Q4",  "Q5",  "Q6",  "Q7",  "Q8",  "Q9",  "Q10", "Q11", "Q12", "Q13",
    "Q14", "Q15", "Q16", "Q17", "Q18", "Q19", "Q20", "Q21", "Q22", "Q23", "Q24", "Q25"};

enum class Outcome { supported, refuted, inconclusive };

std::string_view outcome_name(Outcome outcome);

/// Whether the study met a control.
struct ControlState {
  Control control = Control::several_seeds;
  bool was_run = false;
};

/// A number behind a verdict. Programs find it by its key, such as "q5.residual.cooled_fixed"; the label is for people.
struct Finding {
  std::string key;
  std::string label;
  double estimate = 0;
  double low = 0;  ///< low and high are NaN where it has no interval
  double high = 0;
  std::string unit;  ///< "1" for pure numbers, "ln" for differences of logarithms
};

struct Verdict {
  std::string id;            ///< Q1, Q2 …
  std::string question;      ///< in plain words
  std::string hypothesis;    ///< what `supported` would mean
  std::string estimate_key;  ///< of the number that the rule judges: "q3.slope"
  std::string estimate_label;
  std::string unit;
  double estimate = 0;
  double low = 0;
  double high = 0;
  double level = 0.95;                ///< of [low, high]
  std::string rule;                   ///< how the interval and the thresholds give the outcome
  std::vector<Threshold> thresholds;  ///< those that the rule uses
  Outcome outcome = Outcome::inconclusive;
  std::string answer;          ///< to the question, in one plain sentence without numbers
  std::vector<double> bounds;  ///< of the judged number, at which the outcome changes
  double distance_se = NAN;    ///< of the estimate from the nearest of them, in standard errors; NaN: not known
  double p_value = NAN;        ///< of the decision, by its rule alone; NaN: undecided, or not known
  bool is_primary = true;      ///< named by the study before its runs; the outcome of others is not corrected
  double p_holm = NAN;         ///< the p-value after Holm's correction over the primary verdicts of the study
  std::string prose;           ///< one to three sentences with the numbers
  std::vector<ControlState> controls;
  int n = 0;  ///< rows used
  std::vector<Finding> findings;
};

/// The finding of that key, nullptr when there is none.
const Finding* find_finding(const Verdict& verdict, std::string_view key);

/// Letters and digits of a text as a part of a key: "learning rate x0.25" becomes "learning_rate_x0_25".
std::string key_word(std::string_view text);

/// JSON text of verdicts, schema 4 (sim/record/SCHEMA.md): {"schema": 4, "verdicts": [...]}; numbers that are not finite
/// become null. `registration` says how the study stands to its registration.
std::string to_json(const std::vector<Verdict>& verdicts, const std::string& registration = "not registered");

/// Verdicts from such a text; null becomes NaN.
/// errors  FormatError naming the source, the field and the fix
std::vector<Verdict> verdicts_from_json(std::string_view text, const std::string& source);

}  // namespace hone::theory
