#include "experiments/commands/quantize.hpp"

#include <CLI/CLI.hpp>
#include <cmath>

#include "experiments/commands/checkpoint.hpp"
#include "experiments/commands/option_words.hpp"
#include "experiments/commands/result_file.hpp"
#include "experiments/commands/spec_options.hpp"
#include "experiments/instruments/calibration_rows.hpp"
#include "experiments/instruments/error_bar.hpp"
#include "experiments/instruments/scheme_table.hpp"
#include "experiments/running/progress.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/scheme.hpp"
#include "experiments/study/sources.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"
#include "sim/base/parallel.hpp"
#include "sim/quantize/calibration.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"

namespace hone::experiments {
namespace {

constexpr OptionWord words[] = {{"grid", "--grid"},
                                {"granularity", "--granularity"},
                                {"group", "--group"},
                                {"rounding", "--rounding"},
                                {"draws", "--draws"},
                                {"bits", "--bits"},
                                {"damping", "--damping"},
                                {"alpha", "--smoothing"},
                                {"outlier_threshold", "--outlier-threshold"},
                                {"quantize.schemes", "--schemes"},
                                {"quantize.scheme_bits", "--bits"},
                                {"activation.bits", "--activation-bits"},
                                {"activation.grid", "--activation-grid"},
                                {"activation.granularity", "--activation-granularity"},
                                {"activation.rule_value", "--activation-clip"},
                                {"activation_grid", "--activation-grid"},
                                {"activation_granularity", "--activation-granularity"},
                                {"kv_grid", "--kv-grid"},
                                {"key.bits", "--kv-bits"},
                                {"key.grid", "--kv-grid"},
                                {"value.bits", "--kv-bits"},
                                {"value.grid", "--kv-grid"},
                                {"chunks.threads", "--threads"},
                                {"context", "--context"}};

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
               e.bits ? std::to_string(e.bits) : "", e.bits_per_weight, e.change.loss.mean,
               half_width(e.change.loss, printed_coverage), e.change.kl_nats.mean, 100 * e.change.top1_agreement.mean,
               e.gradient_nats + e.quadratic_nats, e.reference.loss.mean);
  for (const SchemeEntry& e : entries)
    if (e.fallback_blocks > 0)
      fmt::print(
          "{} at {} bits: {} matrices rounded to nearest, their inputs were too few; calibrate on more windows\n",
          e.scheme, e.bits, e.fallback_blocks);
  fmt::print("{}", error_bar_note(entries.front().change.loss.count, "windows", "--windows"));
  fmt::print("full prec.: what the scheme's coordinates alone change, without rounding\n");
}

RunFile file_of(const QuantizeOptions& o, const ImportedModel& model, const TokenStream& stream,
                const std::vector<SchemeEntry>& entries, const SchemeInput& input, const std::string& warning) {
  RunFile file;
  Dataset schemes = scheme_rows(entries, input);
  if (!warning.empty()) set(schemes, schema::schemes.calibration_warning, warning);
  file.groups[schema::schemes.group] = std::move(schemes);
  file.groups[schema::scheme_blocks.group] = scheme_block_rows(entries);
  Dataset resolved;
  RunSpec run;
  run.quantize = o.spec;
  for (const auto& [name, value] : run.options())
    if (name.starts_with("quantize.")) resolved.set_attribute(name, value);
  file.groups[schema::manifest.group] =
      checkpoint_manifest(model, stream, o.seed, input.chunks.threads, o.command_line);
  file.groups[schema::options.group] = std::move(resolved);
  return file;
}

void expect_texts(const QuantizeOptions& o, const TokenStream& stream, Index context) {
  const bool is_half = o.calibration.empty();
  const std::string half = is_half ? " of --text" : "", more = is_half ? "--text" : "--calibration";
  expect_windows(stream.name + (is_half ? " (second half" + half + ")" : ""), Index(stream.validation.size()),
                 o.windows, context);
  expect_windows(
      is_half ? stream.name + " (first half" + half + ", calibration)" : o.calibration.front().filename().string(),
      Index(stream.train.size()), o.spec.calibration_windows, context,
      {more.c_str(), "--calibration-windows", "--context"});
}

