// One line on standard error that says what a study has done, what it is doing and when it will be done.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace hone::experiments {

/// Work in floating-point operations of the cost model, shared by all workers; thread-safe. On a terminal the line
/// is redrawn twice a second; elsewhere a line is printed every 20 seconds, so that logs stay short.
class Progress {
 public:
  /// `total` is the work of all runs that are still to do.
  Progress(std::string title, double total);
  ~Progress();

  /// `run` has done `flops` more; `activity` is what it does now ("training 1.2 of 4.0 M tokens").
  void advance(const std::string& run, double flops, const std::string& activity);
  /// Prints a whole line of its own above the moving one.
  void say(const std::string& line);
  /// `run` is no longer under way.
  void finish(const std::string& run);

 private:
  using Clock = std::chrono::steady_clock;
  void draw(bool always);
  std::string line() const;

  std::mutex mutex_;
  std::string title_;
  double total_ = 0, done_ = 0;
  Clock::time_point start_, drawn_;
  bool is_terminal_ = false;
  std::map<std::string, std::string> activities_;
};

/// "42 s", "3 min 05 s", "2 h 10 min".
std::string duration_text(double seconds);

/// 1234567 -> "1.23 M".
std::string count_text(double count);

}  // namespace hone::experiments
