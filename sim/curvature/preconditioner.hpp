// Diagonal for scaled(): the coordinates in which an optimizer sees the curvature.
#pragma once

#include <vector>

#include "sim/curvature/operators.hpp"
#include "sim/train/optimizer.hpp"

namespace hone {

/// d = P^-½ of AdamW after its last step: the top eigenvalue of scaled(H, d) is the preconditioned sharpness, which
/// training at a fixed rate drives to stability_threshold().
/// math     P = (1 - β₁^t)·(√(v/(1 - β₂^t)) + eps); the first factor is the bias correction of the momentum, so that
///          the step is θ -= lr·P⁻¹m with the plain average m. Decoupled decay and clipping are left out.
/// shapes   d (P); a parameter that never had a gradient has v = 0 and d near eps^-½
/// expects  an AdamW state with step ≥ 1
/// errors   ContractError when the state belongs to another optimizer or has done no step
/// source   Cohen et al. 2022 (arXiv:2207.14484), eq. 2 and appendix A
template <class S>
Vector<double> adam_preconditioner(const OptimizerOptions& options, const OptimizerState<S>& state);

/// Largest eigenvalue of the (preconditioned) Hessian at which the step is stable on a quadratic with frozen P.
/// math     AdamW: (2 + 2β₁)/((1 - β₁)·lr) = 38/lr at β₁ = 0.9;  SGD, whose momentum is not averaged: (2 + 2β₁)/lr
/// units    of scaled(H, d) for AdamW, of H for SGD
/// expects  lr > 0
/// source   Cohen et al. 2022, prop. 1; without momentum Cohen et al. 2021 (arXiv:2103.00065)
double stability_threshold(const OptimizerOptions& options, double lr);

}  // namespace hone
