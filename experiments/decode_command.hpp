// hone decode: a quantized cache and falling precision on one public checkpoint, token by token.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/decode_table.hpp"

namespace hone::experiments {

struct DecodeOptions {
  std::filesystem::path checkpoint;         ///< llama2.c file, or a Hugging Face folder
  std::filesystem::path tokenizer;          ///< beside the checkpoint when empty
  std::vector<std::filesystem::path> text;  ///< UTF-8 files that are decoded
  std::filesystem::path out;                ///< outputs/decode/NAME.h5 when empty
  std::int64_t context = 0;                 ///< the checkpoint's, at most 256, when 0
  std::int64_t seed = 1;
  DecodeSpec spec;
  int threads = 0;  ///< 0 = all
  std::string command_line;

  DecodeOptions();
};

/// Prints the tables and writes them as a run file.
/// errors   those of import_checkpoint, import_tokenizer and fitted_to; OptionError when the text is too short
int decode_command(const DecodeOptions& options);

/// The tables of losses, copies, free runs and schedules, as text.
std::string decode_text(const DecodeTable& table, const DecodeInput& input);

}  // namespace hone::experiments
