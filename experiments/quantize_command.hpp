// hone quantize: schemes side by side on one public checkpoint and one text.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/study.hpp"

namespace hone::experiments {

struct QuantizeOptions {
  std::filesystem::path checkpoint;                ///< llama2.c file, or a Hugging Face folder
  std::filesystem::path tokenizer;                 ///< beside the checkpoint when empty
  std::vector<std::filesystem::path> text;         ///< UTF-8 files that losses are measured on
  std::vector<std::filesystem::path> calibration;  ///< UTF-8 files; the first half of `text` when empty
  std::filesystem::path out;                       ///< outputs/quantize/NAME.h5 when empty
  std::int64_t context = 0;                        ///< the checkpoint's, at most 256, when 0
  std::int64_t windows = 64, curvature_windows = 16;
  std::int64_t seed = 1;
  QuantizeSpec spec;
  int threads = 0;  ///< 0 = all
  std::string command_line;

  QuantizeOptions();
};

/// Prints the table of schemes and writes it as a run file.
/// errors   those of import_checkpoint, import_tokenizer and the schemes; OptionError when a text is too short
int quantize_command(const QuantizeOptions& options);

}  // namespace hone::experiments
