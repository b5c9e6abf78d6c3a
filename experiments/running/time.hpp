// The time of runs in seconds: measured while they run, stored beside the results in outputs/STUDY/times/ID.json, and
// fitted so that a plan can state its duration. Times are not stored in run files, whose bits do not depend on the clock.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <vector>

#include "experiments/study/study.hpp"
#include "sim/base/matrix.hpp"

namespace hone::experiments {

/// Work by the cost model and the wall time that it took.
struct TimeSpent {
  double flops = 0, seconds = 0;
};

/// One process on one run. Work taken over from a killed process is in neither number.
struct RunTime {
  Index parameters = 0;
  int threads = 1;
  TimeSpent training, measuring;
};

/// Calls work() and adds its wall time, and `flops`, to `spent`; nothing when it throws.
template <class Work>
auto timed(TimeSpent& spent, double flops, Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  auto result = work();
  spent.flops += flops;
  spent.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

/// errors  IoError when the folder is not writable
void write_run_time(const std::filesystem::path& study_folder, const RunSpec& run, const RunTime& time);

/// All that are kept for a study, in order of their names; broken files are left out.
std::vector<RunTime> read_run_times(const std::filesystem::path& study_folder);

/// Seconds of one thread per flop of the cost model, a + b/parameters: b is what a token costs whatever the size.
struct Rate {
  double a = 0, b = 0;
  double error = 0;  ///< relative, of one more run
  double at(double parameters) const { return a + b / parameters; }
};

struct Rates {
  Rate training, measuring;
};

/// math    least squares of relative errors, a, b ≥ 0; error = their root mean square over n - 2, at least 5 %, and
///         50 % for two or fewer; 0 of training where nothing was trained, as with series
/// expects at least one time of measuring
Rates fit_rates(const std::vector<RunTime>& times);

/// Times a few training steps, where it has any, and Hessian products of a run's model on random examples, for about half
/// a second.
RunTime probe_run_time(const RunSpec& run, int threads);

/// When the last of `jobs` workers ends, each taking the longest of the seconds that are left.
double makespan(std::vector<double> seconds, int jobs);

}  // namespace hone::experiments
