// hone decode: a quantized cache and falling precision on one public checkpoint, token by token.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/commands/checkpoint.hpp"
#include "experiments/commands/command.hpp"
#include "experiments/instruments/decode_table.hpp"

namespace hone::experiments {

struct DecodeOptions : CheckpointOptions {
  DecodeSpec spec;

  DecodeOptions();
};

/// Prints the tables and writes them as a run file.
/// errors   those of import_checkpoint, import_tokenizer and fitted_to; OptionError when the text is too short
int decode_command(const DecodeOptions& options);

/// The tables of losses, copies, free runs and schedules, as text.
std::string decode_text(const DecodeTable& table, const DecodeInput& input);

Action decode_options(CLI::App& command, const std::string& line);

}  // namespace hone::experiments
