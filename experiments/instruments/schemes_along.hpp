// Rows of group /schemes_along: schemes of quantization at every checkpoint.
#pragma once

#include <memory>

#include "experiments/instruments/instrument.hpp"

namespace hone::experiments {

/// Damage of every scheme and width beside its first and second order, in means over draws; on for transformers with
/// quantize.schemes_at = "every".
/// math    one rounding e of a scheme in its coordinates gives the loss of every window, g'e of every window, and e'He/2
///         on the curvature windows and on as many windows of the training text behind those of calibration. Draws of a
///         rotation differ in their signs, those of stochastic rounding in their numbers
/// cost    per rounding four passes over the evaluation windows, two Hessian products, and the scheme's own work
template <template <class> class Model>
std::unique_ptr<Instrument<Model>> schemes_along_instrument();

}  // namespace hone::experiments
