// Functional forms on one set of rows: held-out errors in folds of cells, AICc, and paired differences to the first.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "theory/fits/held_out.hpp"
#include "theory/questions/selection.hpp"

namespace hone::theory {

/// A law, perhaps with some parameters held.
struct FunctionalForm {
  std::string key;   ///< of its findings
  std::string name;  ///< for people
  LawKind kind = LawKind::ptq_step;
  FitOptions options{};
};

/// A law as it stands.
FunctionalForm form_of(LawKind kind);

/// The form started from its own fit to the rows, so that fits to parts of them need no random starts.
FunctionalForm warmed(FunctionalForm form, const std::vector<Observation>& rows);

/// The rows cannot tell two fits apart: their predictions differ by less than a thousandth of the error of every row.
/// Such fits are one form on this design, and a difference of their errors would be rounding.
/// shapes  ln of each prediction, one per row; false where one is not finite
bool are_indistinguishable(const std::vector<double>& a, const std::vector<double>& b,
                           const std::vector<Observation>& rows);

struct FormScore {
  FunctionalForm form;
  std::size_t twin = 0;  ///< the first form of the list that these rows cannot tell from it; its own place when none
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
/// ensures a form that the rows cannot tell from the first has an empty contrast
std::vector<FormScore> score_forms(const std::vector<FunctionalForm>& forms, const std::vector<Observation>& rows,
                                   const Thresholds& thresholds);

/// A shape in bits alone: x(P) with its slope free, or held at 1.
struct BitShape {
  std::string key, name;
  std::function<double(double)> x;
  bool has_slope = false;
};

struct ShapeScore {
  std::string key, name;
  double rmse = 0;      ///< of ln delta within checkpoints
  Interval difference;  ///< mean squared error of the first shape minus that of this one; hold together (Bonferroni)
};

/// Shapes in bits compared within checkpoints, so that what tokens and sizes do to the damage cancels.
/// math    y - mean y against b (x - mean x), means over the bits of each checkpoint, b from all other cells
/// shapes  checkpoint[i] numbers the checkpoint of row i
std::vector<ShapeScore> score_shapes(const std::vector<BitShape>& shapes, const PredictionRows& p,
                                     const std::vector<std::size_t>& checkpoint, const Thresholds& thresholds);

}  // namespace hone::theory
