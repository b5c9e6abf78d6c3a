// The files of a run in the folder of its study. A finished run has runs/ID.h5. A run under way has its saved states,
// work/ID.UPDATES.CHECKPOINTS.h5, and the products of the current measurement, work/ID.UPDATES.VARIANT.products. The name
// states the progress of the content. Two processes on one run, such as a task that a queue delivered twice, therefore
// write equal content under equal names, and a slow process never overwrites a newer state.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/running/outcome.hpp"
#include "experiments/study/study.hpp"

namespace hone::experiments {

/// A state from which a run can go on.
struct SavedState {
  std::filesystem::path path;
  std::int64_t updates = 0, checkpoints = 0;  ///< of the trunk: done, measured
};

std::filesystem::path finished_path(const std::filesystem::path& folder, const RunSpec& run);
std::filesystem::path saved_path(const std::filesystem::path& folder, const RunSpec& run, std::int64_t updates,
                                 std::int64_t checkpoints);
std::filesystem::path journal_path(const std::filesystem::path& folder, const RunSpec& run, std::int64_t updates,
                                   const std::string& variant);

/// The outcome that the finished file records; nothing without a whole one. `damage`, if given, says what is wrong with
/// one that is there and is not whole.
std::optional<RunOutcome> finished_outcome(const std::filesystem::path& folder, const RunSpec& run,
                                           std::string* damage = nullptr);

/// The saved states of a run, the furthest first.
std::vector<SavedState> saved_states(const std::filesystem::path& folder, const RunSpec& run);

/// Removes the saved states that are less far than this one, but for the furthest of them: a run goes on from it when
/// this one turns out to be damaged.
void remove_old_states(const SavedState& state, const std::filesystem::path& folder, const RunSpec& run);

/// Why the run failed when it was last executed; nothing when it did not, or has been going on since.
std::optional<std::string> failure_of(const std::filesystem::path& folder, const RunSpec& run);

/// Keeps that reason in work/ID.failed, if it can be written.
void note_failure(const std::filesystem::path& folder, const RunSpec& run, const std::string& reason);
void forget_failure(const std::filesystem::path& folder, const RunSpec& run);

/// Removes everything of the run but its finished file: what is in work/, and what killed processes left half-written.
void remove_work(const std::filesystem::path& folder, const RunSpec& run);

}  // namespace hone::experiments
