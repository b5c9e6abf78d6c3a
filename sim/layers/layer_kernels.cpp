// Compiled once per instruction class.
#include "sim/layers/activation.hpp"
#include "sim/layers/cached_attention.hpp"
#include "sim/layers/norm.hpp"
#include "sim/layers/rope.hpp"
#include "sim/layers/softmax.hpp"

namespace hone {

HONE_KERNELS_HERE(NormKernels, HONE_NORM_KERNELS)
HONE_KERNELS_HERE(ActivationKernels, HONE_ACTIVATION_KERNELS)
HONE_KERNELS_HERE(RopeKernels, HONE_ROPE_KERNELS)
HONE_KERNELS_HERE(SoftmaxKernels, HONE_SOFTMAX_KERNELS)
HONE_KERNELS_HERE(CachedAttentionKernels, HONE_CACHED_ATTENTION_KERNELS)

}  // namespace hone
