// A public checkpoint and the text it is evaluated on: the common beginning of measure, quantize and decode.
#pragma once

#include <filesystem>
#include <vector>

#include "experiments/commands/command.hpp"
#include "experiments/study/parts.hpp"
#include "sim/data/corpus.hpp"
#include "sim/import/checkpoint.hpp"
#include "sim/import/tokenizers/text_tokenizer.hpp"
#include "sim/record/dataset.hpp"

namespace hone::experiments {

/// What every command on a single checkpoint is told.
struct CheckpointOptions {
  std::filesystem::path checkpoint;         ///< llama2.c file, or a Hugging Face folder
  std::filesystem::path tokenizer;          ///< beside the checkpoint when empty
  std::vector<std::filesystem::path> text;  ///< UTF-8 files, unless keeps_bytes
  bool keeps_bytes = false;                 ///< take texts of any encoding, byte by byte
  std::filesystem::path out;                ///< outputs/COMMAND/NAME.h5 when empty
  std::int64_t context = 0;                 ///< the checkpoint's, at most 256, when 0
  std::int64_t seed = 1;
  int threads = 0;  ///< 0 = all
  std::string command_line;
};

/// The checkpoint at a context of `context` tokens; 0 = its own, at most 256.
/// errors  those of import_checkpoint; OptionError when the checkpoint's context is shorter
ImportedModel open_checkpoint(const std::filesystem::path& path, Index context);

/// `tokenizer` if given, else the folder of the checkpoint.
std::filesystem::path tokenizer_path(const std::filesystem::path& checkpoint, const std::filesystem::path& tokenizer);

/// The texts, one after another, as held-out tokens of the checkpoint. With `keeps_bytes` a byte that is not UTF-8 has
/// the tokenizer's token for that byte.
/// errors  IoError; FormatError for a Git LFS pointer and, without `keeps_bytes`, for a text that is not UTF-8;
///         OptionError when the tokenizer is not the checkpoint's or lacks a token for a byte
TokenStream read_stream(const std::vector<std::filesystem::path>& texts, bool keeps_bytes,
                        const TextTokenizer& tokenizer, Index vocabulary);

/// The options of a command that say where tokens come from, how many windows of them, and how long.
struct WindowWords {
  const char *text = "--text", *windows = "--windows", *length = "--context";
};

/// errors   OptionError naming those options when `available` tokens do not give `count` windows of `length` tokens, each
///          with the token after it
void expect_windows(const std::string& text, Index available, Index count, Index length, const WindowWords& words = {});

/// The group /manifest of a run file about a checkpoint on a text.
Dataset checkpoint_manifest(const ImportedModel& model, const TokenStream& stream, std::int64_t seed, int threads,
                            const std::string& command_line);

/// Options of every subcommand on one checkpoint.
void add_checkpoint_options(CLI::App& command, CheckpointOptions& o);

/// Options of the grid of the weights.
void add_grid_options(CLI::App& command, QuantizeSpec& spec);

}  // namespace hone::experiments
