// Loss, gradient, Hessian product and Gauss-Newton product of a model over a whole set, straight
// from the four passes and in one chunk: what the derivative tests compare. S may be Dual.
#pragma once

#include "sim/model/precision.hpp"
#include "tests/support/draws.hpp"

namespace hone::test {

template <class Model>
class ModelPasses {
 public:
  using S = typename Model::Scalar;
  using Data = typename Model::Data;

  ModelPasses(const Model& model, const Data& data)
      : model_(model),
        data_(data),
        x_(model.make_acts(Model::example_count(data))),
        dx_(model.make_acts(Model::example_count(data))),
        tx_(model.make_acts(Model::example_count(data))),
        tdx_(model.make_acts(Model::example_count(data))),
        weight_(1 / double(Model::example_count(data) * model.rows_per_example())) {}

  /// Mean loss, with its tangent when S is Dual.
  S loss(const Vector<S>& theta, const Precision& precision = {}) {
    model_.forward(theta.data(), data_, 0, x_, precision);
    S sum(0);
    for (Index i = 0; i < x_.row_loss.size(); ++i) sum += x_.row_loss.data[i];
    return sum * S(weight_);
  }
  Vector<S> gradient(const Vector<S>& theta) {
    loss(theta);
    Vector<S> g = Vector<S>::Constant(theta.size(), S(0));
    model_.backward(theta.data(), x_, dx_, S(weight_), g.data());
    return g;
  }
  Vector<S> hessian_product(const Vector<S>& theta, const Vector<S>& v) {
    gradient(theta);
    model_.tforward(theta.data(), v.data(), x_, tx_);
    Vector<S> hv = Vector<S>::Constant(theta.size(), S(0));
    model_.tbackward(theta.data(), v.data(), x_, dx_, tx_, tdx_, S(weight_), hv.data());
    return hv;
  }
  Vector<S> ggn_product(const Vector<S>& theta, const Vector<S>& v) {
    loss(theta);
    model_.tforward(theta.data(), v.data(), x_, tx_);
    Vector<S> gv = Vector<S>::Constant(theta.size(), S(0));
    model_.ggn_backward(theta.data(), x_, tx_, dx_, S(weight_), gv.data());
    return gv;
  }
  /// What the last pass wrote.
  const typename Model::Acts& acts() const { return x_; }

 private:
  const Model& model_;
  const Data& data_;
  typename Model::Acts x_, dx_, tx_, tdx_;
  double weight_;
};

}  // namespace hone::test
