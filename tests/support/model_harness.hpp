// The derivative checks of a whole model, for any model that is a template on the scalar: the same
// claims hold for the transformer and for the perceptron.
#pragma once

#include "tests/support/dual_passes.hpp"
#include "tests/support/model_passes.hpp"
#include "tests/support/near.hpp"

namespace hone::test {

/// Tangents of all logits along v, from a forward pass on duals.
template <class DualPasses>
Vector<double> logit_tangents(DualPasses& duals, const Vector<double>& theta, const Vector<double>& v) {
  duals.loss(dual_of(theta, v));
  return tangents(duals.acts().logits.data, duals.acts().logits.size());
}

/// Gradient, Hessian product and Gauss-Newton product against duals, in three random directions.
/// `loss_hessian(acts, tz)` is the caller's formula for the Hessian of the mean loss with respect
/// to the logits.
template <template <class> class Model, class Options, class Data, class LossHessian>
void check_model(const Options& options, const Data& data, const Vector<double>& theta,
                 const LossHessian& loss_hessian) {
  const Model<double> model(options);
  const Model<Dual> dual_model(options);
  ModelPasses<Model<double>> passes(model, data);
  ModelPasses<Model<Dual>> duals(dual_model, data);
  const Index size = model.layout().size();
  REQUIRE(size == theta.size());
  const Vector<double> gradient = passes.gradient(theta);
  for (std::uint32_t draw = 0; draw < 3; ++draw) {
    CAPTURE(draw);
    const Vector<double> u = normals(size, 100 + draw), v = normals(size, 200 + draw);
    const Vector<double> hv = passes.hessian_product(theta, v), gv = passes.ggn_product(theta, v);
    const double slope = duals.loss(dual_of(theta, v)).tangent;
    CHECK_NEAR(gradient.dot(v), slope, 0.0, 1e-12 * gradient.norm() * v.norm());
    const Vector<Dual> dual_gradient = duals.gradient(dual_of(theta, v));
    CHECK(relative_error(hv, tangents(dual_gradient.data(), size)) <= 1e-11);
    CHECK_NEAR(u.dot(hv), v.dot(passes.hessian_product(theta, u)), 0.0, 1e-12 * hv.norm() * u.norm());

    const Vector<double> ju = logit_tangents(duals, theta, u), jv = logit_tangents(duals, theta, v);
    passes.loss(theta);
    const Vector<double> ljv = loss_hessian(passes.acts(), jv);
    CHECK_NEAR(u.dot(gv), ju.dot(ljv), 0.0, 1e-11 * gv.norm() * u.norm());
    CHECK_NEAR(v.dot(gv), jv.dot(ljv), 1e-11, 0.0);
    CHECK(v.dot(gv) >= 0);
  }
}

/// H of the mean softmax cross-entropy applied to tz: p∘(tz - p·tz)/M row by row.
template <class Acts>
Vector<double> xent_hessian(const Acts& acts, const Vector<double>& tz) {
  const Index rows = acts.probs.rows, columns = acts.probs.cols;
  Vector<double> out(tz.size());
  for (Index m = 0; m < rows; ++m) {
    const double* p = acts.probs.data + m * columns;
    double mean = 0;
    for (Index v = 0; v < columns; ++v) mean += p[v] * tz[m * columns + v];
    for (Index v = 0; v < columns; ++v) out[m * columns + v] = p[v] * (tz[m * columns + v] - mean) / double(rows);
  }
  return out;
}

}  // namespace hone::test
