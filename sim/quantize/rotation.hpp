// Rotations of a trained model (QuaRot, SpinQuant): orthogonal changes of basis that leave the function as it is and
// spread outliers over many channels.
//   R1 residual      stream x -> xQ:  E Q, P Q;  readers W Q;  writers Q'W, Q'b
//   R2 value_heads   within each head, offline:  wv rows H_hd, wo columns H_hd
//      heads         across heads:  wo columns H_heads ⊗ I, and online H_heads ⊗ I on the attention output
//   R3 qk            online H_hd on q and k after RoPE; no weight changes
//   R4 mlp           w_down columns H_ffn, and online H_ffn on its input
// What changes: steps, ranges and the alignment of the rounding error with the curvature. What does not: the logits at
// full precision, and the spectrum of the Hessian over the matrices of the folded model, H' = T H T' with T orthogonal.
//   source  Ashkboos et al. 2024 (QuaRot, arXiv:2404.00456); Liu et al. 2024 (SpinQuant, arXiv:2405.16406)
#pragma once

#include "sim/quantize/folding.hpp"

namespace hone {

/// How Q of the residual stream is drawn. All other rotations are plain Hadamard matrices, for their other half may run
/// online.
enum class RotationKind {
  hadamard_random_sign,  ///< diag(±1) H; the width needs a Hadamard matrix
  orthogonal,            ///< uniform on the orthogonal matrices, any width
};

/// The default is QuaRot with all its rotations. `residual` with `value_heads` alone runs no transform online.
struct RotationOptions {
  std::uint64_t seed = 0;  ///< of Q
  RotationKind kind = RotationKind::hadamard_random_sign;
  bool residual = true;     ///< R1; folds the norms first
  bool value_heads = true;  ///< R2 within heads
  bool heads = true;        ///< R2 across heads, online
  bool mlp = true;          ///< R4, online
  bool qk = true;           ///< R3, online
};

/// The same function in rotated coordinates, computed in double.
/// shapes   theta (options.layout().size())
/// ensures  result.options.rotations holds the online part; norms are folded when `residual` is on, else as they were
/// errors   OptionError when a size has no Hadamard matrix, or the model already rotates online at a wanted site;
///          those of fold_norms
/// cost     2·C·P flops for Q, P log flops for the others
Parametrization rotate(const TransformerOptions& options, const double* theta, const RotationOptions& rotation);

}  // namespace hone
