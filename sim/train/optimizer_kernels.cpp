// Compiled once per instruction class.
#include "sim/train/optimizer_kernels.hpp"

namespace hone {

HONE_KERNELS_HERE(UpdateKernels, HONE_UPDATE_KERNELS)

}  // namespace hone
