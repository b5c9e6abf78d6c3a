#include "experiments/instruments/decode_table.hpp"

#include <algorithm>
#include <cmath>

#include "experiments/study/build.hpp"
#include "experiments/study/sources.hpp"
#include "sim/base/error.hpp"
#include "sim/quantize/progressive.hpp"

namespace hone::experiments {
namespace {

constexpr Index windows_a_watch = 8;  ///< decoded between two calls of the watch

using Weights = std::shared_ptr<const DecoderWeights<float>>;
using Variant = DecodingVariant<float>;

Index copied_tokens(const DecodeSpec& s, std::int64_t distance) {
  return 2 * s.copy_windows * (distance + s.copy_block);
}
Index generated_tokens(const DecodeSpec& s) { return s.windows * (s.prompt + s.generate); }

/// Tokens decoded for the whole table, the unit of its progress.
double decoded_tokens(const DecodeSpec& s) {
  double policy = double(s.windows * s.length + 2 * 3 * generated_tokens(s));
  for (std::int64_t distance : s.copy_distances) policy += double(copied_tokens(s, distance));
  const double schedules = s.average_bits.empty() ? 0 : 2.0 + 5.0 * double(s.average_bits.size());
  return double(s.policies.size()) * policy + (s.policies.empty() ? 0 : double(s.windows * s.length)) +
         schedules * double(generated_tokens(s));
}

/// Counts decoded tokens and says their share.
class Meter {
 public:
  Meter(const DecodeSpec& spec, const DecodeWatch& watch) : total_(decoded_tokens(spec)), watch_(watch) {}
  void add(Index tokens, const std::string& part) {
    done_ += double(tokens);
    watch_(std::min(1.0, done_ / total_), part);
  }

 private:
  double total_, done_ = 0;
  const DecodeWatch& watch_;
};

/// The first `positions` tokens of every window and the one after them.
TokenBatch beginnings(const TokenBatch& windows, Index positions) {
  return stacked_windows(windows.sequences, positions, [&](Index w) {
    const auto first = windows.tokens.begin() + w * (windows.positions + 1);
    return std::vector<std::uint16_t>(first, first + positions + 1);
  });
}

Matrix<double> watched_losses(const Variant& variant, const TokenBatch& windows, Meter& meter,
                              const std::string& part) {
  Matrix<double> losses(windows.sequences, windows.positions);
  for (Index first = 0; first < windows.sequences; first += windows_a_watch) {
    const Index count = std::min(windows_a_watch, windows.sequences - first);
    losses.middleRows(first, count) = decoded_losses(variant, slice(windows, first, count));
    meter.add(count * windows.positions, part);
  }
  return losses;
}

Variant variant_of(const DecodeInput& in, const Weights& weights, const KvCacheOptions& cache) {
  return {weights, {.cache = cache, .max_length = in.spec.length, .threads = in.threads}};
}

PolicyEntry measure_policy(const DecodeInput& in, const CachePolicy& policy, const Variant& full,
                           const Matrix<double>& full_losses, Meter& meter) {
  const DecodeSpec& s = in.spec;
  const Variant changed = variant_of(in, full.weights, policy.cache);
  PolicyEntry entry;
  entry.policy = policy.name;
  const auto bits_at = [&](Index length) {
    return bits_per_cached_value(policy.cache, in.options.kv_heads, in.options.head_width(), length);
  };
  entry.bits = bits_at(s.length);
  entry.free_bits = bits_at(s.prompt + s.generate - 1);  // the last token is chosen and not fed
  const Matrix<double> losses = watched_losses(changed, in.windows, meter, policy.name);
  entry.all = compare_by_position(losses, full_losses, {0, s.length}).front();
  entry.octaves = compare_by_position(losses, full_losses, octave_edges(s.length));
  for (std::int64_t distance : s.copy_distances) {
    entry.copies.push_back(copy_score(changed, full, {s.copy_block, distance}, s.copy_windows, in.seed));
    meter.add(copied_tokens(s, distance), policy.name);
  }
  const TokenBatch prompts = beginnings(in.windows, s.prompt - 1);
  for (const auto& [run, temperature] : {std::pair{&entry.greedy, 0.0}, {&entry.sampled, s.temperature}}) {
    *run = free_running(changed, full, prompts, s.generate, {temperature, in.seed});
    meter.add(3 * generated_tokens(s), policy.name);
  }
  return entry;
}

/// What every schedule is measured with.
struct ScheduleBench {
  const DecodeInput& in;
  const Transformer<float>& model;
  NestedWeights<float> nested;
  TokenBatch windows;
  Matrix<double> full_losses;  ///< of the generated tokens
  Meter& meter;

