// hone quantize: schemes side by side on one public checkpoint and one text.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/commands/checkpoint.hpp"
#include "experiments/commands/command.hpp"
#include "experiments/study/study.hpp"

namespace hone::experiments {

struct QuantizeOptions : CheckpointOptions {
  std::vector<std::filesystem::path> calibration;  ///< UTF-8 files; the first half of `text` when empty
  std::int64_t windows = 64, curvature_windows = 16;
  QuantizeSpec spec;

  QuantizeOptions();
};

/// Prints the table of schemes and writes it as a run file.
/// errors   those of import_checkpoint, import_tokenizer and the schemes; OptionError when a text is too short
int quantize_command(const QuantizeOptions& options);

Action quantize_options(CLI::App& command, const std::string& line);

}  // namespace hone::experiments
