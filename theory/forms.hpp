// Functional forms on one set of rows: held-out errors in folds of cells, AICc, and paired differences to the first.
// Internal to the questions.
#pragma once

#include <string>
#include <vector>

#include "theory/evidence.hpp"
#include "theory/model_choice.hpp"

namespace hone::theory {

/// A law, perhaps with some parameters held.
struct FunctionalForm {
  std::string name;
  LawKind kind = LawKind::ptq_step;
  FitOptions options{};
};

/// The form started from its own fit to the rows, so that fits to parts of them need no random starts.
FunctionalForm warmed(FunctionalForm form, const std::vector<Observation>& rows);

struct FormScore {
  FunctionalForm form;
  HeldOut held_out;
  double aicc = 0;
  FormContrast contrast;  ///< mean squared held-out error of the first form minus that of this one
};

/// Rows whose cells are merged into at most `folds` groups, neighbours in the order of cells into different ones.
std::vector<Observation> in_folds(const std::vector<Observation>& rows, int folds);

/// Every form on the same rows.
/// math    errors of ln y of each row from a fit without its fold; contrasts are paired row by row and their intervals
///         hold together (Bonferroni)
/// expects threshold form_folds; laws on the log scale
/// cost    forms·folds fits
std::vector<FormScore> score_forms(const std::vector<FunctionalForm>& forms, const std::vector<Observation>& rows,
                                   const Thresholds& thresholds);

}  // namespace hone::theory
