// The parameters of a transformer laid out for decoding: every matrix packed once as the right factor of its product,
// so that a step with few rows reads each weight once. A value without ties to the vector it was made from; several
// decoders may share one, and a decoder may change from one to another between tokens.
#pragma once

#include <vector>

#include "sim/model/transformer.hpp"

namespace hone {

/// What packed blocks take in place of ParamVectors: they hold their parameters themselves.
struct PackedParams {};

/// y = x W' + b.
template <class S>
struct PackedLinear {
  RightFactor<S> factor;  ///< W'
  AlignedVector<S> bias;  ///< empty without

  explicit operator bool() const { return factor.depth > 0; }

  void forward(PackedParams, const Block<S>& y, const Block<S>& x) const {
    if (x.rows == 0) return;  // an expert without tokens
    gemm_right<S>(y, x, factor);
    if (!bias.empty()) add_bias<S>(y, bias.data());
  }
};

template <class S>
struct PackedNorm {
  NormRule rule;
  AlignedVector<S> gain, shift;

  explicit operator bool() const { return !gain.empty(); }

  void forward(PackedParams, const Block<S>& y, const Block<S>& stat, const Block<S>& x) const {
    rule.apply<S>(y, stat, x, gain.data(), shift.data());
  }
};

template <class S>
class DecoderWeights {
 public:
  using Layer = TransformerLayer<S, PackedLinear<S>, PackedNorm<S>>;

  /// shapes   theta (model.layout().size())
  /// cost     a copy of theta
  DecoderWeights(const Transformer<S>& model, const S* theta);

  const TransformerOptions& options() const { return options_; }
  const std::vector<Layer>& layers() const { return layers_; }
  const PackedNorm<S>& norm() const { return norm_; }
  const PackedLinear<S>& head() const { return head_; }
  const Matrix<S>& embedding() const { return embedding_; }
  const Matrix<S>& positions() const { return positions_; }  ///< empty with rotary positions

 private:
  TransformerOptions options_;
  std::vector<Layer> layers_;
  PackedNorm<S> norm_;
  PackedLinear<S> head_;
  Matrix<S> embedding_, positions_;
};

extern template class DecoderWeights<float>;
extern template class DecoderWeights<double>;

}  // namespace hone
