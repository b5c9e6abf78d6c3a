#include "experiments/running/executor.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <mutex>
#include <thread>

#include "experiments/instruments/cost.hpp"
#include "experiments/running/files.hpp"
#include "experiments/running/registration.hpp"
#include "experiments/running/run.hpp"
#include "experiments/running/study_folder.hpp"
#include "experiments/study/places.hpp"
#include "experiments/study/sources.hpp"
#include "experiments/study/validate.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/parallel.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

std::atomic<bool> stop_requested{false};

extern "C" void request_stop(int) { stop_requested = true; }

/// Catches the signals that ask to stop while it lives.
class SignalGuard {
 public:
  SignalGuard() {
    stop_requested = false;
    for (std::size_t i = 0; i < signals.size(); ++i) old_[i] = std::signal(signals[i], request_stop);
  }
  ~SignalGuard() {
    for (std::size_t i = 0; i < signals.size(); ++i) std::signal(signals[i], old_[i]);
  }

 private:
  static constexpr std::array signals = {SIGINT, SIGTERM, SIGUSR1};
  std::array<void (*)(int), signals.size()> old_;
};

/// Runs still to do, longest first; `damages` says what is wrong with those whose file is not whole. What a slower
/// process left behind of finished ones is removed.
std::vector<RunSpec> pending_runs(const std::vector<RunSpec>& runs, const fs::path& folder, int& skipped,
                                  std::vector<std::string>& damages) {
  std::vector<RunSpec> pending;
  for (const RunSpec& run : runs) {
    std::string damage;
    if (finished_outcome(folder, run, &damage)) {
      ++skipped;
      remove_work(folder, run);
    } else {
      pending.push_back(run);
    }
    if (!damage.empty()) damages.push_back(damage);
  }
  std::stable_sort(pending.begin(), pending.end(),
                   [](const RunSpec& a, const RunSpec& b) { return run_cost(a) > run_cost(b); });
  return pending;
}

}  // namespace

ExecuteSummary execute_study(const Study& study, const ExecuteOptions& options) {
  validate_series(plan_runs(study));
  claim_folder(options.folder, study);
  return execute_runs(study.name, plan_runs(study), options);
}

ExecuteSummary execute_runs(const std::string& title, const std::vector<RunSpec>& runs, const ExecuteOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  ensure_writable_folder(options.folder / "runs");
  ensure_writable_folder(options.folder / "work");
  const SignalGuard guard;
  ExecuteSummary summary;
  double total = 0;
  std::vector<std::string> damages;
  const std::vector<RunSpec> pending = pending_runs(runs, options.folder, summary.skipped, damages);
  for (const RunSpec& run : pending) total += run_cost(run);
  const int cores = options.cores > 0 ? options.cores : hardware_threads();
  const int jobs = std::max(1, std::min<int>(options.jobs > 0 ? options.jobs : cores, int(pending.size())));
  const int threads = options.threads > 0 ? options.threads : std::max(1, cores / jobs);
  Progress progress(title, total);
  for (const std::string& damage : damages) progress.say(fmt::format("{}; this run will be made again", damage));
  CorpusShelf shelf(cache_folder());
  const std::string registration = registration_hash(options.folder);
  std::atomic<size_t> next{0};
  std::mutex lock;
  const auto work = [&] {
    for (size_t i = next++; i < pending.size() && !stop_requested; i = next++) {
      const RunSpec& run = pending[i];
      const RunContext context{options.folder, shelf, progress, stop_requested, threads, options.command, registration};
      const std::string label = label_of(run);
      progress.begin(label, run_cost(run));
      try {
        const RunOutcome outcome = execute_run(run, context);
        const std::lock_guard guard_counts(lock);
        ++summary.finished;
        progress.say(fmt::format("{} finished ({} of {}){}", run.id(), summary.finished + summary.skipped,
                                 pending.size() + size_t(summary.skipped),
                                 outcome.is_complete() ? "" : ", " + outcome_text(outcome)));
      } catch (const Interrupted&) {
        stop_requested = true;
      } catch (const std::exception& error) {
        const std::lock_guard guard_counts(lock);
        ++summary.failed;
        note_failure(options.folder, run, error.what());
        progress.say(fmt::format("{} failed: {}", run.id(), error.what()));
      }
      progress.finish(label);
    }
  };
  std::vector<std::thread> workers;
  for (int j = 1; j < jobs; ++j) workers.emplace_back(work);
  work();
  for (std::thread& worker : workers) worker.join();
  summary.interrupted = stop_requested && summary.finished + summary.failed < int(pending.size());
  summary.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return summary;
}

}  // namespace hone::experiments
