// Multilayer perceptron of any widths, with the four passes over one chunk of examples.
//   z_1 = W_1 x + b_1,  z_{l+1} = W_{l+1} a(z_l) + b_{l+1};  loss on the last z.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/base/workspace.hpp"
#include "sim/data/vectors.hpp"
#include "sim/layers/activation.hpp"
#include "sim/model/params.hpp"
#include "sim/model/precision.hpp"

namespace hone {

enum class MlpLoss {
  softmax_xent,   ///< mean nats per example
  squared_error,  ///< mean over examples and outputs, no factor ½
};

struct MlpOptions {
  std::vector<Index> widths;  ///< inputs, hidden widths, outputs
  Activation activation = Activation::tanh;
  MlpLoss loss = MlpLoss::softmax_xent;
  bool bias = true;

  Index linears() const { return static_cast<Index>(widths.size()) - 1; }
  /// errors  OptionError listing every wrong field
  void validate() const;
  /// Blocks W1, b1, W2, b2, …; all weight matrices are quantizable.
  ParamLayout layout() const;
};

template <class S>
struct MlpActs {
  MlpActs(const MlpOptions& options, Index examples);
  std::int64_t bytes() const {
    return (memory_->capacity() + (masks_ ? masks_->capacity() : 0)) * std::int64_t(sizeof(S));
  }
  /// Adds the masks of straight-through estimators; does nothing when they are there.
  void reserve_masks();

  Index sequences = 0;                ///< examples in the chunk; one loss row each
  std::vector<std::int32_t> targets;  ///< class ids, filled by forward
  std::vector<Block<S>> in;           ///< input of linear l, (M, widths[l])
  std::vector<Block<S>> z;            ///< output of linear l, (M, widths[l+1])
  std::vector<Block<S>> masks;        ///< of `in`, multiplied to its gradient; only after reserve_masks
  Block<S> logits;                    ///< the last z
  Block<S> probs, wanted, row_loss;

 private:
  template <class Visit>
  void visit_blocks(const MlpOptions& options, Visit&& visit);
  std::unique_ptr<Workspace<S>> memory_, masks_;
};

/// The model as a value; the same concept as Transformer (see there for the contract of each pass).
template <class S>
class Mlp {
 public:
  using Scalar = S;
  using Options = MlpOptions;
  using Data = VectorBatch;
  using Acts = MlpActs<S>;

  explicit Mlp(const MlpOptions& options);

  const MlpOptions& options() const { return options_; }
  const ParamLayout& layout() const { return layout_; }
  Acts make_acts(Index examples) const { return Acts(options_, examples); }
  Index rows_per_example() const { return 1; }
  static Index example_count(const Data& data) { return data.examples; }
  void check(const Data& data) const;

  double forward(const S* theta, const Data& data, Index first, Acts& x, const Precision& precision) const;
  void backward(const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) const;
  /// All matrices are quantizable, so there is nothing to leave out.
  void tforward(const S* theta, const S* ttheta, const Acts& x, Acts& tx, Moving = Moving::all) const;
  void tbackward(const S* theta, const S* ttheta, const Acts& x, const Acts& dx, const Acts& tx, Acts& tdx, S weight,
                 S* tdtheta, Moving = Moving::all) const;
  void ggn_backward(const S* theta, const Acts& x, const Acts& tx, Acts& dx, S weight, S* gtheta) const;
  void backward_from_logits(const S* theta, const Acts& x, Acts& dx, S* dtheta) const;

  /// Weights N(0, 1/fan_in), biases 0.
  AlignedVector<S> initial_parameters(std::uint64_t seed) const;

 private:
  void loss_hessian(const Acts& x, const Acts& tx, Acts& out, S weight) const;
  ConstMatView<S> weight_of(const S* theta, Index l) const;
  MatView<S> weight_of(S* theta, Index l) const;
  const S* bias_of(const S* theta, Index l) const;
  S* bias_of(S* theta, Index l) const;
  int block_of(Index l) const { return static_cast<int>(options_.bias ? 2 * l : l); }

  MlpOptions options_;
  ParamLayout layout_;
};

extern template class Mlp<float>;
extern template class Mlp<double>;
extern template struct MlpActs<float>;
extern template struct MlpActs<double>;

}  // namespace hone
