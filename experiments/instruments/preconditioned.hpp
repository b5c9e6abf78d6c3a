// Sharpness as Adam sees it: the largest eigenvalue of the Hessian in the coordinates of its preconditioner, beside the
// value at which Adam's step stops being stable.
#pragma once

#include <memory>

#include "experiments/instruments/instrument.hpp"

namespace hone::experiments {

/// Rows of group /preconditioned; NaN for parameters that no optimizer state belongs to, such as averages.
/// math    λ_max of P^-½ H P^-½ on the quantizable parameters, P that of adam_preconditioner
/// cost    measure.preconditioned_steps Hessian products on the curvature windows, and one
/// source  Cohen et al. 2022 (arXiv:2207.14484)
template <template <class> class Model>
std::unique_ptr<Instrument<Model>> preconditioned_instrument();

}  // namespace hone::experiments
