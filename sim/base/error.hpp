// Errors of hone: four kinds, each with a one-line message that names what is wrong and how to fix it.
// Misuse and bad input throw; outcomes of numerics (not converged, diverged) are values, never exceptions.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace hone {

/// Base of everything that hone throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A programmer broke a precondition (wrong shape, negative extent).
class ContractError : public Error {
  using Error::Error;
};

/// A user's option is wrong: bad TOML field, bad flag, impossible combination.
class OptionError : public Error {
  using Error::Error;
};

/// The outside world failed: missing file, unwritable folder, full disk.
class IoError : public Error {
  using Error::Error;
};

/// A file exists but does not hold what it should: truncated, hostile, another schema.
class FormatError : public Error {
  using Error::Error;
};

/// The user asked to stop (Ctrl-C); everything finished so far is on disk.
class Interrupted : public Error {
  using Error::Error;
};

/// The known name nearest to `wrong` (Levenshtein distance), for "did you mean" messages.
/// errors  returns "" when `known` is empty.
/// cost    |wrong|·|name| per name
template <class Names>
std::string nearest_name(std::string_view wrong, const Names& known);

/// Levenshtein distance: the least number of insertions, deletions and substitutions.
int edit_distance(std::string_view a, std::string_view b);

template <class Names>
std::string nearest_name(std::string_view wrong, const Names& known) {
  std::string best;
  int best_distance = 1 << 30;
  for (const auto& name : known) {
    const int distance = edit_distance(wrong, name);
    if (distance < best_distance) best_distance = distance, best = std::string(name);
  }
  return best;
}

namespace detail {
[[noreturn]] void contract_failed(const char* condition, const char* file, int line, const std::string& what);
}

}  // namespace hone

/// Precondition, checked in every build; the remaining arguments are a fmt message with the values.
#define EXPECTS(condition, ...)                                                                                    \
  do {                                                                                                             \
    if (!(condition)) ::hone::detail::contract_failed(#condition, __FILE__, __LINE__, ::fmt::format(__VA_ARGS__)); \
  } while (false)

/// Precondition of an inner loop: checked only with HONE_DEV_CHECKS.
#ifdef HONE_DEV_CHECKS
#define EXPECTS_HOT(condition, ...) EXPECTS(condition, __VA_ARGS__)
#else
#define EXPECTS_HOT(condition, ...) ((void)0)
#endif
