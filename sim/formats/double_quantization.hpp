// Double quantization of scales: the scales of a tensor's groups are numbers of 8 bits themselves.
//   source  Dettmers et al. 2023 (QLoRA), section 3 and appendix; Dettmers et al. 2022 (8-bit optimizers), section 2
#pragma once

#include <array>
#include <vector>

namespace hone {

/// Scales that share one second-level scale.
inline constexpr std::size_t double_quantization_block = 256;

/// The values of the signed dynamic 8-bit type in ascending order: 0, 1, and for i = 0 … 6 the 2^i midpoints of 2^i
/// equal parts of [0.1, 1], times 10^(i-6), with both signs. There is no -1.
const std::array<double, 256>& dynamic_8bit_values();

/// The scales as they come back from 8 bits: their mean over the tensor is subtracted, each block of 256 consecutive
/// ones is divided by its largest magnitude, each goes to the nearest dynamic 8-bit value, and all is undone. A scale
/// far below the mean can come back as 0 or with the other sign, as it does in bitsandbytes.
/// shapes   scales: of one tensor, in the order of its groups; the last block may be shorter
/// ensures  equal scales come back as they are up to the rounding of their mean
/// cost     8 comparisons per scale
std::vector<double> double_quantized(const std::vector<double>& scales);

}  // namespace hone
