#include "sim/model/decoder_weights.hpp"

#include <string>

namespace hone {

template <class S>
DecoderWeights<S>::DecoderWeights(const Transformer<S>& model, const S* theta) : options_(model.options()) {
  const ParamLayout& layout = model.layout();
  const auto values = [&](const std::string& name) {
    const ParamBlock* block = layout.find(name);
    return block ? AlignedVector<S>(theta + block->offset, theta + block->offset + block->size()) : AlignedVector<S>{};
  };
  const auto linear = [&](const std::string& weight, const std::string& bias) {
    PackedLinear<S> packed{{}, values(bias)};
    if (const ParamBlock* block = layout.find(weight)) packed.factor.set_transposed(view(theta, *block));
    return packed;
  };
  const auto norm = [&](const std::string& name) {
    return PackedNorm<S>{{options_.norm, options_.norm_eps}, values(name + ".weight"), values(name + ".bias")};
  };
  embedding_ = view(theta, layout.at("tok_emb.weight"));
  if (options_.position == Positions::learned) positions_ = view(theta, layout.at("pos_emb.weight"));
  for (Index l = 0; l < options_.layers; ++l)
    layers_.push_back(make_layer<S, PackedLinear<S>, PackedNorm<S>>(options_, l, linear, norm));
  norm_ = norm("final_norm");
  head_ = linear(options_.head == Head::tied ? "tok_emb.weight" : "head.weight", "head.bias");
}

template class DecoderWeights<float>;
template class DecoderWeights<double>;

}  // namespace hone
