#include "experiments/instruments/schemes.hpp"

#include <cmath>
#include <limits>

#include "experiments/instruments/schemes_mixed.hpp"
#include "experiments/study/build.hpp"
#include "sim/base/error.hpp"
#include "sim/layers/hadamard.hpp"
#include "sim/quantize/awq_model.hpp"
#include "sim/quantize/codebook.hpp"
#include "sim/quantize/gptq_model.hpp"
#include "sim/quantize/guided.hpp"
#include "sim/quantize/rotation.hpp"
#include "sim/quantize/smoothing.hpp"

namespace hone::experiments {
namespace {

/// In layout order, whatever the order in which a method went through the blocks.
std::vector<BlockReport> in_layout_order(const std::vector<GptqBlockReport>& found, const ParamLayout& layout) {
  std::vector<BlockReport> ordered;
  for (const ParamBlock& block : layout.blocks())
    for (const GptqBlockReport& report : found)
      if (report.weights.name == block.name) ordered.push_back(report.weights);
  return ordered;
}

GptqOptions gptq_options(const SchemeInput& input, int bits) {
  GptqOptions o;
  o.quantizer = weight_quantizer(input.spec, bits);
  o.damping = input.spec.damping;
  o.act_order = input.spec.granularity != "group";
  return o;
}

Precision run_precision(const SchemeInput& input) {
  return precision_of(input.spec, 16, int(input.spec.scheme_activation_bits), int(input.spec.scheme_kv_bits));
}

void by_nearest(QuantizedModel& m, const ParamLayout& layout, const Quantizer& q) {
  QuantizedWeights<float> w = quantize_weights(m.reference.data(), layout, q);
  m.theta = std::move(w.theta), m.blocks = std::move(w.blocks), m.bits_per_weight = w.bits_per_weight;
}

void by_gptq(QuantizedModel& m, const Transformer<float>& model, const SchemeInput& input, int bits) {
  GptqModel<float> w = gptq_model<float>(model, m.reference.data(), input.calibration,
                                         {gptq_options(input, bits), run_precision(input), input.chunks});
  m.theta = std::move(w.theta), m.bits_per_weight = w.bits_per_weight;
  m.blocks = in_layout_order(w.blocks, model.layout());
  for (const GptqBlockReport& block : w.blocks) m.fallback_blocks += block.fell_back_to_rtn;
}

void by_awq(QuantizedModel& m, const Transformer<float>& model, const SchemeInput& input, int bits) {
  AwqModelOptions o;
  o.quantizer = weight_quantizer(input.spec, bits);
  o.precision = run_precision(input);
  o.chunks = input.chunks;
  AwqModel<float> w = awq_model<float>(model, m.reference.data(), input.calibration, o);
  m.reference = std::move(w.folded);
  m.theta = std::move(w.weights.theta), m.blocks = std::move(w.weights.blocks);
  m.bits_per_weight = w.weights.bits_per_weight;
}

/// Blocks one by one with guided Gram matrices at full precision; round_block(block, weights, grams) gives the
/// quantized matrix and what to report of it.
template <class RoundBlock>
void by_guided_grams(QuantizedModel& m, const Transformer<float>& model, const SchemeInput& input,
                     RoundBlock&& round_block) {
  GuidedOptions options;
  options.chunks = input.chunks;
  const auto statistics = guided_statistics<float>(model, m.reference.data(), input.calibration, options);
  m.theta = m.reference;
  double bits = 0;
  for (const GuidedStatistics& s : statistics) {
    const ParamBlock& block = model.layout().at(s.block);
    const Matrix<double> w = view(std::as_const(m.reference).data(), block).template cast<double>();
    auto [q, report] = round_block(block, w, s.grams);
    report.calibration_rows = s.tokens;
    view(m.theta.data(), block) = q.template cast<float>();
    bits += report.bits_per_weight * double(report.count);
    m.blocks.push_back(report);
  }
  m.bits_per_weight = bits / double(model.layout().quantizable_size());
}

std::pair<Matrix<double>, BlockReport> guided_block(const ParamBlock& block, const Matrix<double>& w,
                                                    const std::vector<Matrix<double>>& grams, GptqOptions options,
                                                    int threads) {
  options.threads = threads;
  const GptqResult result = gptq_guided(w, grams, options);
  return {result.q, report_block(block, w, result, options.quantizer)};
}

std::pair<Matrix<double>, BlockReport> lnq_block(const ParamBlock& block, const Matrix<double>& w,
                                                 const std::vector<Matrix<double>>& grams, int bits, int threads) {
  CodebookOptions options;
  options.bits = bits;
  options.threads = threads;
  Matrix<double> q(w.rows(), w.cols());
  BlockReport report{.name = block.name, .count = block.size()};
  const auto groups = Index(grams.size());
  for (Index k = 0; k < groups; ++k) {
    const Index first = row_group(w.rows(), groups, k), count = row_group(w.rows(), groups, k + 1) - first;
    const CodebookResult part = fit_codebooks(w.middleRows(first, count).eval(), grams[size_t(k)], options);
    q.middleRows(first, count) = part.q;
    report.bits_per_weight = part.bits_per_weight;
  }
  const double error2 = (q - w).squaredNorm();
  report.mse = error2 / double(w.size());
  report.sqnr_db = error2 > 0 ? 10 * std::log10(w.squaredNorm() / error2) : std::numeric_limits<double>::infinity();
  report.mean_step2 = std::nan("");  // a codebook has no step
  return {q, report};
}

AlignedVector<double> smoothed(const SchemeInput& input, const std::vector<double>& wide) {
  const Transformer<float> model(input.options);
  const auto statistics = input_statistics<float>(model, input.theta.data(), input.calibration, {}, input.chunks);
  const std::vector<std::vector<double>> max_abs = norm_maxima(statistics);
  return smooth(input.options, wide.data(), max_abs, std::vector<double>(max_abs.size(), input.spec.smoothing));
}

/// QuaRot's rotations as far as the model's sizes have Hadamard matrices.
RotationOptions possible_rotations(const TransformerOptions& o, std::uint64_t seed) {
  RotationOptions r;
  r.seed = seed;
  r.kind = has_hadamard(o.width) ? RotationKind::hadamard_random_sign : RotationKind::orthogonal;
  r.heads = !o.sub_norms && has_hadamard(o.heads);
  r.qk = has_hadamard(o.head_width());
  r.value_heads = !o.sub_norms && r.qk;
  r.mlp = !o.sub_norms && has_hadamard(o.mlp_width);
  return r;
}

}  // namespace

Parametrization change_coordinates(Coordinates coordinates, const SchemeInput& input) {
  const std::vector<double> wide(input.theta.begin(), input.theta.end());
  if (coordinates == Coordinates::smoothed) return {input.options, smoothed(input, wide)};
  if (coordinates == Coordinates::rotated)
    return rotate(input.options, wide.data(), possible_rotations(input.options, input.seed));
  return {input.options, {wide.begin(), wide.end()}};
}

QuantizedModel quantize_by(const Scheme& scheme, int bits, const TransformerOptions& options,
                           const AlignedVector<float>& reference, const SchemeInput& input,
                           const BlockTraces& block_traces, std::int64_t draw) {
  if (scheme.rule == RoundingRule::mixed)
    return quantize_mixed(scheme.score, bits, options, reference, input, block_traces);
  QuantizedModel m;
  m.options = options;
  m.reference = reference;
  m.predicted_nats = std::nan("");
  const Transformer<float> model(options);
  const int threads = input.chunks.threads;
  Quantizer q =
      scheme.rule == RoundingRule::format ? scheme.format : weight_draw(input.spec, bits, {input.seed, 0, draw});
  switch (scheme.rule) {
    case RoundingRule::mse: q.rule = ScaleRule::mse; [[fallthrough]];
    case RoundingRule::nearest:
    case RoundingRule::format: by_nearest(m, model.layout(), q); break;
    case RoundingRule::gptq: by_gptq(m, model, input, bits); break;
    case RoundingRule::awq: by_awq(m, model, input, bits); break;
    case RoundingRule::guided:
      by_guided_grams(m, model, input, [&](const ParamBlock& block, const Matrix<double>& w, const auto& grams) {
        return guided_block(block, w, grams, gptq_options(input, bits), threads);
      });
      break;
    case RoundingRule::lnq:
      by_guided_grams(m, model, input, [&](const ParamBlock& block, const Matrix<double>& w, const auto& grams) {
        return lnq_block(block, w, grams, bits, threads);
      });
      break;
    case RoundingRule::mixed: break;  // above
  }
  return m;
}

}  // namespace hone::experiments
