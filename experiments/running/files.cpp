#include "experiments/running/files.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

/// The number at the start of `text`, which must end in a dot; both are taken off.
std::optional<std::int64_t> take_number(std::string_view& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size() || *end != '.') return std::nullopt;
  text.remove_prefix(std::size_t(end + 1 - text.data()));
  return number;
}

/// Calls visit(path, rest) for every file of the run in a folder, with what follows "ID." in its name.
template <class Visit>
void for_files(const fs::path& folder, const RunSpec& run, Visit visit) {
  const std::string beginning = run.id() + ".";
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(beginning)) visit(at->path(), std::string_view(name).substr(beginning.size()));
  }
}

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

fs::path failure_path(const fs::path& folder, const RunSpec& run) { return folder / "work" / (run.id() + ".failed"); }

auto progress_of(const SavedState& state) { return std::pair(state.updates, state.checkpoints); }

}  // namespace

fs::path finished_path(const fs::path& folder, const RunSpec& run) { return folder / "runs" / (run.id() + ".h5"); }

fs::path saved_path(const fs::path& folder, const RunSpec& run, std::int64_t updates, std::int64_t checkpoints) {
  return folder / "work" / fmt::format("{}.{}.{}.h5", run.id(), updates, checkpoints);
}

fs::path journal_path(const fs::path& folder, const RunSpec& run, std::int64_t updates, const std::string& variant) {
  return folder / "work" / fmt::format("{}.{}.{}.products", run.id(), updates, variant);
}

std::optional<RunOutcome> finished_outcome(const fs::path& folder, const RunSpec& run, std::string* damage) {
  const fs::path path = finished_path(folder, run);
  if (!fs::exists(path)) return std::nullopt;
  try {
    const RunFile file = read_run_file(path);
    return parse_outcome(value_of(file.group(schema::manifest.group), schema::manifest.outcome),
                         path.string() + ": /manifest");
  } catch (const Error& error) {
    if (damage) *damage = error.what();
    return std::nullopt;
  }
}

std::vector<SavedState> saved_states(const fs::path& folder, const RunSpec& run) {
  std::vector<SavedState> states;
  for_files(folder / "work", run, [&](const fs::path& path, std::string_view rest) {
    const auto updates = take_number(rest), checkpoints = take_number(rest);
    if (updates && checkpoints && rest == "h5") states.push_back({path, *updates, *checkpoints});
  });
  std::sort(states.begin(), states.end(),
            [](const SavedState& a, const SavedState& b) { return progress_of(a) > progress_of(b); });
  return states;
}

void remove_old_states(const SavedState& state, const fs::path& folder, const RunSpec& run) {
  bool has_previous = false;
  for (const SavedState& other : saved_states(folder, run)) {
    if (progress_of(other) >= progress_of(state)) continue;
    if (has_previous) remove_quietly(other.path);
    has_previous = true;
  }
}

std::optional<std::string> failure_of(const fs::path& folder, const RunSpec& run) {
  try {
    return read_text(failure_path(folder, run));
  } catch (const IoError&) {
    return std::nullopt;
  }
}

void note_failure(const fs::path& folder, const RunSpec& run, const std::string& reason) {
  try {
    write_text_atomically(failure_path(folder, run), reason);
  } catch (const IoError&) {
    return;  // the reason was printed; a full disk is the reason as often as not
  }
}

void forget_failure(const fs::path& folder, const RunSpec& run) { remove_quietly(failure_path(folder, run)); }

void remove_work(const fs::path& folder, const RunSpec& run) {
  for_files(folder / "work", run, [](const fs::path& path, std::string_view) { remove_quietly(path); });
  for_files(folder / "runs", run, [](const fs::path& path, std::string_view rest) {
    if (rest.starts_with("h5.tmp.")) remove_quietly(path);
  });
}

}  // namespace hone::experiments
