// Mixed-precision training: fp32 master weights and optimizer, lower numbers in the passes.
//   rounded to TrainOptions::format   all parameters that the passes read; the inputs of the linears of the layers (both
//                                     in QatObjective); the gradient of the parameters, before the optimizer sees it
//   float32                           sums and products, norms, softmax, the input of the head, the loss, gradients
//                                     between layers, the optimizer's state, averages
// Inputs of linears stop at the largest number of the format instead of becoming infinite.
//   source  Micikevicius et al. 2018 (arXiv:1710.03740), section 3; Kalamkar et al. 2019 (arXiv:1905.12322)
#pragma once

#include "sim/formats/number_format.hpp"

namespace hone {

/// The dynamic loss scale of fp16; other formats leave it as it is.
/// source  Micikevicius et al. 2018, section 3.2; starting value, factors and interval are those of PyTorch's GradScaler
struct LossScale {
  double scale = 65536;           ///< a power of two
  std::int64_t good_updates = 0;  ///< since it last changed

  bool operator==(const LossScale&) const = default;
};

/// Updates without an overflow after which the scale doubles.
inline constexpr std::int64_t loss_scale_growth_interval = 2000;

/// The gradient in the numbers of `format`.
/// math     fp16: round(scale·g)/scale. An infinity in round(scale·g) of a finite g halves the scale
/// shapes   gradient (size)
/// ensures  true: the gradient is rounded. false, fp16 alone: it overflowed and is as it was, its update has to be skipped
/// errors   ContractError for a lower format of double gradients
bool round_gradient(NumberFormat format, float* gradient, Index size, LossScale& state);
bool round_gradient(NumberFormat format, double* gradient, Index size, LossScale& state);

}  // namespace hone
