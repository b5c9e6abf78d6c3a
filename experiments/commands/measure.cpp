#include "experiments/commands/measure.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <cmath>
#include <numeric>

#include "experiments/commands/checkpoint.hpp"
#include "experiments/commands/option_words.hpp"
#include "experiments/commands/result_file.hpp"
#include "experiments/commands/spec_options.hpp"
#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/error_bar.hpp"
#include "experiments/instruments/instruments.hpp"
#include "experiments/running/progress.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/sources.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/base/parallel.hpp"
#include "sim/base/utf8.hpp"
#include "sim/import/checkpoint.hpp"
#include "sim/import/greedy.hpp"
#include "sim/import/tokenizers/text_tokenizer.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

constexpr OptionWord words[] = {{"grid", "--grid"},
                                {"granularity", "--granularity"},
                                {"group", "--group"},
                                {"rounding", "--rounding"},
                                {"draws", "--draws"},
                                {"bits", "--bits"},
                                {"count_largest", "--eigenpairs"},
                                {"count_smallest", "--eigenpairs-smallest"},
                                {"tolerance", "--tolerance"},
                                {"lanczos_tolerance", "--tolerance"},
                                {"steps_max", "--lanczos-steps"},
                                {"lanczos_steps", "--lanczos-steps"},
                                {"size_max", "--dense-max"},
                                {"dense_max", "--dense-max"},
                                {"evaluation_windows", "--windows"},
                                {"curvature_windows", "--curvature-windows"},
                                {"trace_probes", "--trace-probes"},
                                {"slq_probes", "--slq-probes"},
                                {"slq_steps", "--slq-steps"},
                                {"cache_bytes", "--cache-mib"},
                                {"limit_bytes", "--memory"},
                                {"chunks.threads", "--threads"},
                                {"noise.rises", "--noise"},
                                {"context", "--context"}};

constexpr double gib = 1024.0 * 1024.0 * 1024.0;

RunSpec run_of(const MeasureOptions& options, const ImportedModel& model, const TokenStream& stream) {
  RunSpec run;
  run.study = "measure";
  run.seed = options.seed;
  run.data.name = stream.name;
  run.model.name = checkpoint_name(options.checkpoint);
  run.model.context = model.options.positions;
  run.measure = options.measure;
  run.measure.preconditioned_steps = 0;  // an imported checkpoint has no state of an optimizer
  run.quantize = options.quantize;
  run.noise = options.noise;
  return run;
}

std::int64_t machine_memory() { return std::int64_t(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE); }

/// Of this process so far, in bytes.
std::int64_t peak_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return std::int64_t(usage.ru_maxrss) * 1024;
}

void state_memory(std::int64_t needed, const MeasureOptions& options) {
  const double limit = options.memory_gib > 0 ? options.memory_gib * gib : double(machine_memory());
  fmt::print("memory: {:.2f} GiB at most, of {:.2f} GiB\n", double(needed) / gib, limit / gib);
  if (double(needed) > limit)
    throw OptionError(
        fmt::format("measure: {:.2f} GiB needed, the limit is {:.2f} GiB; lower --cache-mib, "
                    "--lanczos-steps, --slq-steps or --curvature-windows, or raise --memory",
                    double(needed) / gib, limit / gib));
}

