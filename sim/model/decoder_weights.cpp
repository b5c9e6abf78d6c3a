#include "sim/model/decoder_weights.hpp"

#include <algorithm>

namespace hone {
namespace {

const ParamBlock* find_block(const ParamLayout& layout, const std::string& name) {
  const auto& blocks = layout.blocks();
  const auto at = std::find_if(blocks.begin(), blocks.end(), [&](const ParamBlock& b) { return b.name == name; });
  return at == blocks.end() ? nullptr : &*at;
}

template <class S>
AlignedVector<S> values_of(const ParamLayout& layout, const S* theta, const std::string& name) {
  const ParamBlock* block = find_block(layout, name);
  if (block == nullptr) return {};
  return {theta + block->offset, theta + block->offset + block->size()};
}

}  // namespace

template <class S>
auto DecoderWeights<S>::linear(const ParamLayout& layout, const S* theta, const std::string& weight,
                               const std::string& bias) const -> Linear {
  Linear result;
  if (const ParamBlock* block = find_block(layout, weight)) result.factor.set_transposed(view(theta, *block));
  result.bias = values_of(layout, theta, bias);
  return result;
}

template <class S>
auto DecoderWeights<S>::norm_pair(const ParamLayout& layout, const S* theta, const std::string& name) const
    -> NormPair {
  return {values_of(layout, theta, name + ".weight"), values_of(layout, theta, name + ".bias")};
}

template <class S>
DecoderWeights<S>::DecoderWeights(const Transformer<S>& model, const S* theta) : options_(model.options()) {
  const ParamLayout& layout = model.layout();
  embedding_ = view(theta, layout.at("tok_emb.weight"));
  if (options_.position == Positions::learned) positions_ = view(theta, layout.at("pos_emb.weight"));
  norm_ = norm_pair(layout, theta, "final_norm");
  head_ = linear(layout, theta, options_.head == Head::tied ? "tok_emb.weight" : "head.weight", "head.bias");
  for (Index l = 0; l < options_.layers; ++l) {
    const std::string in = fmt::format("layers.{}.", l);
    const auto make = [&](const char* weight, const char* bias) {
      return linear(layout, theta, in + weight, in + bias);
    };
    layers_.push_back({norm_pair(layout, theta, in + "attn_norm"), norm_pair(layout, theta, in + "mlp_norm"),
                       make("wq", "bq"), make("wk", "bk"), make("wv", "bv"), make("wo", "bo"), make("w_gate", ""),
                       make("w_up", "b_up"), make("w_down", "b_down"), norm_pair(layout, theta, in + "wo_norm"),
                       norm_pair(layout, theta, in + "down_norm"), make("router", "")});
    for (Index e = 0; e < options_.experts; ++e) {
      const auto own = [&](const char* weight, const char* bias) {
        const std::string of = fmt::format("experts.{}.", e);
        return make((of + weight).c_str(), (of + bias).c_str());
      };
      layers_.back().experts.push_back({own("w_gate", ""), own("w_up", "b_up"), own("w_down", "b_down")});
    }
  }
}

template class DecoderWeights<float>;
template class DecoderWeights<double>;

}  // namespace hone