  Matrix<double> losses(const std::string& name, const PrecisionSchedule& schedule) {
    const Variant plain = variant_of(in, nullptr, {});
    Matrix<double> found =
        scheduled_losses(model, nested, schedule, int(in.spec.stored_bits), windows, in.spec.prompt, plain.options);
    meter.add(generated_tokens(in.spec), name);
    return found;
  }
  /// Of widths that follow each window's own tokens: the higher one where the token just read surprised the model as
  /// trained. The same numbers of tokens as in `down`, from which its two widths are taken.
  Matrix<double> losses_by_surprise(const std::string& name, const PrecisionSchedule& down,
                                    const Matrix<double>& full) {
    const Variant plain = variant_of(in, nullptr, {});
    const int high = down.bits.front(), low = down.bits.back();
    const Index length = Index(down.bits.size()), wide = std::count(down.bits.begin(), down.bits.end(), high);
    Matrix<double> found(windows.sequences, length);
    for (Index w = 0; w < windows.sequences; ++w) {
      std::vector<double> surprise;  // of token prompt + t, before which the prediction at prompt + t - 1 stands
      for (Index t = 0; t < length; ++t) surprise.push_back(full(w, in.spec.prompt + t - 1));
      found.row(w) = scheduled_losses(model, nested, ranked(surprise, high, low, wide), int(in.spec.stored_bits),
                                      slice(windows, w, 1), in.spec.prompt, plain.options);
    }
    meter.add(generated_tokens(in.spec), name);
    return found;
  }
  ScheduleEntry entry(const std::string& name, const PrecisionSchedule& schedule, const Matrix<double>& losses,
                      const Matrix<double>& uniform) const {
    const Index length = losses.cols();
    return {.schedule = name,
            .average_bits = schedule.average_bits(),
            .first_bits = schedule.bits.front(),
            .last_bits = schedule.bits.back(),
            .all = compare_by_position(losses, full_losses, {0, length}).front(),
            .octaves = compare_by_position(losses, full_losses, octave_edges(length)),
            .to_uniform = compare_schedules(losses, uniform).mean};
  }
};

/// One width above the average, then one below it, switched where their mean is the average.
PrecisionSchedule falling(double average, Index length) {
  const int high = int(std::ceil(average)) + 1, low = int(std::floor(average)) - 1;
  const Index at = std::llround(double(length) * (average - low) / (high - low));
  return step_down({high, low}, {at}, length);
}

std::vector<ScheduleEntry> measure_schedules(const DecodeInput& in, const Transformer<float>& model,
                                             const Weights& weights, Meter& meter) {
  const DecodeSpec& s = in.spec;
  const Quantizer parent{.bits = int(s.stored_bits), .grid = Grid::asymmetric};
  const TokenBatch windows = beginnings(in.windows, s.prompt + s.generate);
  const Matrix<double> full = watched_losses(variant_of(in, weights, {}), windows, meter, "full precision");
  ScheduleBench bench{in,
                      model,
                      {in.theta.data(), model.layout(), parent, NestedValues::least_squares},
                      windows,
                      full.rightCols(s.generate),
                      meter};
  const PrecisionSchedule stored{std::vector<int>(size_t(s.generate), int(s.stored_bits))};
  const Matrix<double> at_stored = bench.losses("stored", stored);
  std::vector<ScheduleEntry> entries{bench.entry("stored", stored, at_stored, at_stored)};
  for (double average : s.average_bits) {
    const PrecisionSchedule down = falling(average, s.generate), up = reversed(down),
                            even = alternating(down.average_bits(), s.generate);
    const Matrix<double> uniform = bench.losses("uniform", even);
    entries.push_back(bench.entry("uniform", even, uniform, uniform));
    entries.push_back(bench.entry("step_down", down, bench.losses("step_down", down), uniform));
    entries.push_back(bench.entry("reversed", up, bench.losses("reversed", up), uniform));
    const PrecisionSchedule line = gradual(down.average_bits(), s.generate);
    entries.push_back(bench.entry("linear", line, bench.losses("linear", line), uniform));
    entries.push_back(bench.entry("surprise", down, bench.losses_by_surprise("surprise", down, full), uniform));
    entries.back().first_bits = entries.back().last_bits = 0;
  }
  return entries;
}

}  // namespace

double decode_flops(const DecodeSpec& spec, Index parameters) {
  return spec.is_on() ? 2.0 * double(parameters) * decoded_tokens(spec) : 0;
}

DecodeTable measure_decoding(const DecodeInput& in, const DecodeWatch& watch) {
  EXPECTS(in.windows.sequences == in.spec.windows && in.windows.positions == in.spec.length,
          "decoding: {} windows of {} tokens, expected {} of {}", in.windows.sequences, in.windows.positions,
          in.spec.windows, in.spec.length);
  const Transformer<float> model(in.options);
  const auto weights = std::make_shared<const DecoderWeights<float>>(model, in.theta.data());
  Meter meter(in.spec, watch);
  DecodeTable table;
  if (!in.spec.policies.empty()) {
    const Variant full = variant_of(in, weights, {});
    const Matrix<double> losses = watched_losses(full, in.windows, meter, "full precision");
    for (const std::string& name : in.spec.policies)
      table.policies.push_back(measure_policy(in, policy_from_name(name), full, losses, meter));
  }
  if (!in.spec.average_bits.empty()) table.schedules = measure_schedules(in, model, weights, meter);
  return table;
}

}  // namespace hone::experiments
