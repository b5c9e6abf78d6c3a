// Campaigns like one that was run, with seeds that nobody has seen: the rows of a finished study, split into what all
// seeds of an arm share and what each seed adds. Design, noise and rows that a judge drops are those of real runs.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "theory/rows/rows.hpp"

namespace hone::theory {

/// One row of a design with its deviations. Numbers that are positive in every seed are taken as logarithms; a damage
/// is taken less its first-order term.
template <class Row>
struct Site {
  Row mean;                        ///< over the seeds; its seed and run are those of the first
  std::vector<char> is_log;        ///< by number of the row
  std::vector<int> seeds;          ///< which seeds of the pilot have the row
  std::vector<double> deviations;  ///< from the mean, seed by seed, all numbers of a row together
};

/// A pilot study from which others with the same arms and checkpoints are drawn.
class Redraw {
 public:
  explicit Redraw(const Table& pilot);

  /// Most seeds that an arm of the pilot has. Below two nothing is known of the scatter between seeds.
  int seeds() const { return seeds_; }

  /// The same study with another truth: plant(mean rows) changes what the seeds share and leaves their deviations.
  /// expects plant keeps the number and order of the rows
  Redraw with(const std::function<void(Table& mean)>& plant) const;

  /// A study of the same design with new seeds 0 … seeds-1.
  /// math    number x of a row becomes x̄ + Σ_s z_s (x_s - x̄)/√(n-1) over the n seeds s of the pilot, z ~ N(0, 1), one z
  ///         for each (N, new seed, s): mean and covariance over seeds are the pilot's, and all rows of a trajectory
  ///         deviate together as they did there
  /// ensures equal arguments give equal bits
  /// cost    one pass over the rows per seed
  /// source  smoothed bootstrap of whole trajectories (Efron & Tibshirani 1993, chapters 8 and 16)
  Table draw(int seeds, std::uint64_t world) const;

 private:
  template <class Row>
  using Sites = std::vector<Site<Row>>;

  template <class Row>
  void add(Sites<Row>& sites, const std::vector<Row>& rows);
  template <class Row>
  void draw(std::vector<Row>& rows, const Sites<Row>& sites, int seed, std::uint64_t world) const;
  template <class Self, class Visit>
  static void for_kinds(Self& self, Visit&& visit);

  int seeds_ = 0;
  std::vector<double> sizes_;  ///< N, in order: number the trajectories
  Sites<PtqRow> ptq_;
  Sites<SharpnessRow> sharpness_;
  Sites<FactorialRow> factorial_;
  Sites<NoiseRow> noise_;
  Sites<LossRow> losses_;
  Sites<ShiftRow> shift_;
  Sites<SchemeRow> schemes_;
  Sites<InjectionRow> injection_;
  Sites<ExpertRow> experts_;
  Sites<CacheRow> cache_;
  Sites<CopyRow> copies_;
  Sites<ScheduleRow> schedules_;
  Sites<TaskRow> tasks_;
};

}  // namespace hone::theory
