#include "experiments/commands/decode.hpp"

#include <CLI/CLI.hpp>
#include "experiments/commands/checkpoint.hpp"
#include "experiments/commands/option_words.hpp"
#include "experiments/commands/result_file.hpp"
#include "experiments/commands/spec_options.hpp"
#include "experiments/instruments/decode_rows.hpp"
#include "experiments/instruments/error_bar.hpp"
#include "experiments/running/progress.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/decode_policy.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"
#include "sim/base/parallel.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

constexpr OptionWord words[] = {{"length", "--length"},           {"prompt", "--prompt"},
                                {"generate", "--generate"},       {"copy_distances", "--copy-distances"},
                                {"copy_block", "--copy-block"},   {"average_bits", "--average-bits"},
                                {"stored_bits", "--stored-bits"}, {"nested.bits", "--stored-bits"},
                                {"temperature", "--temperature"}, {"max_length", "--length"},
                                {"kv.residual", "-residual"},     {"kv.key_group", "-group"},
                                {"kv.sinks", "-sinks"},           {"context", "--context"}};

/// "+0.01234 ± 0.00056" in the width of a column.
std::string difference_text(const MeanEstimate& d) {
  return fmt::format("{:>+9.5f} ± {:<7.5f}", d.mean, half_width(d, printed_coverage));
}

std::string percent_text(const MeanEstimate& d) {
  return fmt::format("{:>+9.2f} ± {:<6.2f}%", 100 * d.mean, 100 * half_width(d, printed_coverage));
}

std::string positions_text(const BucketComparison& b) {
  return b.last == b.first + 1 ? fmt::format("{}", b.first) : fmt::format("{}-{}", b.first, b.last - 1);
}

/// One column per policy, the same width as what difference_text writes.
std::string policy_heads(const std::vector<PolicyEntry>& entries) {
  std::string line;
  for (const PolicyEntry& e : entries) line += fmt::format(" {:>19}", e.policy);
  return line + "\n";
}

std::string loss_table(const std::vector<PolicyEntry>& entries) {
  std::string text = fmt::format("\nloss rise by position, nats, teacher-forced\n{:<12} {:>9}", "positions", "full");
  text += policy_heads(entries);
  const auto line = [&](const std::string& name, double full, auto&& read) {
    text += fmt::format("{:<12} {:>9.5f}", name, full);
    for (const PolicyEntry& e : entries) text += " " + difference_text(read(e).difference);
    text += "\n";
  };
  for (size_t i = 0; i < entries.front().octaves.size(); ++i) {
    const BucketComparison& b = entries.front().octaves[i];
    line(positions_text(b), b.reference.mean, [&](const PolicyEntry& e) { return e.octaves[i]; });
  }
  line("all", entries.front().all.reference.mean, [](const PolicyEntry& e) { return e.all; });
  const auto bits_line = [&](const char* name, double KvBits::*bits) {
    text += fmt::format("{:<12} {:>9}", name, "16");
    for (const PolicyEntry& e : entries) text += fmt::format(" {:>19.3f}", e.bits.*bits);
    text += "\n";
  };
  bits_line("bits/K at end", &KvBits::key), bits_line("bits/V at end", &KvBits::value);
  return text;
}

std::string copy_table(const std::vector<PolicyEntry>& entries, const DecodeSpec& spec) {
  const std::vector<CopyScore>& any = entries.front().copies;
  if (any.empty()) return "";
  std::string text = fmt::format(
      "\ncopy of {} random tokens by distance: loss of the copy (chance: of its first occurrence) and its rise, nats\n"
      "{:<12} {:>9} {:>9} {:>9}",
      spec.copy_block, "distance", "chance", "full", "right");
  text += policy_heads(entries);
  for (size_t i = 0; i < any.size(); ++i) {
    text += fmt::format("{:<12} {:>9.4f} {:>9.4f} {:>8.2f}%", any[i].distance, any[i].first_loss.mean,
                        any[i].reference_loss.mean, 100 * any[i].reference_accuracy.mean);
    for (const PolicyEntry& e : entries) text += " " + difference_text(e.copies[i].loss_difference);
    text += fmt::format("\n{:<42}", "");
    for (const PolicyEntry& e : entries) text += " " + percent_text(e.copies[i].accuracy_difference);
    text += "\n";
  }
  return text;
}

