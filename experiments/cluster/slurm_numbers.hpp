// Numbers in the output of Slurm's programs, checked before they are used.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hone::experiments {

/// Where a number stands, what it may be, and what the user can do when it is something else.
struct NumberField {
  std::string command;  ///< that printed it, "scontrol show config"
  std::string name;     ///< of the value in its answer, "MaxArraySize"
  std::int64_t lowest = 0, highest = 0;
  std::string fix;  ///< the end of the message, "give --max-array N"
};

/// Slurm keeps job ids, array indices and array sizes in 32 bits.
inline constexpr std::int64_t slurm_number_limit = 4294967295;

/// The whole number that `text` is, spaces around it left out; nothing where it is anything else: empty, with a sign, a
/// fraction, an exponent or a unit, or above the range of 64 bits.
std::optional<std::int64_t> whole_number(std::string_view text);

/// whole_number(text) in the range of the field.
/// errors  FormatError naming the command, the field, the text, the range and the fix
std::int64_t checked_number(std::string_view text, const NumberField& field);

/// Whether a list of exit codes as Slurm writes it ("99", "1-9,99", "(null)") holds `code`. Items that are neither a
/// number nor a range hold nothing.
bool holds_exit_code(std::string_view list, std::int64_t code);

}  // namespace hone::experiments
