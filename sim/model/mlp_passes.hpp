// Definitions of the perceptron's passes for any scalar; float and double are compiled in mlp.cpp.
#pragma once

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/layers/linear.hpp"
#include "sim/layers/loss.hpp"
#include "sim/model/mlp.hpp"

namespace hone {

template <class S>
template <class Visit>
void MlpActs<S>::visit_blocks(const MlpOptions& o, Visit&& visit) {
  for (Index l = 0; l < o.linears(); ++l) {
    visit(in[size_t(l)], sequences, o.widths[size_t(l)]);
    visit(z[size_t(l)], sequences, o.widths[size_t(l) + 1]);
  }
  visit(probs, sequences, o.widths.back());
  visit(wanted, sequences, o.widths.back());
  visit(row_loss, sequences, 1);
}

template <class S>
MlpActs<S>::MlpActs(const MlpOptions& o, Index examples) : sequences(examples) {
  in.resize(size_t(o.linears()));
  z.resize(size_t(o.linears()));
  targets.resize(size_t(examples));
  Index need = 0;
  visit_blocks(o, [&](Block<S>&, Index rows, Index cols) { need += Workspace<S>::padded(rows * cols); });
  memory_ = std::make_unique<Workspace<S>>(need);
  visit_blocks(o, [&](Block<S>& b, Index rows, Index cols) { b = {memory_->take(rows, cols).data(), rows, cols}; });
  logits = z.back();
}

template <class S>
void MlpActs<S>::reserve_masks() {
  if (masks_) return;
  Index need = 0;
  for (const Block<S>& b : in) need += Workspace<S>::padded(b.size());
  masks_ = std::make_unique<Workspace<S>>(need);
  for (const Block<S>& b : in) masks.push_back({masks_->take(b.rows, b.cols).data(), b.rows, b.cols});
}

template <class S>
Mlp<S>::Mlp(const MlpOptions& options) : options_(options) {
  options_.validate();
  layout_ = options_.layout();
}

template <class S>
void Mlp<S>::check(const Data& data) const {
  if (data.inputs != options_.widths.front())
    throw OptionError(fmt::format("data has {} inputs per example, the model's first width is {}; set both alike",
                                  data.inputs, options_.widths.front()));
  if (options_.loss == MlpLoss::squared_error) {
    if (data.outputs != options_.widths.back() || data.y.empty())
      throw OptionError(
          fmt::format("data has {} regression targets per example, the model's last width is {}; set "
                      "both alike, or loss = \"softmax_xent\" for classes",
                      data.y.empty() ? 0 : data.outputs, options_.widths.back()));
    return;
  }
  if (data.labels.empty())
    throw OptionError("data has no class labels; use loss = \"squared_error\" for regression data");
  for (std::int32_t label : data.labels)
    if (label < 0 || label >= options_.widths.back())
      throw OptionError(
          fmt::format("data holds class {}, the model's last width is {}; widen it", label, options_.widths.back()));
}

template <class S>
ConstMatView<S> Mlp<S>::weight_of(const S* theta, Index l) const {
  return view(theta, layout_[block_of(l)]);
}
template <class S>
MatView<S> Mlp<S>::weight_of(S* theta, Index l) const {
  return view(theta, layout_[block_of(l)]);
}
template <class S>
const S* Mlp<S>::bias_of(const S* theta, Index l) const {
  return options_.bias ? theta + layout_[block_of(l) + 1].offset : nullptr;
}
template <class S>
S* Mlp<S>::bias_of(S* theta, Index l) const {
  return options_.bias ? theta + layout_[block_of(l) + 1].offset : nullptr;
}

template <class S>
double Mlp<S>::forward(const S* theta, const Data& data, Index first, Acts& x, const Precision& precision) const {
  const Index count = x.sequences, inputs = data.inputs, outputs = options_.widths.back();
  if (precision.ste != SteKind::identity) x.reserve_masks();
  for (Index i = 0; i < count * inputs; ++i) x.in[0].data[i] = S(data.x[size_t(first * inputs + i)]);
  for (Index l = 0; l < options_.linears(); ++l) {
    const size_t s = size_t(l);
    if (l > 0) activation_forward<S>(x.in[s].data, x.z[s - 1].data, x.in[s].size(), options_.activation);  // 1
    if (!x.masks.empty()) x.masks[s].view().setOnes();
    if (precision.activation.is_on() &&
        x.in[s].view().allFinite()) {  // non-finite values are left; the loss becomes NaN
      if (!x.masks.empty()) apply_ste_mask<S>(x.masks[s], x.in[s], precision.activation, precision.ste, 1);
      fake_quantize<S>(x.in[s], precision.activation, 1);
    }
    linear_forward<S>(x.z[s], x.in[s], weight_of(theta, l), bias_of(theta, l));  // 2
  }
  if (options_.loss == MlpLoss::squared_error) {
    for (Index i = 0; i < count * outputs; ++i) x.wanted.data[i] = S(data.y[size_t(first * outputs + i)]);
    return squared_error_forward<S>(x.row_loss.data, x.logits, x.wanted);
  }
  std::copy_n(data.labels.begin() + first, count, x.targets.begin());
  return softmax_xent_forward<S>(x.probs, x.row_loss.data, x.logits, x.targets.data());
}

template <class S>
void Mlp<S>::backward(const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) const {
  if (options_.loss == MlpLoss::squared_error)
    squared_error_backward<S>(dx.logits, x.logits, x.wanted, weight);
  else
    softmax_xent_backward<S>(dx.logits, x.probs, x.targets.data(), weight);
  backward_from_logits(theta, x, dx, dtheta);
}

template <class S>
void Mlp<S>::loss_hessian(const Acts& x, const Acts& tx, Acts& out, S weight) const {
  if (options_.loss == MlpLoss::squared_error)
    squared_error_tbackward<S>(out.logits, tx.logits, weight);
  else
    softmax_xent_tbackward<S>(out.logits, tx.logits, x.probs, weight);
}

template <class S>
void Mlp<S>::ggn_backward(const S* theta, const Acts& x, const Acts& tx, Acts& dx, S weight, S* gtheta) const {
  loss_hessian(x, tx, dx, weight);
  backward_from_logits(theta, x, dx, gtheta);
}

template <class S>
void Mlp<S>::backward_from_logits(const S* theta, const Acts& x, Acts& dx, S* dtheta) const {
  for (Index l = options_.linears() - 1; l >= 0; --l) {
    const size_t s = size_t(l);
    linear_backward<S>(dx.in[s], weight_of(dtheta, l), bias_of(dtheta, l), dx.z[s], x.in[s], weight_of(theta, l));
    if (!x.masks.empty()) dx.in[s].view().array() *= x.masks[s].view().array();
    if (l > 0)
      activation_backward<S>(dx.z[s - 1].data, dx.in[s].data, x.z[s - 1].data, x.in[s].size(), options_.activation);
  }
}

template <class S>
void Mlp<S>::tforward(const S* theta, const S* ttheta, const Acts& x, Acts& tx, Moving) const {
  tx.in[0].view().setZero();
  for (Index l = 0; l < options_.linears(); ++l) {
    const size_t s = size_t(l);
    if (l > 0)
      activation_tforward<S>(tx.in[s].data, tx.z[s - 1].data, x.z[s - 1].data, x.in[s].size(), options_.activation);
    linear_tforward<S>(tx.z[s], tx.in[s], x.in[s], weight_of(theta, l), weight_of(ttheta, l), bias_of(ttheta, l));
  }
}

template <class S>
void Mlp<S>::tbackward(const S* theta, const S* ttheta, const Acts& x, const Acts& dx, const Acts& tx, Acts& tdx,
                       S weight, S* tdtheta, Moving) const {
  loss_hessian(x, tx, tdx, weight);
  for (Index l = options_.linears() - 1; l >= 0; --l) {
    const size_t s = size_t(l);
    linear_tbackward<S>(tdx.in[s], weight_of(tdtheta, l), bias_of(tdtheta, l), tdx.z[s], dx.z[s], tx.in[s], x.in[s],
                        weight_of(theta, l), weight_of(ttheta, l));
    if (l > 0)
      activation_tbackward<S>(tdx.z[s - 1].data, tdx.in[s].data, dx.in[s].data, tx.z[s - 1].data, x.z[s - 1].data,
                              x.in[s].size(), options_.activation);
  }
}

template <class S>
AlignedVector<S> Mlp<S>::initial_parameters(std::uint64_t seed) const {
  AlignedVector<S> theta(static_cast<size_t>(layout_.size()), S(0));
  for (size_t number = 0; number < layout_.blocks().size(); ++number) {
    const ParamBlock& b = layout_.blocks()[number];
    if (b.role == Role::bias) continue;
    const Stream stream{seed, Domain::init, static_cast<std::uint32_t>(number)};
    const double sd = 1 / std::sqrt(double(b.cols));
    for (Index i = 0; i < b.size(); ++i)
      theta[static_cast<size_t>(b.offset + i)] = S(sd * normal(stream, static_cast<std::uint64_t>(i)));
  }
  return theta;
}

}  // namespace hone
