// Gradients through a quantizer (straight-through estimators), and the quantizer whose step is learned. The rounding
// itself has derivative 0 almost everywhere; an estimator says what replaces it.
// source  Bengio et al. 2013; Liu et al. 2023 (LLM-QAT); Esser et al. 2020 (LSQ)
#pragma once

#include "sim/formats/quantizer.hpp"

namespace hone {

enum class SteKind {
  identity,  ///< 1 everywhere (BitNet b1.58)
  clipped,   ///< 1 where clipping moves x by no more than half the outermost cell, else 0
  llm_qat,   ///< 1 where |x| < 2, else 0: the constant of the published code, which its forward pass does not clip at
};

std::string_view name_of(SteKind kind);
/// errors  OptionError naming the nearest known name
SteKind ste_from_name(std::string_view name);

/// What the gradient at x is multiplied by, 1 or 0; `range` is read by SteKind::clipped alone.
template <class S>
S ste_mask(S x, const StepRange& range, SteKind kind);

/// Multiplies dx by the mask of every value of x, the grids being those that fake_quantize takes on x.
/// shapes   dx, x (rows,cols)
/// expects  q.is_on(); for SteKind::clipped no outlier_threshold
template <class S>
void apply_ste_mask(MatRef<S> dx, ConstMatRef<S> x, const Quantizer& q, SteKind kind, Index rows_per_tensor);

/// The grid of a learned step: codes -2^(b-1) … 2^(b-1)-1.
/// expects  step > 0, 2 ≤ bits < 16
StepRange learned_range(double step, int bits);

/// The step to start from.
/// math  2·mean|w|/√Q, Q = 2^(b-1)-1
template <class S>
double initial_learned_step(ConstMatRef<S> w, int bits);

/// Masks dw in place and returns dLoss/dstep.
/// math     v = w/s; dw → dw·[-2^(b-1) < v < Q]; ds = Σ dw·(rne(v) - v inside, -2^(b-1) or Q outside)/√(N Q)
/// shapes   dw, w (rows,cols); dw comes in as dLoss/d(quantized w)
/// source   Esser et al. 2020, equations 3-5 and section 2.2
template <class S>
double learned_step_backward(MatRef<S> dw, ConstMatRef<S> w, double step, int bits);

#define HONE_STRAIGHT_THROUGH_INSTANCES(prefix, S)                                                     \
  prefix template S ste_mask<S>(S, const StepRange&, SteKind);                                         \
  prefix template void apply_ste_mask<S>(MatRef<S>, ConstMatRef<S>, const Quantizer&, SteKind, Index); \
  prefix template double initial_learned_step<S>(ConstMatRef<S>, int);                                 \
  prefix template double learned_step_backward<S>(MatRef<S>, ConstMatRef<S>, double, int);
HONE_STRAIGHT_THROUGH_INSTANCES(extern, float)
HONE_STRAIGHT_THROUGH_INSTANCES(extern, double)

}  // namespace hone
