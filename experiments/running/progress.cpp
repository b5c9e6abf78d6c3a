#include "experiments/running/progress.hpp"

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

Progress::Progress(std::string title, double total, Now now)
    : title_(std::move(title)),
      now_(std::move(now)),
      total_(total),
      start_(now_()),
      drawn_(start_),
      is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (is_terminal_) std::fputs("\r\033[K", stderr);
}

Progress::Lane& Progress::lane(const std::string& run) {
  const auto [at, is_new] = lanes_.try_emplace(run);
  if (is_new) at->second.left = total_, at->second.last = start_;
  return at->second;
}

void Progress::add(Lane& lane, double flops, Work work) {
  (work == Work::done ? done_ : taken_) += flops;
  lane.left -= flops;
}

void Progress::begin(const std::string& run, double flops) {
  const std::lock_guard lock(mutex_);
  lanes_[run] = Lane{flops, 0, 0, 0, now_(), ""};
}

void Progress::advance(const std::string& run, double flops, const std::string& activity, Work work) {
  const std::lock_guard lock(mutex_);
  Lane& l = lane(run);
  add(l, flops, work);
  (work == Work::done ? l.part_done : l.part_taken) += flops;
  const Clock::time_point now = now_();
  if (work == Work::done) seconds_ += std::chrono::duration<double>(now - l.last).count();
  l.last = now;
  l.activity = activity;
  draw(false);
}

void Progress::begin_part(const std::string& run, double planned_flops) {
  const std::lock_guard lock(mutex_);
  Lane& l = lane(run);
  l.part_planned = planned_flops, l.part_done = l.part_taken = 0;
}

void Progress::end_part(const std::string& run) {
  const std::lock_guard lock(mutex_);
  Lane& l = lane(run);
  const double reported = l.part_done + l.part_taken, rest = l.part_planned - reported;
  const double share = reported > 0 ? l.part_done / reported : 0;
  add(l, rest * share, Work::done), add(l, rest * (1 - share), Work::taken_over);
}

void Progress::finish(const std::string& run) {
  const std::lock_guard lock(mutex_);
  const auto at = lanes_.find(run);
  if (at == lanes_.end()) return;
  taken_ += at->second.left;
  lanes_.erase(at);
}

void Progress::say(const std::string& text) {
  const std::lock_guard lock(mutex_);
  fmt::print(stderr, "{}{}\n", is_terminal_ ? "\r\033[K" : "", text);
  draw(is_terminal_);
}

double Progress::done() const {
  const std::lock_guard lock(mutex_);
  return done_;
}

double Progress::taken_over() const {
  const std::lock_guard lock(mutex_);
  return taken_;
}

double Progress::seconds_left() const {
  const std::lock_guard lock(mutex_);
  return estimate();
}

double Progress::estimate() const {
  const double left = std::max(0.0, total_ - taken_ - done_);
  if (!(done_ > 0) || done_ < 0.01 * (total_ - taken_)) return std::nan("");
  return left * seconds_ / (done_ * double(std::max<std::size_t>(1, lanes_.size())));
}

std::string Progress::line() const {
  const double share = total_ > 0 ? std::min(1.0, (done_ + taken_) / total_) : 1, left = estimate();
  std::string text =
      fmt::format("{}: {:3.0f} %, {} left", title_, 100 * share, std::isnan(left) ? "…" : duration_text(left));
  for (const auto& [run, lane] : lanes_)
    if (!lane.activity.empty()) text += fmt::format(" | {}: {}", run, lane.activity);
  return text;
}

void Progress::draw(bool always) {
  const auto now = now_();
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
