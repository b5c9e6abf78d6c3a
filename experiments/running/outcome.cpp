#include "experiments/running/outcome.hpp"

#include <string_view>

#include "sim/base/error.hpp"

namespace hone::experiments {
namespace {

constexpr std::string_view complete = "complete", diverged = "diverged: ";

}  // namespace

std::string outcome_text(const RunOutcome& outcome) {
  return outcome.is_complete() ? std::string(complete) : std::string(diverged) + outcome.reason;
}

RunOutcome parse_outcome(const std::string& text, const std::string& source) {
  if (text == complete) return {};
  if (text.starts_with(diverged)) return RunOutcome::diverged(text.substr(diverged.size()));
  throw FormatError(fmt::format(
      "{}: outcome = \"{}\", expected \"complete\" or \"diverged: REASON\"; run the study again", source, text));
}

}  // namespace hone::experiments