void print_spectrum(const Dataset& rows, const MeasureSpec& spec) {
  constexpr const schema::Curvature& f = schema::curvature;
  const auto one = [&](const auto& field) { return values_of(rows, field).front(); };
  fmt::print("\nHessian of the mean loss, {} quantizable parameters, products in {}, loss {:.6f} nats\n",
             one(f.dimension), spec.precision, one(f.loss_nats));
  fmt::print("  {:>4} {:>14} {:>12} {:>12}\n", "", "eigenvalue", "error <=", "residual");
  using F = const Field<double>&;
  const auto list = [&](F values, F bounds, F residuals, const char* mark) {
    for (size_t i = 0; i < values_of(rows, values).size(); ++i)
      fmt::print("  {:>3}{} {:>14.8g} {:>12.2e} {:>12.2e}\n", i + 1, mark, values_of(rows, values)[i],
                 values_of(rows, bounds)[i], values_of(rows, residuals)[i]);
  };
  list(f.lambda, f.lambda_bound, f.lambda_residual, "+");
  list(f.lambda_smallest, f.lambda_smallest_bound, f.lambda_smallest_residual, "-");
  const std::int64_t probes = one(f.trace_probes), others = one(f.second_trace_probes);
  fmt::print(
      "trace {:.6g} ± {:.2g}, by an independent estimator {:.6g} ± {:.2g}; squared Frobenius norm {:.6g} ± {:.2g}\n",
      one(f.trace), error_bar(one(f.trace_se), probes), one(f.second_trace), error_bar(one(f.second_trace_se), others),
      one(f.frobenius2), error_bar(one(f.frobenius2_se), others));
  if (one(f.second_trace_se) > 0)
    fmt::print("trace: {}the other two: {}", error_bar_note(probes, "probes", "--trace-probes"),
               error_bar_note(others, "probes", "--slq-probes"));
  const auto& windows = values_of(rows, f.window_trace);
  const MeanEstimate mean = windows.size() > 1 ? mean_with_error(windows) : MeanEstimate{};
  if (windows.size() > 1 && std::isfinite(mean.mean))
    fmt::print("trace between {} parts of the windows: {:.6g}, sd {:.2g}\n", windows.size(), mean.mean,
               mean.standard_error * std::sqrt(double(windows.size())));
}

/// Returns how many failed.
int print_certificates(const std::vector<Certificate>& certificates) {
  int failed = 0;
  for (const Certificate& c : certificates) {
    if (c.passed) continue;
    ++failed;
    fmt::print("FAILED {}: {} = {:.3g}, limit {:.3g}\n", c.id, c.claim, c.value, c.limit);
  }
  fmt::print("certificates: {} of {} passed{}\n", certificates.size() - size_t(failed), certificates.size(),
             failed ? "; do not quote the numbers above without the failed ones" : "");
  return failed;
}

void print_ladder(const Dataset& ptq, const QuantizeSpec& spec, std::int64_t windows, std::int64_t probes) {
  fmt::print("\n{:>5} {:>10} {:>22} {:>22} {:>12} {:>12}\n", "bits", "bits/w", "loss rise (nats)",
             spec.draws > 1 ? "1/2 sum var H_ii" : "1/24 sum step2 tr H", "g'e", "e'He/2");
  constexpr const schema::Ptq& f = schema::ptq;
  const auto& bits = values_of(ptq, f.bits);
  for (size_t i = 0; i < bits.size(); ++i) {
    const auto at = [&](const Field<double>& field) { return values_of(ptq, field)[i]; };
    fmt::print("{:>5} {:>10.3f} {:>11.5f} ± {:<8.5f} {:>11.5f} ± {:<8.5f} {:>12.5f} {:>12.5f}\n", bits[i],
               at(f.bits_per_weight), at(f.delta_nats), error_bar(at(f.delta_se_nats), windows), at(f.predicted_nats),
               error_bar(at(f.predicted_se_nats), probes), at(f.gradient_nats), at(f.quadratic_nats));
  }
  fmt::print("losses: {}", error_bar_note(windows, "windows", "--windows"));
}

/// The list of every certificate, which the worst of each kind in /curvature was taken from.
Dataset certificate_list(const std::vector<Certificate>& certificates) {
  std::vector<std::string> ids, claims;
  std::vector<double> values, limits;
  std::vector<std::int64_t> passed;
  for (const Certificate& c : certificates) {
    ids.push_back(c.id), claims.push_back(c.claim), values.push_back(c.value), limits.push_back(c.limit);
    passed.push_back(c.passed);
  }
  Dataset list;
  set(list, schema::certificates.id, ids);
  set(list, schema::certificates.claim, claims);
  set(list, schema::certificates.value, values);
  set(list, schema::certificates.limit, limits);
  set(list, schema::certificates.passed, passed);
  return list;
}

