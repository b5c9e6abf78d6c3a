#include "experiments/commands/checkpoint.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include <algorithm>

#include "experiments/commands/spec_options.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/base/utf8.hpp"
#include "sim/record/manifest.hpp"
#include "sim/record/schema.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

constexpr Index default_context = 256;

}  // namespace

ImportedModel open_checkpoint(const fs::path& path, Index context) {
  ImportedModel imported = import_checkpoint(path);
  if (context > imported.options.positions)
    throw OptionError(fmt::format("--context {}: {} has a context of {}; choose at most that", context, path.string(),
                                  imported.options.positions));
  for (const std::string& note : imported.notes) fmt::print(stderr, "hone: {}\n", note);
  if (context == 0) context = std::min(imported.options.positions, default_context);
  return context == imported.options.positions ? imported : import_checkpoint(path, {context});
}

fs::path tokenizer_path(const fs::path& checkpoint, const fs::path& tokenizer) {
  if (!tokenizer.empty()) return tokenizer;
  if (fs::is_directory(checkpoint)) return checkpoint;
  return checkpoint.has_parent_path() ? checkpoint.parent_path() : fs::path(".");
}

TokenStream read_stream(const std::vector<fs::path>& texts, bool keeps_bytes, const TextTokenizer& tokenizer,
                        Index vocabulary) {
  TokenStream stream;
  Sha256 hash;
  for (const fs::path& path : texts) {
    const std::string text = read_text(path);
    refuse_lfs_pointer(text, path);
    if (!keeps_bytes) require_utf8(text, path.string(), ", or take its bytes as they are with --keep-bytes");
    hash.update(text.data(), text.size());
    const auto ids = tokenizer.encode(text);
    if (const auto begin = tokenizer.begin_of_text()) stream.validation.push_back(*begin);
    stream.validation.insert(stream.validation.end(), ids.begin(), ids.end());
  }
  for (std::uint16_t id : stream.validation)
    if (id >= vocabulary)
      throw OptionError(
          fmt::format("{}: the tokenizer gives id {}, the checkpoint has a vocabulary of {}; name the "
                      "checkpoint's own with --tokenizer",
                      texts.front().string(), id, vocabulary));
  stream.vocabulary = vocabulary;
  stream.name = texts.front().filename().string();
  stream.sha256 = hash.finish();
  stream.tokenizer = tokenizer.name();
  return stream;
}

void expect_windows(const std::string& text, Index available, Index count, Index length, const WindowWords& words) {
  constexpr Index fewest = 2;  // of every command
  const Index window = length + 1, fitting = available / window;
  if (fitting >= count) return;
  const std::string fewer = fitting >= fewest ? fmt::format("{} {} or fewer, ", words.windows, fitting) : "";
  throw OptionError(
      fmt::format("{}: {} tokens, {} {} of {} tokens and the one after them need {}; give more text with {}, {}or a "
                  "smaller {}",
                  text, available, words.windows, count, length, count * window, words.text, fewer, words.length));
}

Dataset checkpoint_manifest(const ImportedModel& model, const TokenStream& stream, std::int64_t seed, int threads,
                            const std::string& command_line) {
  Dataset manifest = manifest_group(this_build(), std::uint64_t(seed), threads,
                                    {{"checkpoint", model.sha256}, {"text", stream.sha256}});
  set(manifest, schema::manifest.checkpoint, model.source);
  set(manifest, schema::manifest.format, model.format);
  set(manifest, schema::manifest.tokenizer, stream.tokenizer);
  set(manifest, schema::manifest.command, command_line);
  return manifest;
}

void add_checkpoint_options(CLI::App& command, CheckpointOptions& o) {
  command.add_option("checkpoint", o.checkpoint, "llama2.c .bin, or a Hugging Face folder (Llama, GPT-2, GPT-NeoX)")
      ->required();
  command.add_option("--text", o.text, "UTF-8 text files to measure on")->required()->check(CLI::ExistingFile);
  command.add_flag("--keep-bytes", o.keeps_bytes,
                   "take texts of any encoding byte by byte; for tokenizers with a token for every byte");
  command.add_option("--tokenizer", o.tokenizer, "tokenizer.json or tokenizer.bin; default beside the checkpoint");
  command.add_option("--out", o.out, "run file; default outputs/" + command.get_name() + "/NAME.h5");
  command.add_option("--context", o.context, "tokens of context; default the model's, at most 256")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--threads", o.threads, "default all cores")->check(CLI::Range(0, 4096));
  command.add_option("--seed", o.seed, "of everything that is drawn")->check(CLI::Range(0., 1e15));
}

void add_grid_options(CLI::App& command, QuantizeSpec& spec) {
  SpecOptions options(command, spec);
  options.add("--grid", "grid", "of the weights, see sim/formats/quantizer.hpp");
  options.add("--granularity", "granularity", "tensor, row or group");
  options.add("--group", "group", "weights per scale with --granularity group");
  options.add("--scale", "scale", "of the weights: real, fp16 (AWQ), fp16_stored (ggml), double_quantized");
  options.add("--rounding", "rounding", "of the weights: nearest_even, half_away, stochastic (rtn and mse)");
  options.add("--draws", "draws", "of stochastic rounding, 4 or more: results are their means");
}

}  // namespace hone::experiments
