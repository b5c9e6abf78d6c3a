// The Hessian product compared with differences of the gradient, which share no code with the tangent passes (certificate
// C0c), and the noise floor of float32 products, below which residuals are meaningless.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "sim/curvature/certificate.hpp"
#include "sim/curvature/operators.hpp"
#include "sim/model/objective.hpp"

namespace hone {

/// gradient = gradient of the mean loss at theta; both (P).
using GradientFunction = std::function<void(const Vector<double>& theta, Vector<double>& gradient)>;

struct FiniteDifferenceOptions {
  double relative_step = 0.003;  ///< the largest step in units of ‖θ‖; each level halves it
  int levels = 4;
  double limit = 1e-8;  ///< for products in double; 1e-4 for products in float
};

/// C0c: ‖H v - D v‖/‖D v‖ with D v the difference of gradients, for v scaled to length 1.
/// math     central differences (g(θ+hv) - g(θ-hv))/2h at h, h/2, … in Neville's table in h² (Richardson); of its
///          entries the one that differs least from its neighbours, so the answer under test takes no part in the choice
/// expects  v not 0, θ not 0, levels ≥ 2; a gradient in double also where the products are in float
/// ensures  not passed when anything is not finite
/// cost     2·levels gradients, 1 product
/// source   Ridders 1982 on the choice of the entry
Certificate finite_difference_check(const LinearOperator& hessian, const GradientFunction& gradient,
                                    const Vector<double>& theta, const Vector<double>& v,
                                    const FiniteDifferenceOptions& options = {});

/// Peak bytes of the check beside those of the operator and the gradient: point, direction and its unit vector, the best
/// entry, a row of the table, and what the entry under way and its two gradients are made of.
inline std::int64_t finite_difference_bytes(const FiniteDifferenceOptions& options, Index size) {
  return std::int64_t(8) * (options.levels + 11) * size;
}

/// η_H = ‖A₃₂ v - A₆₄ v‖/‖A₆₄ v‖: residuals below η_H·‖A‖ cannot be claimed from float products.
/// ensures  NaN when a product is not finite
/// cost     1 product of each
double noise_floor(const LinearOperator& in_float, const LinearOperator& in_double, const Vector<double>& v);

/// The gradient over a set as a function of the parameters, in the model's scalar.
/// expects  model and data outlive the function; one caller at a time
template <class Model>
GradientFunction gradient_function(const Model& model, const typename Model::Data& data, ChunkOptions chunks) {
  using S = typename Model::Scalar;
  const auto objective = std::make_shared<Objective<Model>>(model, chunks);
  return [objective, &data](const Vector<double>& theta, Vector<double>& gradient) {
    const Vector<S>& at = theta.cast<S>();  // of another scalar, a temporary that lives as long
    Vector<S> sum(theta.size());
    objective->gradient(at.data(), data, sum.data());
    gradient = sum.template cast<double>();
  };
}

}  // namespace hone