/// Mean over prompts of the tokens before the first difference.
double mean_first_difference(const FreeRunning& run) {
  double sum = 0;
  for (const Index first : run.first_difference) sum += double(first);
  return sum / double(run.first_difference.size());
}

std::string free_table(const std::vector<PolicyEntry>& entries, const DecodeSpec& spec) {
  std::string text = fmt::format(
      "\nfree runs of {} tokens after {} from {} prompts: bits of the cache at the last token, equal tokens before the "
      "first difference,\nshare of equal tokens and KL of the next-token law at a quarter, a half and the end\n"
      "{:<18} {:>7} {:>7} {:<8} {:>7} {:>23} {:>32}\n",
      spec.generate, spec.prompt, spec.windows, "policy", "bits/K", "bits/V", "", "equal", "agreement", "KL (nats)");
  const auto at = [&](std::int64_t part) { return size_t(std::max<std::int64_t>(1, spec.generate * part / 4) - 1); };
  for (const PolicyEntry& e : entries)
    for (const auto& [how, run] : {std::pair{"greedy", &e.greedy}, {"sampled", &e.sampled}}) {
      text += fmt::format("{:<18} {:>7.3f} {:>7.3f} {:<8} {:>7.1f} ", e.policy, e.free_bits.key, e.free_bits.value, how,
                          mean_first_difference(*run));
      for (std::int64_t part : {1, 2, 4}) text += fmt::format(" {:>6.1f}%", 100 * run->agreement[at(part)].mean);
      for (std::int64_t part : {1, 2, 4}) text += fmt::format(" {:>10.2e}", run->kl[at(part)].mean);
      text += "\n";
    }
  return text;
}

std::string schedule_table(const std::vector<ScheduleEntry>& entries, const DecodeSpec& spec) {
  std::string text = fmt::format(
      "\nnested weights of {} bits over {} tokens after a prompt of {}: loss rise, nats, and that minus uniform\n"
      "{:<10} {:>7} {:>6} {:>19} {:>19}",
      spec.stored_bits, spec.generate, spec.prompt, "schedule", "average", "bits", "all", "minus uniform");
  const std::vector<BucketComparison>& octaves = entries.front().octaves;
  const size_t shown = std::min<size_t>(3, octaves.size());
  for (size_t i = octaves.size() - shown; i < octaves.size(); ++i)
    text += fmt::format(" {:>19}", positions_text(octaves[i]));
  for (const ScheduleEntry& e : entries) {
    text += fmt::format("\n{:<10} {:>7.3f} {:>4}>{} {} {}", e.schedule, e.average_bits, e.first_bits, e.last_bits,
                        difference_text(e.all.difference), difference_text(e.to_uniform));
    for (size_t i = octaves.size() - shown; i < octaves.size(); ++i)
      text += " " + difference_text(e.octaves[i].difference);
  }
  return text + "\n";
}

RunFile file_of(const DecodeOptions& o, const ImportedModel& model, const TokenStream& stream, const DecodeTable& table,
                const DecodeInput& input) {
  RunFile file;
  file.groups = decode_rows(table, input);
  Dataset resolved;
  RunSpec run;
  run.decode = input.spec;
  for (const auto& [name, value] : run.options())
    if (name.starts_with("decode.")) resolved.set_attribute(name, value);
  resolved.set_attribute("model.context", std::int64_t(model.options.positions));
  file.groups[schema::manifest.group] = checkpoint_manifest(model, stream, o.seed, input.threads, o.command_line);
  file.groups[schema::options.group] = std::move(resolved);
  return file;
}

}  // namespace

DecodeOptions::DecodeOptions() {
  spec.policies = {"token8", "token4", "token2", "channel2", "kivi2-residual32"};
  spec.average_bits = {4, 5};
}

std::string decode_text(const DecodeTable& table, const DecodeInput& input) {
  constexpr size_t abreast = 5;  // policies that fit a screen side by side
  std::string text;
  for (size_t first = 0; first < table.policies.size(); first += abreast) {
    const auto begin = table.policies.begin() + std::ptrdiff_t(first);
    const std::vector<PolicyEntry> some(begin,
                                        begin + std::ptrdiff_t(std::min(abreast, table.policies.size() - first)));
    text += loss_table(some) + copy_table(some, input.spec);
  }
  if (!table.policies.empty()) text += free_table(table.policies, input.spec);
  if (!table.schedules.empty()) text += schedule_table(table.schedules, input.spec);
  text += error_bar_note(input.spec.windows, "windows", "--windows");
  const bool has_copies = !table.policies.empty() && !table.policies.front().copies.empty();
  return has_copies ? text + "copies: " + error_bar_note(input.spec.copy_windows, "windows", "--copy-windows") : text;
}

