// How a run ended, as a value. The text of it is attribute `outcome` of /manifest in the run's file.
#pragma once

#include <string>
#include <utility>

namespace hone::experiments {

struct RunOutcome {
  enum class End {
    complete,
    diverged,  ///< the file ends at the last checkpoint before
  };
  End end = End::complete;
  std::string reason;  ///< with numbers; empty when complete

  bool is_complete() const { return end == End::complete; }
  static RunOutcome diverged(std::string reason) { return {End::diverged, std::move(reason)}; }
  bool operator==(const RunOutcome&) const = default;
};

/// "complete" or "diverged: REASON".
std::string outcome_text(const RunOutcome& outcome);

/// The outcome of that text.
/// errors  FormatError naming the source and the known texts
RunOutcome parse_outcome(const std::string& text, const std::string& source);

}  // namespace hone::experiments
