// Training that is steered away from sharp minima: an objective around another one, for train_to.
#pragma once

#include <cmath>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/train/optimizer.hpp"

namespace hone {

/// Both 0: plain training, bit for bit.
struct SharpnessOptions {
  double sam_rho = 0;           ///< radius of the ascent step, in the 2-norm of all parameters
  double gradient_penalty = 0;  ///< λ of λ‖∇L‖

  /// Cost of an update in gradients.
  double gradients() const { return 1 + (sam_rho > 0 ? 1 : 0) + (gradient_penalty > 0 ? 3 : 0); }
  bool is_plain() const { return sam_rho == 0 && gradient_penalty == 0; }

  /// errors  OptionError when a number is negative or both are set
  void validate() const {
    if (!(sam_rho >= 0) || !(gradient_penalty >= 0))
      throw OptionError(
          fmt::format("sam_rho = {}, gradient_penalty = {}: expected 0 or above", sam_rho, gradient_penalty));
    if (sam_rho > 0 && gradient_penalty > 0)
      throw OptionError(fmt::format("sam_rho = {} and gradient_penalty = {} at once; set one of them to 0", sam_rho,
                                    gradient_penalty));
  }
};

/// The gradient that sharpness-aware minimization or a penalty on the gradient norm follows.
/// math     SAM: ∇L(θ + ρ ∇L(θ)/‖∇L(θ)‖). Penalty: the gradient of L + λ‖∇L‖, which is ∇L + λ H ∇L/‖∇L‖ with the exact
///          Hessian product. A gradient of norm 0, or not finite, is left as it is
/// shapes   theta, gradient (layout().size())
/// ensures  gradient() returns the plain loss at theta, so that curves of different arms compare
/// errors   OptionError for a penalty where the objective has no hessian_product
/// cost     SAM: two gradients; penalty: a gradient and a Hessian product of three
/// source   SAM: Foret et al. 2021 (arXiv:2010.01412), Eq 2 and 3 with p = 2; penalty: Zhao, Zhang & Hu 2022
///          (arXiv:2202.03599), Eq 4 and 5
template <class AnyObjective>
class SharpnessAware {
 public:
  using Scalar = typename AnyObjective::Scalar;
  using S = Scalar;
  using Data = typename AnyObjective::Data;

  /// expects  the objective outlives this object
  SharpnessAware(AnyObjective& objective, const SharpnessOptions& options) : objective_(objective), options_(options) {
    options.validate();
  }

  double gradient(const S* theta, const Data& data, S* gradient) {
    const double loss = objective_.gradient(theta, data, gradient);
    if (options_.is_plain()) return loss;
    const Index size = layout().size();
    const double norm = norm2(gradient, size);
    if (!std::isfinite(norm) || norm == 0) return loss;
    other_.resize(size_t(size));
    if (options_.sam_rho > 0) {
      const S step = S(options_.sam_rho / norm);
      for (Index i = 0; i < size; ++i) other_[size_t(i)] = theta[i] + step * gradient[i];
      objective_.gradient(other_.data(), data, gradient);
      return loss;
    }
    direction_.resize(size_t(size));
    for (Index i = 0; i < size; ++i) direction_[size_t(i)] = S(double(gradient[i]) / norm);
    if constexpr (requires { objective_.hessian_product(theta, direction_.data(), data, other_.data()); })
      objective_.hessian_product(theta, direction_.data(), data, other_.data());
    else
      throw OptionError("gradient_penalty: this training has no Hessian product; use sam_rho");
    for (Index i = 0; i < size; ++i) gradient[i] += S(options_.gradient_penalty) * other_[size_t(i)];
    return loss;
  }

  const ParamLayout& layout() const { return objective_.layout(); }

 private:
  AnyObjective& objective_;
  SharpnessOptions options_;
  AlignedVector<S> other_, direction_;
};

}  // namespace hone
