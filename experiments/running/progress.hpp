// One line on standard error: finished work, current work and time left of a study.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "experiments/instruments/watch.hpp"

namespace hone::experiments {

/// Work in floating-point operations of the cost model, shared by all workers; thread-safe. On a terminal the line
/// is redrawn twice a second; elsewhere a line is printed every 20 seconds, so that logs stay short.
///
/// math    left = total - done - taken over. The rate of a worker is done / seconds, the seconds being those between two
///         reports of a run of which the later one is of work done; with w runs under way,
///         seconds_left = left * seconds / (done * w). At a constant rate this is the true time left, however much was
///         taken over and however long that took.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;
  using Now = std::function<Clock::time_point()>;

  /// `total` is the work of all runs that are still to do, what earlier starts did of them included.
  Progress(std::string title, double total, Now now = Clock::now);
  ~Progress();

  /// A worker takes up `run`, which has `flops` of the total. A run that is not begun has the whole total, from the
  /// construction of this on.
  void begin(const std::string& run, double flops);
  /// `run` has `flops` more; `activity` is what it does now ("training 1.2 of 4.0 M tokens").
  void advance(const std::string& run, double flops, const std::string& activity, Work work = Work::done);
  /// `run` comes to a part with this much of the plan, such as a measurement, which ends early where its instruments
  /// converge; end_part() counts the planned work whatever was reported, as done and as taken over in the proportion of
  /// the reports.
  void begin_part(const std::string& run, double planned_flops);
  void end_part(const std::string& run);
  /// Prints a whole line of its own above the moving one.
  void say(const std::string& line);
  /// `run` is no longer under way. What it left of its share, as one that diverged, is not left to do.
  void finish(const std::string& run);

  /// What was done by this start, and what it took over, in flops.
  double done() const;
  double taken_over() const;
  /// Until all is done; NaN before one hundredth of what this start has to do is done.
  double seconds_left() const;

 private:
  /// A run under way.
  struct Lane {
    double left = 0;  ///< of its share of the total
    double part_planned = 0, part_done = 0, part_taken = 0;
    Clock::time_point last;  ///< report
    std::string activity;
  };
  Lane& lane(const std::string& run);
  void add(Lane& lane, double flops, Work work);
  double estimate() const;
  void draw(bool always);
  std::string line() const;

  mutable std::mutex mutex_;
  std::string title_;
  Now now_;
  double total_ = 0, done_ = 0, taken_ = 0;
  double seconds_ = 0;  ///< in which the work was done, summed over the workers
  Clock::time_point start_, drawn_;
  bool is_terminal_ = false;
  std::map<std::string, Lane> lanes_;
};

/// "42 s", "3 min 05 s", "2 h 10 min".
std::string duration_text(double seconds);

/// 1234567 -> "1.23 M".
std::string count_text(double count);

}  // namespace hone::experiments
