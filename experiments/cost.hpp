// The cost model behind plans: Hessian products, one by one and by checkpoint.
#pragma once

#include "experiments/study.hpp"
#include "sim/base/matrix.hpp"

namespace hone::experiments {

/// Flops of one Hessian product over one window (mlp: example), in the precision of the study.
double window_product_flops(const RunSpec& run, Index parameters);

/// Hessian products over all windows at one checkpoint, at most.
double moment_products(const RunSpec& run);

}  // namespace hone::experiments
