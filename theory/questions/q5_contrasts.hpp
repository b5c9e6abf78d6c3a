// Contrasts: what a branch, an average, an arm or a rotation changes in ln damage and in ln prediction against the
// trunk at equal tokens.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "theory/questions/selection.hpp"

namespace hone::theory {

/// What sets a contrast apart from its base.
enum class Change {
  cooldown,        ///< of the main arm, over a share of the tokens before it
  fixed_cooldown,  ///< of the main arm, over a number of tokens
  average,
  cosine,
  learning_rate,
  batch,
  weight_decay,
  sharpness,      ///< of the minima that training may settle in
  number_format,  ///< of training
  rotation,
  rescaling,  ///< of weights, at equal function
};

/// Changes against a base, row by row.
struct Contrast {
  std::string key;   ///< of its findings: "cooled", "lr_lr_x4_cooled"
  std::string name;  ///< for people: "cooled", "lr, learning rate x4, cooled"
  std::set<Change> changes;
  std::vector<PtqRow> rows;  ///< those that changed
  std::vector<double> delta, predicted, sigma;
  std::vector<double> variance;  ///< of the error of `predicted`: that of the traces of the row and of its base
  int unmatched = 0;             ///< rows without a base at the same tokens
};

/// Rows that Q5 compares: full precision in training, at the end of what their schedule was laid out for, on the trunk
/// or of a cooldown or an average. Branches tuned to other data are no part of it.
bool is_comparable(const Subject& s);

/// Names for the arms: what sets them apart from the main arm's model of the same size.
class ArmNames {
 public:
  explicit ArmNames(const std::vector<PtqRow>& rows);
  /// "trunk", "cooled", "fast, learning rate x4", "fast, learning rate x4, cooled"
  std::string of(const Subject& s) const;
  /// The same as a part of a key.
  std::string key_of(const Subject& s) const;
  /// What its recipe and its kind change against the main trunk.
  std::set<Change> changes_of(const Subject& s) const;
  /// Something of the training was changed but the data: not the main trunk, nor a trunk that another arm repeats, nor
  /// another architecture of the same size.
  bool is_contrast(const Subject& s) const;

 private:
  /// The parts of the recipe that differ from the main arm's model of the same size.
  struct Difference {
    Change change;
    std::string key, words;
  };
  const Subject* main_of(const Subject& s) const;
  std::vector<Difference> differences_of(const Subject& s) const;

  std::vector<Subject> main_;  ///< one trunk subject of the main arm for each size
};

/// What a row and its base have in common beside size and seed.
enum class Peer { equal_tokens, equal_loss };

/// Contrasts of all branches and averages with their own trunk, and of the trunks of all other arms with the main
/// trunk of equal size and seed.
/// math    the base is interpolated between checkpoints, in ln D or in the loss, and never extrapolated; so is the
///         variance of its prediction, of which an unknown one counts as 0
/// ensures in the order of the names; rows selected as select_predicted does
std::vector<Contrast> contrasts_with_trunk(const std::vector<PtqRow>& selected, const ArmNames& names,
                                           const Thresholds& thresholds, Peer peer = Peer::equal_tokens);

/// Rotated and rescaled (smoothed) against given coordinates, all rounded to nearest, at one checkpoint and width. Both
/// leave the function as it is. A rotation keeps the spectrum of the Hessian and changes the steps; a rescaling changes
/// both. The prediction is ½ e'He of the error that was made, in its own coordinates.
/// ensures contrasts without rows are left out
std::vector<Contrast> contrasts_of_coordinates(const std::vector<SchemeRow>& schemes, const Thresholds& thresholds);

/// ln tr H of the same contrasts, by name.
struct TraceContrast {
  std::string key, name;
  std::vector<SharpnessRow> rows;
  std::vector<double> change;
};
std::vector<TraceContrast> trace_contrasts(const std::vector<SharpnessRow>& all, const ArmNames& names);

}  // namespace hone::theory