RunFile file_of(const MeasureOptions& options, const RunSpec& run, const ImportedModel& model,
                const TokenStream& stream, const Rows& rows, const std::vector<Certificate>& certificates,
                int threads) {
  RunFile file;
  for (const auto& [name, group] : rows) file.groups[name] = group;
  file.groups[schema::certificates.group] = certificate_list(certificates);
  Dataset resolved;
  for (const auto& [name, value] : run.options())
    if (name.starts_with("measure.") || name.starts_with("quantize.") || name.starts_with("noise."))
      resolved.set_attribute(name, value);
  const TransformerOptions& o = model.options;
  const std::pair<const char*, Index> sizes[] = {
      {"vocabulary", o.vocabulary}, {"context", o.positions}, {"layers", o.layers},      {"width", o.width},
      {"heads", o.heads},           {"kv_heads", o.kv_heads}, {"mlp_width", o.mlp_width}};
  for (const auto& [name, size] : sizes) resolved.set_attribute(std::string("model.") + name, std::int64_t(size));
  file.groups[schema::manifest.group] = checkpoint_manifest(model, stream, run.seed, threads, options.command_line);
  file.groups[schema::options.group] = std::move(resolved);
  return file;
}

void print_continuation(const MeasureOptions& options, const Transformer<float>& model,
                        const AlignedVector<float>& theta, const TextTokenizer& tokenizer) {
  if (!options.keeps_bytes) require_utf8(options.prompt, "--continue", ", or take its bytes with --keep-bytes");
  std::vector<std::uint16_t> prompt = tokenizer.encode(options.prompt);
  if (const auto begin = tokenizer.begin_of_text()) prompt.insert(prompt.begin(), *begin);
  const Index room = model.options().positions - Index(prompt.size());
  if (prompt.empty() || room < 1)
    throw OptionError(fmt::format("--continue: a prompt of {} tokens does not fit a context of {}; raise --context",
                                  prompt.size(), model.options().positions));
  const auto more = greedy_continue<float>(model, theta.data(), prompt, std::min<Index>(options.prompt_tokens, room));
  prompt.insert(prompt.end(), more.begin(), more.end());
  fmt::print("greedy continuation: {}\n", tokenizer.decode(prompt));
}

int measure_checkpoint(const MeasureOptions& options) {
  check_draws(options.quantize);
  if (options.measure.eigenpairs == 0 && !options.noise.rises.empty())
    throw OptionError("--noise goes along eigenvectors, and --eigenpairs is 0; ask for 1 or more");
  const ImportedModel imported = open_checkpoint(options.checkpoint, options.context);
  const Index context = imported.options.positions;
  const auto tokenizer = import_tokenizer(tokenizer_path(options.checkpoint, options.tokenizer));
  const TokenStream stream = read_stream(options.text, options.keeps_bytes, *tokenizer, imported.options.vocabulary);
  const ResultFile result("measure", options.checkpoint, imported.sha256, options.out);
  const RunSpec run = run_of(options, imported, stream);
  const Transformer<float> model(imported.options);
  const int threads = options.threads > 0 ? options.threads : hardware_threads();

  expect_windows(stream.name, Index(stream.validation.size()), run.measure.evaluation_windows, context);
  Source<TokenBatch> source;
  source.evaluation = evaluation_windows(stream, context, run.measure.evaluation_windows, 1);
  source.curvature =
      even_subset(source.evaluation, std::min(run.measure.curvature_windows, run.measure.evaluation_windows));
  source.sha256 = stream.sha256;
  fmt::print("{}: {} format, {} parameters, {} quantizable; {}: {} windows of {} tokens\n", options.checkpoint.string(),
             imported.format, model.layout().size(), model.layout().quantizable_size(), stream.name,
             source.evaluation.sequences, context);
  if (!options.prompt.empty()) print_continuation(options, model, imported.theta, *tokenizer);

  Progress progress("measure", moment_flops(run, model.layout().size()));
  Instruments<Transformer> instruments(run, model, source, threads,
                                       [&](double flops, const std::string& activity, Work work) {
                                         progress.advance(run.model.name, flops, activity, work);
                                       });
  state_memory(instruments.memory_bytes(), options);
  fs::path journal = result.path();
  journal += ".products";
  instruments.set_journal(journal);
  Rows rows =
      instruments.measure(imported.theta, {.variant = "imported", .kind = theory::Kind::trunk, .is_last = true});
  if (rows.empty())
    throw FormatError(fmt::format("{}: the loss on {} is not finite; is it the checkpoint's own tokenizer?",
                                  options.checkpoint.string(), stream.name));
  progress.finish(run.model.name);
  const std::int64_t windows = source.evaluation.sequences;
  fmt::print("loss {:.6f} ± {:.6f} nats per token at full precision\n",
             values_of(rows[schema::checkpoints.group], schema::checkpoints.loss_nats).front(),
             error_bar(values_of(rows[schema::checkpoints.group], schema::checkpoints.loss_se_nats).front(), windows));
  const Dataset& curvature = rows[schema::curvature.group];
  print_spectrum(curvature, run.measure);
  const int failed = print_certificates(instruments.certificates());
  print_ladder(rows[schema::ptq.group], run.quantize, windows,
               values_of(curvature, schema::curvature.trace_probes).front());
  result.write(file_of(options, run, imported, stream, rows, instruments.certificates(), threads));
  fs::remove(journal);
  fmt::print("\nmemory: {:.2f} GiB at the peak\nwritten: {}\n", double(peak_memory()) / gib, result.path().string());
  return failed ? 4 : 0;
}

}  // namespace

