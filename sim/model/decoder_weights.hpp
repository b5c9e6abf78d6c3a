// The parameters of a transformer laid out for decoding: every matrix packed once as the right factor of its product,
// so that a step with few rows reads each weight once. A value without ties to the vector it was made from; several
// decoders may share one, and a decoder may change from one to another between tokens.
#pragma once

#include <string>
#include <vector>

#include "sim/model/transformer.hpp"

namespace hone {

template <class S>
class DecoderWeights {
 public:
  struct Linear {
    RightFactor<S> factor;
    AlignedVector<S> bias;  ///< empty without
  };
  struct NormPair {
    AlignedVector<S> weight, bias;
  };
  struct Expert {
    Linear gate, up, down;
  };
  struct Layer {
    NormPair norm1, norm2;
    Linear q, k, v, o, gate, up, down;  ///< `gate` only with Swiglu
    NormPair sub_o, sub_down;           ///< before o and down; empty without sub_norms
    Linear router;                      ///< with experts, which then stand for gate, up and down
    std::vector<Expert> experts = {};
  };

  /// shapes   theta (model.layout().size())
  /// cost     a copy of theta
  DecoderWeights(const Transformer<S>& model, const S* theta);

  const TransformerOptions& options() const { return options_; }
  const std::vector<Layer>& layers() const { return layers_; }
  const NormPair& norm() const { return norm_; }
  const Linear& head() const { return head_; }
  const Matrix<S>& embedding() const { return embedding_; }
  const Matrix<S>& positions() const { return positions_; }  ///< empty with rotary positions

 private:
  Linear linear(const ParamLayout& layout, const S* theta, const std::string& weight, const std::string& bias) const;
  NormPair norm_pair(const ParamLayout& layout, const S* theta, const std::string& name) const;

  TransformerOptions options_;
  std::vector<Layer> layers_;
  NormPair norm_;
  Linear head_;
  Matrix<S> embedding_, positions_;
};

extern template class DecoderWeights<float>;
extern template class DecoderWeights<double>;

}  // namespace hone
