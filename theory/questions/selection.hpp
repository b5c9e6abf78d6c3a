// From rows to evidence: which rows may enter, to which cell and seed they belong, and the columns that the questions
// share.
#pragma once

#include <array>
#include <cmath>
#include <compare>
#include <functional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "theory/fits/fit.hpp"
#include "theory/fits/jackknife.hpp"
#include "theory/fits/weighted.hpp"
#include "theory/questions/thresholds.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Rows that a selection left out, by the first reason that applied.
struct Dropped {
  int not_finite = 0;
  int not_positive = 0;
  int below_noise = 0;
  int unbalanced = 0;  ///< pairs of sites of which one dominates
};

/// What a model is built of.
struct Shape {
  std::string style, sub_norms;
  std::array<double, 7>
      sizes{};  ///< layers, width, heads, heads of keys and values, MLP width, experts, those of a token
  auto operator<=>(const Shape&) const = default;  // NOLINT(modernize-use-nullptr): its 0 is in the library
};
/// What it was trained on and how, at full precision.
struct Training {
  std::string data, schedule, train_format;
  std::array<double, 5> numbers{};                    ///< peak rate, batch, weight decay, SAM radius, gradient penalty
  auto operator<=>(const Training&) const = default;  // NOLINT(modernize-use-nullptr): its 0 is in the library
};
/// Everything that a run records of how a model was made but its tokens, its seed and the bits of its training.
struct Recipe {
  Shape shape;
  Training training;
  auto operator<=>(const Recipe&) const = default;  // NOLINT(modernize-use-nullptr): its 0 is in the library
};
Recipe recipe_of(const Subject& s);

/// A cell of the design: everything that was chosen, the seed aside.
using Cell = std::tuple<double, double, std::string, std::string, std::string, Recipe, std::array<double, 3>,
                        std::string, std::string>;
inline Cell cell_of(const Subject& s) {
  return {
      s.N,      s.D,       s.variant, s.model, s.arm, recipe_of(s), {s.train_w_bits, s.train_a_bits, s.train_kv_bits},
      s.method, s.rounding};
}

/// Cell and trajectory of each row; cells are numbered in the order of their values.
template <class Row>
std::vector<RowKey> keys_of(const std::vector<Row>& rows) {
  std::set<Cell> cells;
  for (const Row& r : rows) cells.insert(cell_of(r));
  std::vector<RowKey> keys;
  keys.reserve(rows.size());
  for (const Row& r : rows) keys.push_back({std::distance(cells.begin(), cells.find(cell_of(r))), r.N, r.seed});
  return keys;
}

/// Number of distinct cells.
int count_cells(const std::vector<RowKey>& keys);

/// Number of trajectories (sizes and seeds).
int count_trajectories(const std::vector<RowKey>& keys);

/// Which rows a question is about.
using Wanted = std::function<bool(const Subject&)>;

/// A checkpoint on the trunk of the study's main arm.
bool is_main_trunk(const Subject& s);

/// A checkpoint on a trunk of any arm that is trained in full precision.
bool is_full_trunk(const Subject& s);

/// Two models count as equally large.
/// expects threshold equal_size
bool is_equal_size(double N, double other, const Thresholds& thresholds);

/// A schedule that decays says something only at its end: true there, and everywhere under a constant rate.
bool is_settled(const Subject& s);

/// Weight quantization rows of transformers with bits within the study's range whose damage is
/// positive and above the noise. Rows of other architectures or bits do not count as dropped.
/// expects thresholds ptq_bits_min, ptq_bits_max, ptq_min_snr
std::vector<PtqRow> select_damage(const std::vector<PtqRow>& rows, const Wanted& wanted, const Thresholds& thresholds,
                                  Dropped& dropped);

/// The damage less its first-order term g'e, which is what the prediction ½ tr(HΣ) is about. g'e of the one error that
/// was made is measured on the windows of the damage; over many roundings it is near 0 from 3 bits on (Q3 lists its
/// sums), so taking it out moves no expectation and removes most of the noise (a control variate). Rows in which it was
/// not measured stay as they are. delta_se becomes the error of the difference where it was recorded; elsewhere it stays
/// that of the damage, an upper bound: it holds the window noise of g'e too.
PtqRow without_first_order(PtqRow row);

/// The same rows without their first-order terms, selected by the prediction instead of the damage: selection on the
/// regressor does not bend a slope, selection on the outcome does.
std::vector<PtqRow> select_predicted(const std::vector<PtqRow>& rows, const Wanted& wanted,
                                     const Thresholds& thresholds, Dropped& dropped);

/// Rows of damage as observations of ln delta.
/// expects  delta > 0 in every row
std::vector<Observation> damage_observations(const std::vector<PtqRow>& rows, double scatter);

IntervalOptions interval_options(const Thresholds& thresholds);

/// The same with intervals of which `count` hold together at the study's level (Bonferroni).
IntervalOptions simultaneous_options(const Thresholds& thresholds, int count);

/// Variance of ln prediction by the error of the trace; 0 where it is not known.
double prediction_variance(const PtqRow& row);

/// Rows of the prediction test as columns, ready for regress.
struct PredictionRows {
  std::vector<PtqRow> rows;
  std::vector<RowKey> keys;
  std::vector<double> log_delta;  ///< of the damage without its first-order term
  std::vector<double> log_predicted;
  std::vector<double> predicted_variance;  ///< of log_predicted, by the error of the trace
  std::vector<double> sigma;               ///< of log_delta - log_predicted
};

/// Logs and standard errors of rows.
/// expects  delta and predicted > 0
PredictionRows prediction_columns(std::vector<PtqRow> rows, const Thresholds& thresholds);

/// Rows of select_predicted for the main trunk with their logs.
PredictionRows prediction_rows(const Table& table, const Thresholds& thresholds, Dropped& dropped);

/// Slope and intercept of ln delta on ln predicted; NaN for too few rows.
struct Line {
  double slope = 0, intercept = 0;
};
Line prediction_line(const PredictionRows& p);

}  // namespace hone::theory
