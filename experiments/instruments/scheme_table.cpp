#include "experiments/instruments/scheme_table.hpp"

#include <cmath>
#include <optional>

#include "experiments/study/build.hpp"
#include "experiments/study/scheme.hpp"
#include "experiments/study/sources.hpp"
#include "sim/base/error.hpp"
#include "sim/curvature/trace.hpp"
#include "sim/quantize/static_ranges.hpp"
#include "sim/record/schema.hpp"

namespace hone::experiments {
namespace {

constexpr int trace_probes = 16;     ///< for tr(H_l) of the mixed rules
constexpr Index trace_windows = 24;  ///< of the calibration set

/// A full-precision model in some coordinates, with its derivatives.
class Twin {
 public:
  Twin(const TransformerOptions& options, AlignedVector<float> theta, const SchemeInput& input, const SchemeData& data)
      : options_(options),
        theta_(std::move(theta)),
        model_(options),
        wide_(theta_.begin(), theta_.end()),
        linear_(model_, wide_.data(), data.curvature, {input.chunks, data.cache_bytes}),
        calibration_(input.calibration),
        chunks_(input.chunks),
        cache_bytes_(data.cache_bytes),
        seed_(input.seed) {
    AlignedVector<float> gradient(theta_.size());
    Objective<Transformer<float>>(model_, input.chunks).gradient(theta_.data(), data.evaluation, gradient.data());
    gradient_ = ConstVecView<float>(gradient.data(), Index(gradient.size())).cast<double>();
    const Transformer<float> given(input.options);
    change_ = compare_outputs<float>({given, input.theta.data(), {}}, {model_, theta_.data(), {}}, data.evaluation,
                                     input.chunks);
  }

  const TransformerOptions& options() const { return options_; }
  const AlignedVector<float>& theta() const { return theta_; }
  const OutputChange& change() const { return change_; }

  /// g'e and e'He/2 for e = quantized - theta; g on the windows of the loss, for g'e of a few windows can miss that of
  /// many by more than e'He/2.
  std::pair<double, double> predict(const AlignedVector<float>& quantized) {
    Vector<double> e(linear_.size()), he;
    for (Index i = 0; i < e.size(); ++i) e[i] = double(quantized[size_t(i)]) - wide_[size_t(i)];
    linear_.hessian_product(e, he);
    return {gradient_.dot(e), 0.5 * e.dot(he)};
  }

  const std::vector<MeanEstimate>& block_traces() {
    if (traces_.empty()) traces_ = scheme_block_traces(model_, wide_, calibration_, {chunks_, cache_bytes_}, seed_);
    return traces_;
  }