int quantize_checkpoint(const QuantizeOptions& options) {
  check_draws(options.spec);
  for (const std::string& name : options.spec.schemes) scheme_from_name(name).check(options.spec);
  const Precision precision =
      precision_of(options.spec, 16, int(options.spec.scheme_activation_bits), int(options.spec.scheme_kv_bits));
  precision.activation.validate("activation");
  precision.key.validate("key");
  const ImportedModel imported = open_checkpoint(options.checkpoint, options.context);
  const Index context = imported.options.positions;
  const auto tokenizer = import_tokenizer(tokenizer_path(options.checkpoint, options.tokenizer));
  const TokenStream stream = open_texts(options, *tokenizer, imported.options.vocabulary);
  const ResultFile result("quantize", options.checkpoint, imported.sha256, options.out);
  expect_texts(options, stream, context);

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
    progress.advance(result.name(), share - reported, scheme);
    reported = share;
  });
  progress.finish(result.name());
  fmt::print("loss {:.6f} nats per token at full precision\n", entries.front().change.reference_loss_nats);
  print_table(entries);
  const std::string warning =
      calibration_warning(calibration_shortage(entries, imported.options.layout()), input, "--calibration-windows");
  if (!warning.empty()) fmt::print(stderr, "hone: {}\n", warning);
  result.write(file_of(options, imported, stream, entries, input, warning));
  fmt::print("\nwritten: {}\n", result.path().string());
  return 0;
}

}  // namespace

QuantizeOptions::QuantizeOptions() {
  spec.schemes = {"rtn", "mse", "gptq", "awq", "rotate+rtn", "rotate+gptq"};
  spec.scheme_bits = {8, 6, 5, 4, 3, 2};
}

int quantize_command(const QuantizeOptions& options) {
  return with_option_words(words, [&] { return quantize_checkpoint(options); });
}

namespace {

void add_quantize_options(CLI::App& command, QuantizeOptions& o) {
  add_checkpoint_options(command, o);
  SpecOptions spec(command, o.spec);
  command.footer(
      "schemes are COORDINATES+RULE: nothing, smooth+ or rotate+ before one of\n"
      "  rtn mse gptq guided lnq awq                    at every width of --bits\n"
      "  mixed-trace mixed-fisher mixed-fisher-rows mixed-output mixed-share    widths by matrix, --bits on average\n"
      "  nf4 nf4-dq fp8 mxfp4 mxfp6 mxfp8 nvfp4 ternary round to nearest in that format\n"
      "  e3m4 and the like                              minifloats of these exponent and mantissa bits, scaled by row\n"
      "examples:\n"
      "  hone quantize stories260K.bin --text story.txt\n"
      "  hone quantize pythia-14m --text book.txt --schemes rtn gptq rotate+gptq --bits 4 3 --group 64 "
      "--granularity group\n"
      "  hone quantize pythia-14m --text book.txt --schemes rtn smooth+rtn rotate+rtn --activation-bits 8 --bits 8 4");
  command
      .add_option("--calibration", o.calibration, "UTF-8 text files to calibrate on; default the first half of --text")
      ->check(CLI::ExistingFile);
  command.add_option("--windows", o.windows, "windows for losses")->check(CLI::Range(2, 1 << 30));
  command.add_option("--curvature-windows", o.curvature_windows, "an even subset of them for g'e and e'He/2")
      ->check(CLI::Range(1, 1 << 30));
  spec.add("--calibration-windows", "calibration_windows", "windows to calibrate on");
  spec.add("--schemes", "schemes", "what to compare, see below");
  spec.add("--bits", "scheme_bits", "ladder of weight bits");
  spec.add("--activation-bits", "scheme_activation_bits", "of the inputs of linears, per token", Range{2, 16});
  spec.add("--activation-granularity", "activation_granularity", "row = per token; tensor = per sequence");
  spec.add("--activation-grid", "activation_grid", "see sim/formats/quantizer.hpp");
  spec.add("--activation-clip", "activation_clip", "share of the largest |x| that the grid covers");
  spec.add("--activation-range", "activation_range", "dynamic, or static from the calibration windows")
      ->check(CLI::IsMember({"dynamic", "static"}));
  spec.add("--activation-percentile", "activation_percentile", "of static ranges");
  spec.add("--outlier-threshold", "outlier_threshold", "columns with any |x| above it stay (LLM.int8())");
  spec.add("--outlier-absmax", "outlier_absmax",
           "what a token's step leaves out then: columns (the paper) or elements (bitsandbytes)");
  spec.add("--kv-grid", "kv_grid", "see sim/formats/quantizer.hpp");
  spec.add("--kv-bits", "scheme_kv_bits", "of keys and values, per token and head", Range{2, 16});
  add_grid_options(command, o.spec);
  spec.add("--damping", "damping", "of gptq, a share of the mean of diag H");
  spec.add("--smoothing", "smoothing", "alpha of smooth+");
}

}  // namespace

Action quantize_options(CLI::App& command, const std::string& line) {
  return action_of<QuantizeOptions>(command, line, add_quantize_options, quantize_command);
}

}  // namespace hone::experiments
