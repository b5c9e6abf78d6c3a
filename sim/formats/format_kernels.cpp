// Compiled once per instruction class.
#include "sim/formats/integer_grid.hpp"

namespace hone {

HONE_KERNELS_HERE(GridKernels, HONE_GRID_KERNELS)

}  // namespace hone
