#include "experiments/quantize_command.hpp"

#include <cmath>

#include "experiments/build.hpp"
#include "experiments/checkpoint_text.hpp"
#include "experiments/progress.hpp"
#include "experiments/scheme_table.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/parallel.hpp"
#include "sim/quantize/calibration.hpp"
#include "sim/record/run_file.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

/// Held-out text to measure on and other text to calibrate on, as the two sides of one stream.
TokenStream open_texts(const QuantizeOptions& o, const TextTokenizer& tokenizer, Index vocabulary) {
  TokenStream stream = read_stream(o.text, o.keeps_bytes, tokenizer, vocabulary);
  if (o.calibration.empty()) {
    const auto middle = stream.validation.begin() + std::ptrdiff_t(stream.validation.size() / 2);
    stream.train.assign(stream.validation.begin(), middle);
    stream.validation.erase(stream.validation.begin(), middle);
  } else {
    TokenStream other = read_stream(o.calibration, o.keeps_bytes, tokenizer, vocabulary);
    stream.train = std::move(other.validation);
  }
  return stream;
}

void print_table(const std::vector<SchemeEntry>& entries) {
  fmt::print("\n{:<18} {:>4} {:>8} {:>22} {:>10} {:>8} {:>11} {:>11}\n", "scheme", "bits", "bits/w", "loss rise (nats)",
             "KL (nats)", "top-1", "g'e+e'He/2", "full prec.");
  for (const SchemeEntry& e : entries)
    fmt::print("{:<18} {:>4} {:>8.3f} {:>11.5f} ± {:<8.5f} {:>10.5f} {:>7.2f}% {:>11.5f} {:>11.1e}\n", e.scheme,
               e.bits ? std::to_string(e.bits) : "", e.bits_per_weight, e.change.loss.mean_nats,
               e.change.loss.standard_error_nats, e.change.kl_nats.mean, 100 * e.change.top1_agreement.mean,
               e.gradient_nats + e.quadratic_nats, e.reference.loss.mean_nats);
  for (const SchemeEntry& e : entries)
    if (e.fallback_blocks > 0)
      fmt::print(
          "{} at {} bits: {} matrices rounded to nearest, their inputs were too few; calibrate on more windows\n",
          e.scheme, e.bits, e.fallback_blocks);
  fmt::print("full prec.: what the scheme's coordinates alone change, without rounding\n");
}

RunFile file_of(const QuantizeOptions& o, const ImportedModel& model, const TokenStream& stream,
                const std::vector<SchemeEntry>& entries, const SchemeInput& input) {
  RunFile file;
  file.groups["schemes"] = scheme_rows(entries, input);
  file.groups["scheme_blocks"] = scheme_block_rows(entries);
  Dataset resolved;
  RunSpec run;
  run.quantize = o.spec;
  for (const auto& [name, value] : run.options())
    if (name.starts_with("quantize.")) resolved.set_attribute(name, value);
  file.groups["manifest"] = checkpoint_manifest(model, stream, o.seed, input.chunks.threads, o.command_line);
  file.groups["options"] = std::move(resolved);
  file.attributes["title"] = "hone quantize " + o.checkpoint.stem().string();
  return file;
}

}  // namespace

QuantizeOptions::QuantizeOptions() {
  spec.schemes = {"rtn", "mse", "gptq", "awq", "rotate+rtn", "rotate+gptq"};
  spec.scheme_bits = {8, 6, 5, 4, 3, 2};
}

int quantize_command(const QuantizeOptions& options) {
  for (const std::string& name : options.spec.schemes) scheme_from_name(name).check(options.spec);
  const ImportedModel imported = open_checkpoint(options.checkpoint, options.context);
  const Index context = imported.options.positions;
  const auto tokenizer = import_tokenizer(tokenizer_path(options.checkpoint, options.tokenizer));
  const TokenStream stream = open_texts(options, *tokenizer, imported.options.vocabulary);
  const std::string name = options.checkpoint.stem().string();
  const fs::path out = options.out.empty() ? fs::path("outputs") / "quantize" / (name + ".h5") : options.out;
  ensure_writable_folder(out.has_parent_path() ? out.parent_path() : fs::path("."));

  const TokenBatch evaluation = evaluation_windows(stream, context, options.windows, 1);
  const TokenBatch curvature = even_subset(evaluation, std::min(options.curvature_windows, options.windows));
  const TokenBatch calibration =
      calibration_windows(stream, context, options.spec.calibration_windows, std::uint64_t(options.seed));
  const int threads = options.threads > 0 ? options.threads : hardware_threads();
  const SchemeInput input{imported.options, imported.theta, calibration, options.spec, std::uint64_t(options.seed),
                          {256, threads}};
  const Index parameters = imported.options.layout().size();
  fmt::print("{}: {} format, {} parameters, {} quantizable; {}: {} windows of {} tokens, {} to calibrate\n",
             options.checkpoint.string(), imported.format, parameters, imported.options.layout().quantizable_size(),
             stream.name, evaluation.sequences, context, calibration.sequences);
  Progress progress("quantize", 1);
  double reported = 0;
  const auto entries = measure_schemes(input, {evaluation, curvature}, [&](double share, const std::string& scheme) {
    progress.advance(name, share - reported, scheme);
    reported = share;
  });
  progress.finish(name);
  fmt::print("loss {:.6f} nats per token at full precision\n", entries.front().change.reference_loss_nats);
  print_table(entries);
  write_run_file(out, file_of(options, imported, stream, entries, input));
  fmt::print("\nwritten: {}\n", out.string());
  return 0;
}

}  // namespace hone::experiments
