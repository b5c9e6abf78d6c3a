// The cost model behind plans and progress: what a run consists of, in floating-point operations and Hessian products.
#pragma once

#include "experiments/study/study.hpp"
#include "sim/base/matrix.hpp"

namespace hone::experiments {

/// Flops of a forward pass over one window (mlp: example).
double window_flops(const RunSpec& run, Index parameters);

/// Flops of the loss on all evaluation windows, in the precision that the study asks for.
double evaluation_flops(const RunSpec& run, Index parameters);

/// One update: 6 flops per parameter and token.
double training_flops(const RunSpec& run, Index parameters);

/// Cost of an update of a branch in updates of the trunk: on preferences a gradient and two losses of twice the windows.
double updates_worth(const BranchSpec& branch);

/// All instruments at one checkpoint, when the Lanczos run takes all its steps.
double moment_flops(const RunSpec& run, Index parameters);

/// The optional studies of the trained trunk.
double trunk_end_flops(const RunSpec& run, Index parameters);

/// Flops of one Hessian product over one window (mlp: example), in the precision of the study.
double window_product_flops(const RunSpec& run, Index parameters);

/// Hessian products over all windows at one checkpoint, at most.
double moment_products(const RunSpec& run);

/// What a run consists of, by the cost model.
struct RunWork {
  Index parameters = 0;
  double updates = 0;  ///< of the trunk and its branches; of a series, of the branches alone
  double moments = 0;  ///< checkpoints measured
  double training_flops = 0;
  double measuring_flops = 0;
  double flops() const { return training_flops + measuring_flops; }
};
RunWork work_of(const RunSpec& run);

/// The part of it that is behind a state with this many updates of the trunk done and checkpoints measured, their
/// branches and averages included.
RunWork work_until(const RunSpec& run, std::int64_t updates, std::int64_t checkpoints);

/// Flops of the whole run by the cost model.
double run_cost(const RunSpec& run);

}  // namespace hone::experiments
