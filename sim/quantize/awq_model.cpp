#include "sim/quantize/awq_model.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace hone {
namespace {

/// The weight and bias whose outputs, or the norm whose gain and bias, make an input.
std::vector<std::string> blocks_writing(int layer, LinearInput input, int expert) {
  const std::string prefix =
      expert < 0 ? fmt::format("layers.{}.", layer) : fmt::format("layers.{}.experts.{}.", layer, expert);
  const auto named = [&](const char* name) { return prefix + name; };
  switch (input) {
    case LinearInput::attention: return {named("attn_norm.weight"), named("attn_norm.bias")};
    case LinearInput::attention_output: return {named("wv"), named("bv")};
    case LinearInput::mlp: return {named("mlp_norm.weight"), named("mlp_norm.bias")};
    case LinearInput::mlp_output: return {named("w_up"), named("b_up")};
  }
  throw ContractError(fmt::format("awq: no input {}", static_cast<int>(input)));
}

const ParamBlock* find(const ParamLayout& layout, const std::string& name) {
  const auto& blocks = layout.blocks();
  const auto at = std::find_if(blocks.begin(), blocks.end(), [&](const ParamBlock& b) { return b.name == name; });
  return at == blocks.end() ? nullptr : &*at;
}

template <class S>
std::vector<Matrix<double>> weights_of(const ParamLayout& layout, const std::vector<std::string>& names,
                                       const S* theta) {
  std::vector<Matrix<double>> weights;
  for (const std::string& name : names) weights.push_back(view(theta, layout.at(name)).template cast<double>());
  return weights;
}

/// Clips the weights that read an input whose channels were divided by `scales`.
template <class S>
void clip_readers(const ParamLayout& layout, const InputStatistics& inputs, const std::vector<double>& scales,
                  const Quantizer& quantizer, S* theta) {
  const Vector<double> inverse = ConstVecView<double>(scales.data(), Index(scales.size())).cwiseInverse();
  const Matrix<double> gram = inverse.asDiagonal() * inputs.gram * inverse.asDiagonal();
  for (const std::string& name : inputs.blocks) {
    if (name.ends_with("wq") || name.ends_with("wk")) continue;
    const ParamBlock& block = layout.at(name);
    const Matrix<double> w = view(static_cast<const S*>(theta), block).template cast<double>();
    view(theta, block) = awq_clip(w, gram, quantizer).clipped.template cast<S>();
  }
}

}  // namespace

bool can_fold_input_scale(const TransformerOptions& options, LinearInput input) {
  const bool is_direct = !options.sub_norms;
  if (input == LinearInput::attention_output)
    return is_direct && options.heads == options.kv_heads && !options.rotations.heads;
  if (input == LinearInput::mlp) return options.experts == 0;
  if (input == LinearInput::mlp_output) return is_direct && options.mlp == MlpKind::swiglu && !options.rotations.mlp;
  return true;
}

template <class S>
void fold_input_scale(const TransformerOptions& options, int layer, LinearInput input,
                      const std::vector<double>& scales, S* theta, int expert) {
  EXPECTS(can_fold_input_scale(options, input), "awq: nothing before input {} of layer {} can take its scales",
          static_cast<int>(input), layer);
  const ParamLayout layout = options.layout();
  const Vector<S> s = ConstVecView<double>(scales.data(), Index(scales.size())).template cast<S>();
  EXPECTS(s.size() > 0 && s.minCoeff() > 0, "awq: {} scales, the least {}", s.size(), s.size() ? s.minCoeff() : S(0));
  for (const std::string& name : blocks_reading(options, layer, input, expert)) {
    const ParamBlock& block = layout.at(name);
    EXPECTS(block.cols == s.size(), "awq: {} scales for {} columns of {}", s.size(), block.cols, name);
    view(theta, block) = view(theta, block) * s.asDiagonal();
  }
  for (const std::string& name : blocks_writing(layer, input, expert)) {
    const ParamBlock* block = find(layout, name);
    if (block == nullptr) continue;
    auto values = view(theta, *block);
    if (block->role == Role::matrix)
      values.array().colwise() /= s.array();
    else
      values.array().rowwise() /= s.array().transpose();
  }
}

template <class S>
AwqModel<S> awq_model(const Transformer<S>& model, const S* theta, const TokenBatch& calibration,
                      const AwqModelOptions& options) {
  options.quantizer.validate("awq.quantizer");
  if (!options.quantizer.is_on())
    throw OptionError(fmt::format("awq.quantizer.bits = {} quantizes nothing; use 2..8", options.quantizer.bits));
  const ParamLayout& layout = model.layout();
  const std::vector<InputStatistics> inputs =
      input_statistics(model, theta, calibration, options.precision, options.chunks);
  AwqModel<S> out;
  out.folded.assign(theta, theta + layout.size());
  std::vector<std::vector<double>> scales;
  for (const InputStatistics& site : inputs) {
    scales.emplace_back(site.mean_abs.size(), 1.0);
    if (!can_fold_input_scale(model.options(), site.input) || site.tokens == 0) continue;
    const AwqScales found = awq_scales(weights_of(layout, site.blocks, static_cast<const S*>(out.folded.data())),
                                       site.gram, site.mean_abs, options.quantizer);
    fold_input_scale(model.options(), site.layer, site.input, found.scales, out.folded.data(), site.expert);
    scales.back() = found.scales;
    out.sites.push_back({site.name, found.exponent, found.error, found.rtn_error});
  }
  AlignedVector<S> clipped = out.folded;
  for (size_t i = 0; options.clip && i < inputs.size(); ++i)
    if (inputs[i].tokens > 0) clip_readers(layout, inputs[i], scales[i], options.quantizer, clipped.data());
  out.weights = quantize_weights(static_cast<const S*>(clipped.data()), layout, options.quantizer);
  return out;
}

template void fold_input_scale(const TransformerOptions&, int, LinearInput, const std::vector<double>&, float*, int);
template void fold_input_scale(const TransformerOptions&, int, LinearInput, const std::vector<double>&, double*, int);
template AwqModel<float> awq_model(const Transformer<float>&, const float*, const TokenBatch&, const AwqModelOptions&);
template AwqModel<double> awq_model(const Transformer<double>&, const double*, const TokenBatch&,
                                    const AwqModelOptions&);

}  // namespace hone
