#include "sim/quantize/gptq_model.hpp"
#include "sim/formats/range_choice.hpp"

#include <cmath>
#include <limits>

namespace hone {
namespace {

std::uint32_t number_of(const ParamLayout& layout, const ParamBlock& block) {
  return static_cast<std::uint32_t>(&block - layout.blocks().data());
}

}  // namespace

BlockReport report_block(const ParamBlock& block, ConstMatRef<double> before, const GptqResult& result,
                         const Quantizer& q) {
  BlockReport report{.name = block.name,
                     .count = block.size(),
                     .sqnr_db = std::numeric_limits<double>::infinity(),
                     .bits_per_weight = bits_per_weight(q, block.rows, block.cols)};
  const StepRange codes = range_of_extremes(0.0, 0.0, Quantizer{.bits = q.bits, .grid = q.grid});
  Index clipped = 0;
  for (Index r = 0; r < block.rows; ++r)
    for (Index c = 0; c < block.cols; ++c) {
      const Index group = result.group_of_column[static_cast<size_t>(c)];
      const double step = result.steps(r, group);
      report.mean_step2 += step * step;
      if (step == 0 || q.format != Format::integer) continue;
      const double code = std::nearbyint(before(r, c) / step) + result.zero_points(r, group);
      clipped += code < codes.code_min || code > codes.code_max;
    }
  const double count = static_cast<double>(block.size()), error2 = (result.q - before).squaredNorm();
  report.mse = error2 / count;
  report.mean_step2 /= count;
  if (error2 > 0) report.sqnr_db = 10 * std::log10(before.squaredNorm() / error2);
  report.clip_fraction = static_cast<double>(clipped) / count;
  return report;
}

template <class S>
GptqModel<S> gptq_model(const Transformer<S>& model, const S* theta, const TokenBatch& calibration,
                        const GptqModelOptions& options) {
  options.gptq.validate("gptq");
  const ParamLayout& layout = model.layout();
  GptqModel<S> out;
  out.theta.assign(theta, theta + layout.size());
  double total_bits = 0;
  CalibrationStream<S> stream(model, out.theta.data(), calibration, options.precision, options.chunks);
  const auto quantize = [&](const InputStatistics& inputs, const std::string& name) {
    const ParamBlock& block = layout.at(name);
    GptqOptions own = options.gptq;
    own.threads = options.chunks.threads;
    own.quantizer.substream = number_of(layout, block);
    const Matrix<double> before = view(theta, block).template cast<double>();
    const GptqResult result = gptq(before, inputs.gram, own);
    view(out.theta.data(), block) = result.q.template cast<S>();
    GptqBlockReport report{.weights = report_block(block, before, result, own.quantizer),
                           .loss = result.loss,
                           .damping_used = result.damping_used,
                           .damping_retries = result.damping_retries,
                           .tokens = inputs.tokens,
                           .fell_back_to_rtn = result.fell_back_to_rtn};
    report.weights.calibration_rows = inputs.tokens;
    total_bits += report.weights.bits_per_weight * static_cast<double>(block.size());
    out.blocks.push_back(std::move(report));
  };
  while (!stream.at_end())
    for (const InputStatistics& inputs : stream.next(out.theta.data()))
      for (const std::string& name : inputs.blocks) quantize(inputs, name);
  out.bits_per_weight = total_bits / static_cast<double>(layout.quantizable_size());
  return out;
}

template GptqModel<float> gptq_model(const Transformer<float>&, const float*, const TokenBatch&,
                                     const GptqModelOptions&);
template GptqModel<double> gptq_model(const Transformer<double>&, const double*, const TokenBatch&,
                                      const GptqModelOptions&);

}  // namespace hone