MeasureOptions::MeasureOptions() {
  measure.evaluation_windows = 64;
  measure.curvature_windows = 16;
  measure.eigenpairs = 5;
  measure.lanczos_steps = 120;
  measure.slq_probes = 4;
  measure.slq_steps = 60;
  measure.trace_probes = 16;
  quantize.bits = {8, 7, 6, 5, 4, 3, 2};
  noise.rises = {};
}

int measure_command(const MeasureOptions& options) {
  return with_option_words(words, [&] { return measure_checkpoint(options); });
}

namespace {

void add_measure_options(CLI::App& command, MeasureOptions& o) {
  add_checkpoint_options(command, o);
  SpecOptions measure(command, o.measure);
  SpecOptions quantize(command, o.quantize);
  SpecOptions noise(command, o.noise);
  command.footer(
      "examples:\n"
      "  hone measure stories260K.bin --text story.txt --continue \"Once upon a time\"\n"
      "  hone measure pythia-14m --text book.txt --context 128 --precision float32 --bits 8 4 3 2\n"
      "killed, it goes on from the last Hessian product when the same command is run again");
  measure.add("--windows", "evaluation_windows", "windows for losses");
  measure.add("--curvature-windows", "curvature_windows", "an even subset of them for Hessian products");
  measure.add("--precision", "precision", "of Hessian products")->check(CLI::IsMember({"float64", "float32"}));
  measure.add("--eigenpairs", "eigenpairs", "at the upper end; 0 at both ends leaves traces and density",
              Range{0, 1000});
  measure.add("--eigenpairs-smallest", "eigenpairs_smallest", "at the lower end");
  measure.add("--lanczos-steps", "lanczos_steps", "columns of the basis before a restart");
  measure.add("--tolerance", "lanczos_tolerance", "of residuals over the norm");
  measure.add("--block", "block", "starting vectors, 2 to 4 for multiple eigenvalues");
  measure.add("--dense-max", "dense_max", "form the whole matrix up to this many parameters");
  measure.add("--slq-probes", "slq_probes", "of the density");
  measure.add("--slq-steps", "slq_steps", "nodes per probe");
  measure.add("--trace-probes", "trace_probes", "of the traces");
  quantize.add("--bits", "bits", "ladder of weight bits");
  add_grid_options(command, o.quantize);
  noise.add("--noise", "rises", "predicted loss rises of injected noise, in nats");
  command.add_option("--continue", o.prompt, "print the greedy continuation of this text");
  command.add_option("--continue-tokens", o.prompt_tokens, "its length")->check(CLI::Range(1, 65536));
  measure.add("--cache-mib", "cache_mib", "memory for activations kept between products");
  command.add_option("--memory", o.memory_gib, "GiB that may be used; default what the machine has")
      ->check(CLI::PositiveNumber);
}

}  // namespace

Action measure_options(CLI::App& command, const std::string& line) {
  return action_of<MeasureOptions>(command, line, add_measure_options, measure_command);
}

}  // namespace hone::experiments
