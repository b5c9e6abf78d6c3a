#include "sim/quantize/qat_weights.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/parallel.hpp"
#include "sim/model/transformer/acts.hpp"
#include "sim/quantize/weights.hpp"

namespace hone {
namespace {

constexpr double smallest_initial_step = 1e-8;
/// Logarithms beyond it are cut off, so that a step is never 0 or infinite.
constexpr double largest_log_step = 80;

}  // namespace

void QatOptions::validate() const {
  precision.weight.validate("train.weight");
  precision.activation.validate("train.activation");
  precision.key.validate("train.key");
  precision.value.validate("train.value");
  std::vector<std::string> wrong;
  const Quantizer& w = precision.weight;
  if (learned_steps && !(w.format == Format::integer && w.bits >= 2 && w.bits < 16))
    wrong.push_back(
        fmt::format("train.weight.bits = {} with learned steps (expected 2 to 15, and an integer format)", w.bits));
  if (learned_steps && w.granularity != Granularity::row && w.granularity != Granularity::tensor)
    wrong.push_back(fmt::format("train.weight.granularity = '{}' with learned steps; use 'row' or 'tensor'",
                                name_of(w.granularity)));
  if (learned_steps && w.scale != ScaleKind::real)
    wrong.push_back(
        fmt::format("train.weight.scale = '{}' with learned steps, which are floats; use 'real'", name_of(w.scale)));
  if (learned_steps && w.rounding == Rounding::stochastic)
    wrong.push_back("train.weight.rounding = 'stochastic' with learned steps; use 'nearest_even'");
  if (precision.ste == SteKind::clipped && precision.activation.outlier_threshold > 0)
    wrong.push_back(fmt::format("train.activation.outlier_threshold = {} with ste = 'clipped'; use 'identity'",
                                precision.activation.outlier_threshold));
  if (!wrong.empty()) throw OptionError(fmt::format("{}", fmt::join(wrong, "; ")));
}

QatOptions bitnet_options() {
  QatOptions options;
  options.precision.weight = {.granularity = Granularity::tensor, .format = Format::ternary};
  options.precision.activation = {.bits = 8, .grid = Grid::full};
  return options;
}

QatOptions binary_options() {
  QatOptions options;
  options.precision.weight = {.bits = 1, .grid = Grid::llm_qat, .granularity = Granularity::row};
  return options;
}

QatOptions llm_qat_options(int weight_bits, int activation_bits, int kv_bits) {
  QatOptions options;
  options.precision.weight = {.bits = weight_bits, .grid = Grid::llm_qat};
  options.precision.activation = {.bits = activation_bits, .grid = Grid::llm_qat};
  options.precision.key = options.precision.value = {.bits = kv_bits, .grid = Grid::llm_qat};
  options.precision.ste = options.weight_ste = SteKind::llm_qat;
  return options;
}

Precision with_number_format(Precision precision, NumberFormat format, Index layers) {
  if (precision.activation.is_on())
    throw OptionError(
        fmt::format("train_format = \"{}\" with quantized activations; use train_format = \"fp32\"", name_of(format)));
  if (format == NumberFormat::fp32) return precision;
  StepRange range;
  range.step = 1;
  range.format = precision.activation.format = format == NumberFormat::bf16 ? minifloat(8, 7) : minifloat(5, 10);
  range.code_max = top_code(range.format);
  range.code_min = -range.code_max;
  precision.activation_ranges.assign(size_t(layers) * std::size(linear_inputs), range);
  return precision;
}

template <class S>
QatWeights<S>::QatWeights(const ParamLayout& model, const QatOptions& options, int threads)
    : options_(options), threads_(threads), layout_(model) {
  options_.validate();
  const bool is_row = options_.precision.weight.granularity == Granularity::row;
  for (size_t number = 0; options_.precision.weight.is_on() && number < model.blocks().size(); ++number) {
    const ParamBlock& block = model.blocks()[number];
    if (!block.is_quantizable()) continue;
    blocks_.push_back(number);
    if (options_.learned_steps)
      steps_.push_back(
          size_t(layout_.add(block.name + ".log_step", block.layer, Role::step, 1, is_row ? block.rows : 1)));
  }
}

template <class S>
template <class Body>
void QatWeights<S>::for_each_step(const ParamBlock& block, Body&& body) const {
  const Index height = options_.precision.weight.granularity == Granularity::row ? 1 : block.rows;
  for (Index row = 0; row < block.rows; row += height) body(row, height);
}

template <class S>
double QatWeights<S>::step_of(const S* theta, size_t i, Index row) const {
  const ParamBlock& steps = layout_.blocks()[steps_[i]];
  const double log_step = double(theta[steps.offset + std::min(row, steps.cols - 1)]);
  return std::exp(std::clamp(log_step, -largest_log_step, largest_log_step));
}

template <class S>
AlignedVector<S> QatWeights<S>::with_steps(const S* theta) const {
  AlignedVector<S> result(size_t(layout_.size()));
  const Index size = steps_.empty() ? layout_.size() : layout_.blocks()[steps_[0]].offset;
  std::copy_n(theta, size, result.begin());
  for (size_t i = 0; i < steps_.size(); ++i) {
    const ParamBlock &block = layout_.blocks()[blocks_[i]], &steps = layout_.blocks()[steps_[i]];
    Index next = steps.offset;
    for_each_step(block, [&](Index row, Index height) {
      const ConstMatView<S> w(theta + block.offset + row * block.cols, height, block.cols);
      const double step = initial_learned_step<S>(w, options_.precision.weight.bits);
      result[size_t(next++)] = S(std::log(std::max(step, smallest_initial_step)));
    });
  }
  return result;
}

template <class S>
void QatWeights<S>::quantize_learned(const S* theta, size_t i, S* out) const {
  const ParamBlock& block = layout_.blocks()[blocks_[i]];
  const Quantizer& q = options_.precision.weight;
  for_each_step(block, [&](Index row, Index height) {
    MatView<S> w(out + block.offset + row * block.cols, height, block.cols);
    fake_quantize_static<S>(w, learned_range(step_of(theta, i, row), q.bits), q.rounding);
  });
}

template <class S>
const S* QatWeights<S>::quantize(const S* theta) {
  if (blocks_.empty()) return theta;
  rounded_.assign(theta, theta + layout_.size());
  parallel_for(Index(blocks_.size()), threads_, [&](Index i, int) {
    const size_t number = blocks_[size_t(i)];
    if (!view(theta, layout_.blocks()[number]).allFinite()) return;
    if (options_.learned_steps)
      quantize_learned(theta, size_t(i), rounded_.data());
    else
      fake_quantize_block(rounded_.data(), layout_, number, options_.precision.weight);
  });
  return rounded_.data();
}

template <class S>
void QatWeights<S>::learned_backward(const S* theta, size_t i, S* gradient) const {
  const ParamBlock &block = layout_.blocks()[blocks_[i]], &steps = layout_.blocks()[steps_[i]];
  Index next = steps.offset;
  for_each_step(block, [&](Index row, Index height) {
    const Index first = block.offset + row * block.cols;
    MatView<S> dw(gradient + first, height, block.cols);
    const double step = step_of(theta, i, row);
    const double ds = learned_step_backward<S>(dw, ConstMatView<S>(theta + first, height, block.cols), step,
                                               options_.precision.weight.bits);
    gradient[next++] = S(step * ds);
  });
}

template <class S>
void QatWeights<S>::backward(const S* theta, S* gradient) const {
  if (!options_.learned_steps && options_.weight_ste == SteKind::identity) return;
  parallel_for(Index(blocks_.size()), threads_, [&](Index i, int) {
    const ParamBlock& block = layout_.blocks()[blocks_[size_t(i)]];
    if (options_.learned_steps) return learned_backward(theta, size_t(i), gradient);
    if (view(theta, block).allFinite())
      apply_ste_mask<S>(view(gradient, block), view(theta, block), options_.precision.weight, options_.weight_ste,
                        block.rows);
  });
}

template class QatWeights<float>;
template class QatWeights<double>;

}  // namespace hone