namespace {

/// The names are parts of one option, whose grammar no field of the study layer has.
void expect_policies(const std::vector<std::string>& names) {
  for (const std::string& name : names) try {
      (void)policy_from_name(name);
    } catch (const OptionError& error) {
      throw OptionError(fmt::format("--policies: {}", error.what()));
    }
}

int decode_checkpoint(const DecodeOptions& options) {
  if (!options.spec.is_on())
    throw OptionError(
        "nothing to decode with: neither --policies nor --average-bits; leave out one of --no-policies and "
        "--no-schedules");
  expect_policies(options.spec.policies);
  const ImportedModel imported = open_checkpoint(options.checkpoint, options.context);
  const DecodeSpec spec = fitted_to(options.spec, imported.options);
  const auto tokenizer = import_tokenizer(tokenizer_path(options.checkpoint, options.tokenizer));
  const TokenStream stream = read_stream(options.text, options.keeps_bytes, *tokenizer, imported.options.vocabulary);
  const ResultFile result("decode", options.checkpoint, imported.sha256, options.out);
  expect_windows(stream.name, Index(stream.validation.size()), spec.windows, spec.length, {.length = "--length"});
  const TokenBatch windows = evaluation_windows(stream, spec.length, spec.windows, 1);
  const int threads = options.threads > 0 ? options.threads : hardware_threads();
  const DecodeInput input{imported.options, imported.theta, windows, spec, std::uint64_t(options.seed), threads};
  const Index parameters = imported.options.layout().size();
  fmt::print("{}: {} format, {} parameters, context {}; {}: {} windows of {} tokens\n", options.checkpoint.string(),
             imported.format, parameters, imported.options.positions, stream.name, spec.windows, spec.length);
  const double flops = decode_flops(spec, parameters);
  Progress progress("decode", flops);
  double reported = 0;
  const DecodeTable table = measure_decoding(input, [&](double share, const std::string& part) {
    progress.advance(result.name(), (share - reported) * flops, part);
    reported = share;
  });
  progress.finish(result.name());
  fmt::print("{}", decode_text(table, input));
  result.write(file_of(options, imported, stream, table, input));
  fmt::print("\nwritten: {}\n", result.path().string());
  return 0;
}

}  // namespace

int decode_command(const DecodeOptions& options) {
  return with_option_words(words, [&] { return decode_checkpoint(options); });
}

namespace {

void add_decode_options(CLI::App& command, DecodeOptions& o) {
  add_checkpoint_options(command, o);
  SpecOptions spec(command, o.spec);
  command.footer(policy_grammar() +
                 "examples:\n"
                 "  hone decode stories260K.bin --text story.txt\n"
                 "  hone decode pythia-14m --text book.txt --policies token4 kivi2 k4v2-sinks4 --length 2048\n"
                 "  hone decode stories260K.bin --text story.txt --no-policies --average-bits 4 4.5 5");
  spec.add("--policies", "policies", "of the cache, see below");
  command.add_flag_callback(
      "--no-policies", [&o] { o.spec.policies.clear(); }, "leave the cache alone");
  spec.add("--average-bits", "average_bits", "of weights over the generated tokens");
  command.add_flag_callback(
      "--no-schedules", [&o] { o.spec.average_bits.clear(); }, "leave the weights alone");
  spec.add("--length", "length", "tokens per window; default 8 contexts, 1 with learned positions", Range{3, 1 << 20});
  spec.add("--windows", "windows", "windows, and prompts of free runs");
  spec.add("--prompt", "prompt", "tokens before a free run; default half a context", Range{2, 1 << 20});
  spec.add("--generate", "generate", "tokens of a free run; default half a context", Range{1, 1 << 20});
  spec.add("--copy-distances", "copy_distances", "default --copy-block, twice that, ...");
  spec.add("--copy-block", "copy_block", "tokens that are copied");
  spec.add("--copy-windows", "copy_windows", "copies per distance");
  spec.add("--temperature", "temperature", "of sampling");
  spec.add("--stored-bits", "stored_bits", "of the nested codes");
}

}  // namespace

Action decode_options(CLI::App& command, const std::string& line) {
  return action_of<DecodeOptions>(command, line, add_decode_options, decode_command);
}

}  // namespace hone::experiments
