// Compiled once per instruction class.
#include "sim/base/gemm_kernel.hpp"
#include "sim/base/vector_ops.hpp"

namespace hone {

HONE_KERNELS_HERE(GemmKernels, HONE_GEMM_KERNELS)
HONE_KERNELS_HERE(VectorKernels, HONE_VECTOR_KERNELS)

}  // namespace hone
