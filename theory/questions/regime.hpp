// The late regime: checkpoints after the trace has stopped its first steep rise. Exponents over all checkpoints are those
// of that rise; what more tokens do to a trained model shows after it.
#pragma once

#include <set>
#include <string>
#include <tuple>

#include "theory/questions/thresholds.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Where the rise of the trace ends, and which checkpoints lie beyond.
class LateRegime {
 public:
  /// By the loss where the study gives late_loss; otherwise by the knee of ln tr H over ln D on the main trunk.
  /// math    knee: two straight lines in ln D that meet at ln D*, common slopes, a constant per size; D* of least squares
  ///         over the token counts that were measured, two at least on each side in some size
  LateRegime(const Table& table, const Thresholds& thresholds);

  bool contains(const Subject& s) const { return late_.contains({s.run, s.variant, s.D}); }
  bool is_found() const { return !late_.empty(); }
  /// Tokens at the knee; NaN where the loss decides, or where there is no knee.
  double knee_tokens() const { return knee_; }
  /// "loss below 1.8 nats", "from 1.7e+06 tokens on"
  const std::string& words() const { return words_; }

 private:
  std::set<std::tuple<std::string, std::string, double>> late_;
  double knee_;
  std::string words_;
};

/// The rows of the regime.
template <class Row>
std::vector<Row> late_rows(const std::vector<Row>& rows, const LateRegime& regime) {
  std::vector<Row> late;
  for (const Row& r : rows)
    if (regime.contains(r)) late.push_back(r);
  return late;
}

}  // namespace hone::theory
