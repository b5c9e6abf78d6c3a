// hone measure: every instrument of a study on one public checkpoint and one text.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/commands/checkpoint.hpp"
#include "experiments/commands/command.hpp"
#include "experiments/study/study.hpp"

namespace hone::experiments {

struct MeasureOptions : CheckpointOptions {
  MeasureSpec measure;
  QuantizeSpec quantize;
  NoiseSpec noise;
  double memory_gib = 0;  ///< limit; 0 = what the machine has
  std::string prompt;     ///< text to continue greedily, as a check of model and tokenizer
  std::int64_t prompt_tokens = 64;

  MeasureOptions();
};

/// Prints loss, spectrum with certificates, traces and the ladder of bits, and writes them as a run file. Killed at any
/// moment and started again with the same options it goes on from the last Hessian product and writes the same numbers.
/// returns  0, or 4 when a certificate failed
/// errors   those of import_checkpoint and import_tokenizer; OptionError when text or memory is too short
int measure_command(const MeasureOptions& options);

Action measure_options(CLI::App& command, const std::string& line);

}  // namespace hone::experiments
