// The trunk of a run: training from checkpoint to checkpoint, and the measurements there, of the trunk, of its averages
// and of the branches that leave it. A killed trunk goes on from its last saved state with the same bits.
#pragma once

#include <map>
#include <string>

#include "experiments/running/saved_run.hpp"
#include "experiments/running/time.hpp"
#include "experiments/study/sources.hpp"

namespace hone::experiments {

/// What a run reads, by the names of the study: its own data and that of its branches and shifted windows.
template <class Data>
using SourcesByName = std::map<std::string, Source<Data>>;

/// What the training of a trunk ended with.
struct TrainedTrunk {
  RunOutcome outcome;
  RunFile rows;                ///< of all checkpoints before that
  AlignedVector<float> theta;  ///< of the model, without learned steps
  std::int64_t updates = 0;
  RunTime time;  ///< spent by this process
};

/// Trains the trunk, or the rest of it, through all its checkpoints; of a series it loads them. It is saved after each of them, and once a minute
/// between them.
/// ensures  rows do not depend on threads and interruptions
/// errors   Interrupted, with the trunk saved; IoError when it cannot be saved
/// cost     work_of(spec), without the studies of the trunk's end
template <template <class> class Model>
TrainedTrunk train_and_measure(const RunSpec& spec, const RunContext& context, const RunFacts& facts,
                               const Model<float>& model, const SourcesByName<typename Model<float>::Data>& sources);

}  // namespace hone::experiments
