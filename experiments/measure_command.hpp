// hone measure: every instrument of a study on one public checkpoint and one text.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/study.hpp"

namespace hone::experiments {

struct MeasureOptions {
  std::filesystem::path checkpoint;         ///< llama2.c file, or a Hugging Face folder
  std::filesystem::path tokenizer;          ///< beside the checkpoint when empty
  std::vector<std::filesystem::path> text;  ///< UTF-8 files
  std::filesystem::path out;                ///< outputs/measure/NAME.h5 when empty
  std::int64_t context = 0;                 ///< the checkpoint's, at most 256, when 0
  std::int64_t seed = 1;
  MeasureSpec measure;
  QuantizeSpec quantize;
  NoiseSpec noise;
  double memory_gib = 0;  ///< limit; 0 = what the machine has
  int threads = 0;        ///< 0 = all
  std::string prompt;     ///< text to continue greedily, as a check of model and tokenizer
  std::int64_t prompt_tokens = 64;
  std::string command_line;

  MeasureOptions();
};

/// Prints loss, spectrum with certificates, traces and the ladder of bits, and writes them as a run file. Killed at any
/// moment and started again with the same options it goes on from the last Hessian product and writes the same numbers.
/// returns  0, or 4 when a certificate failed
/// errors   those of import_checkpoint and import_tokenizer; OptionError when text or memory is too short
int measure_command(const MeasureOptions& options);

}  // namespace hone::experiments