 private:
  TransformerOptions options_;
  AlignedVector<float> theta_;
  Transformer<float> model_;
  std::vector<double> wide_;
  Linearization<Transformer<float>> linear_;
  const TokenBatch& calibration_;
  ChunkOptions chunks_;
  std::int64_t cache_bytes_;
  Vector<double> gradient_;
  std::uint64_t seed_;
  OutputChange change_;
  std::vector<MeanEstimate> traces_;
};

/// What is quantized beside the weights when an entry is evaluated; static ranges are those of its own coordinates.
Precision run_precision(const SchemeInput& input, const Transformer<float>& model,
                        const AlignedVector<float>& reference) {
  Precision p = precision_of(input.spec, 16, int(input.spec.scheme_activation_bits), int(input.spec.scheme_kv_bits));
  if (p.activation.is_on() && input.spec.activation_range == "static")
    p.activation_ranges = static_ranges<float>(model, reference.data(), input.calibration, p.activation,
                                               input.spec.activation_percentile, input.chunks);
  return p;
}

SchemeEntry measure_draw(const Scheme& scheme, int bits, Twin& twin, const SchemeInput& input, const SchemeData& data,
                         std::int64_t draw) {
  QuantizedModel m = quantize_by(
      scheme, bits, twin.options(), twin.theta(), input,
      [&]() -> const std::vector<MeanEstimate>& { return twin.block_traces(); }, draw);
  SchemeEntry entry;
  entry.scheme = scheme.name;
  entry.bits = scheme.has_ladder() ? bits : 0;
  entry.bits_per_weight = m.bits_per_weight;
  entry.predicted_nats = m.predicted_nats;
  entry.fallback_blocks = m.fallback_blocks;
  const bool has_own_coordinates = m.reference != twin.theta();  // AWQ's scales depend on the width
  std::optional<Twin> own;
  if (has_own_coordinates) own.emplace(m.options, m.reference, input, data);
  Twin& at = own ? *own : twin;
  std::tie(entry.gradient_nats, entry.quadratic_nats) = at.predict(m.theta);
  entry.reference = at.change();
  const Transformer<float> given(input.options), changed(m.options);
  const Precision precision = run_precision(input, changed, m.reference);
  entry.change = compare_outputs<float>({given, input.theta.data(), {}}, {changed, m.theta.data(), precision},
                                        data.evaluation, input.chunks);
  entry.blocks = std::move(m.blocks);
  return entry;
}

/// Means over the draws. Windows are the same for all draws: their mean error bounds that of the mean.
SchemeEntry measure_entry(const Scheme& scheme, int bits, Twin& twin, const SchemeInput& input,
                          const SchemeData& data) {
  SchemeEntry entry = measure_draw(scheme, bits, twin, input, data, 0);
  if (input.spec.draws == 1) return entry;
  std::vector<SchemeEntry> all = {entry};
  for (std::int64_t draw = 1; draw < input.spec.draws; ++draw)
    all.push_back(measure_draw(scheme, bits, twin, input, data, draw));
  const auto over_draws = [&](auto&& read) {
    std::vector<double> values;
    values.reserve(all.size());
    for (const SchemeEntry& e : all) values.push_back(read(e));
    return mean_with_error(values);
  };
  for (MeanEstimate OutputChange::*member :
       {&OutputChange::loss, &OutputChange::kl_nats, &OutputChange::top1_agreement}) {
    MeanEstimate& mean = entry.change.*member;
    const MeanEstimate draws = over_draws([&](const SchemeEntry& e) { return (e.change.*member).mean; });
    mean.mean = draws.mean;
    mean.standard_error = std::hypot(
        over_draws([&](const SchemeEntry& e) { return (e.change.*member).standard_error; }).mean, draws.standard_error);
  }
  entry.gradient_nats = over_draws([](const SchemeEntry& e) { return e.gradient_nats; }).mean;
  entry.quadratic_nats = over_draws([](const SchemeEntry& e) { return e.quadratic_nats; }).mean;
  return entry;
}

using Doubles = std::vector<double>;

template <class Read>
Doubles column(const std::vector<SchemeEntry>& entries, Read&& read) {
  Doubles values;
  for (const SchemeEntry& e : entries) values.push_back(read(e));
  return values;
}

}  // namespace

std::vector<MeanEstimate> scheme_block_traces(const Transformer<float>& model, const std::vector<double>& theta,
                                              const TokenBatch& calibration, const CurvatureOptions& options,
                                              std::uint64_t seed) {
  const TokenBatch windows = even_subset(calibration, std::min(trace_windows, calibration.sequences));
  Linearization<Transformer<float>> linear(model, theta.data(), windows, options);
  std::vector<DiagonalWeight> weights;
  for (const ParamBlock& block : model.layout().blocks())
    if (block.is_quantizable()) weights.push_back({block.offset, block.size()});
  std::vector<MeanEstimate> traces;
  for (const TraceEstimate& t : weighted_traces(linear.hessian(), weights, {trace_probes, seed}, nullptr))
    traces.push_back(t);
  return traces;
}

std::vector<SchemeEntry> measure_schemes(const SchemeInput& input, const SchemeData& data, const SchemeWatch& watch) {
  const ParamLayout layout = input.options.layout();
  std::vector<Scheme> schemes;
  double total = 0, done = 0;
  for (const std::string& name : input.spec.schemes) {
    schemes.push_back(scheme_from_name(name));
    total += double(schemes.back().widths(input.spec.scheme_bits, layout).size());
  }
  if (total == 0)
    throw OptionError(
        fmt::format("quantize.scheme_bits = [{}]: nothing is left to compare, for a codebook (lnq) may not "
                    "have more values than a row has weights; use fewer bits or more schemes",
                    fmt::join(input.spec.scheme_bits, ", ")));
  std::vector<SchemeEntry> entries;
  std::optional<Twin> twin;
  std::optional<Coordinates> at;
  for (const Scheme& scheme : schemes) {
    if (at != scheme.coordinates) {
      const Parametrization p = change_coordinates(scheme.coordinates, input);
      twin.emplace(p.options, p.rounded_to_float(), input, data);
      at = scheme.coordinates;
    }
    for (std::int64_t bits : scheme.widths(input.spec.scheme_bits, layout)) {
      entries.push_back(measure_entry(scheme, int(bits), *twin, input, data));
      watch(++done / total, scheme.name);
    }
  }
  return entries;
}

Dataset scheme_rows(const std::vector<SchemeEntry>& entries, const SchemeInput& input) {
  Dataset rows;
  std::vector<std::string> names;
  std::vector<std::int64_t> bits;
  for (const SchemeEntry& e : entries) names.push_back(e.scheme), bits.push_back(e.bits);
  constexpr const schema::Schemes& f = schema::schemes;
  set(rows, f.scheme, names);
  set(rows, f.bits, bits);
  const auto put = [&](const Field<double>& field, auto&& read) { set(rows, field, column(entries, read)); };
  using E = const SchemeEntry&;
  put(f.bits_per_weight, [](E e) { return e.bits_per_weight; });
  put(f.delta_nats, [](E e) { return e.change.loss.mean; });
  put(f.delta_se_nats, [](E e) { return e.change.loss.standard_error; });
  put(f.kl_nats, [](E e) { return e.change.kl_nats.mean; });
  put(f.kl_se_nats, [](E e) { return e.change.kl_nats.standard_error; });
  put(f.top1_agreement, [](E e) { return e.change.top1_agreement.mean; });
  put(f.top1_agreement_se, [](E e) { return e.change.top1_agreement.standard_error; });
  put(f.gradient_nats, [](E e) { return e.gradient_nats; });
  put(f.quadratic_nats, [](E e) { return e.quadratic_nats; });
  put(f.allocation_nats, [](E e) { return e.predicted_nats; });
  put(f.fallback_blocks, [](E e) { return double(e.fallback_blocks); });
  put(f.reference_delta_nats, [](E e) { return e.reference.loss.mean; });
  put(f.reference_kl_nats, [](E e) { return e.reference.kl_nats.mean; });
  set(rows, f.calibration_tokens, std::int64_t(input.calibration.sequences * input.calibration.positions));
  set(rows, f.activation_bits, input.spec.scheme_activation_bits);
  set(rows, f.kv_bits, input.spec.scheme_kv_bits);
  return rows;
}

Dataset scheme_block_rows(const std::vector<SchemeEntry>& entries) {
  Dataset rows;
  EXPECTS(!entries.empty(), "scheme blocks of {} entries", entries.size());
  std::vector<std::string> names;
  for (const BlockReport& b : entries.front().blocks) names.push_back(b.name);
  constexpr const schema::SchemeBlocks& f = schema::scheme_blocks;
  set(rows, f.block, names);
  const auto put = [&](const Field<double>& field, auto&& read) {
    Doubles values;
    for (const SchemeEntry& e : entries)
      for (const BlockReport& b : e.blocks) values.push_back(read(b));
    set(rows, field, std::move(values), {std::int64_t(entries.size())});
  };
  using B = const BlockReport&;
  put(f.sqnr_db, [](B b) { return b.sqnr_db; });
  put(f.mse, [](B b) { return b.mse; });
  put(f.clip_fraction, [](B b) { return b.clip_fraction; });
  put(f.calibration_rows, [](B b) { return b.calibration_rows < 0 ? std::nan("") : double(b.calibration_rows); });
  put(f.block_bits_per_weight, [](B b) { return b.bits_per_weight; });
  return rows;
}

}  // namespace hone::experiments
