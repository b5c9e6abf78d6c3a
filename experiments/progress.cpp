#include "experiments/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

namespace hone::experiments {

std::string duration_text(double seconds) {
  const auto s = std::int64_t(std::llround(std::max(0.0, seconds)));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
}

std::string count_text(double count) {
  if (count < 1e3) return fmt::format("{:.0f}", count);
  if (count < 1e6) return fmt::format("{:.3g} k", count / 1e3);
  if (count < 1e9) return fmt::format("{:.3g} M", count / 1e6);
  return fmt::format("{:.3g} G", count / 1e9);
}

Progress::Progress(std::string title, double total)
    : title_(std::move(title)),
      total_(total),
      start_(Clock::now()),
      drawn_(start_),
      is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_terminal_) std::fputs("\r\033[K", stderr);
}

void Progress::advance(const std::string& run, double flops, const std::string& activity) {
  const std::lock_guard lock(mutex_);
  done_ += flops;
  activities_[run] = activity;
  draw(false);
}

void Progress::finish(const std::string& run) {
  const std::lock_guard lock(mutex_);
  activities_.erase(run);
}

void Progress::say(const std::string& text) {
  const std::lock_guard lock(mutex_);
  fmt::print(stderr, "{}{}\n", is_terminal_ ? "\r\033[K" : "", text);
  draw(is_terminal_);
}

std::string Progress::line() const {
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  const double share = total_ > 0 ? std::min(1.0, done_ / total_) : 1;
  std::string eta = "…";
  if (share > 0.01) eta = duration_text(elapsed * (1 - share) / share);
  std::string text = fmt::format("{}: {:3.0f} %, {} left", title_, 100 * share, eta);
  for (const auto& [run, activity] : activities_) text += fmt::format(" | {}: {}", run, activity);
  return text;
}

void Progress::draw(bool always) {
  const auto now = Clock::now();
  const double since = std::chrono::duration<double>(now - drawn_).count();
  if (!always && since < (is_terminal_ ? 0.5 : 20.0)) return;
  drawn_ = now;
  if (is_terminal_)
    fmt::print(stderr, "\r\033[K{}", line().substr(0, 200));
  else
    fmt::print(stderr, "{}\n", line());
  std::fflush(stderr);
}

}  // namespace hone::experiments
