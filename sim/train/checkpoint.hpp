// A training state as a record group and back: parameters, optimizer, averages, position in the stream, each array
// with its hash. A state that was written and read back continues with the same bits.
#pragma once

#include "sim/record/dataset.hpp"
#include "sim/train/trainer.hpp"

namespace hone {

/// All arrays of the state, a loss scale that moved, their SHA-256 as attribute `sha256`, and the number of updates done.
template <class S>
Dataset to_dataset(const TrainState<S>& state);

/// expects  a group that to_dataset wrote; `options` gives the averages' settings
/// errors   FormatError naming the group when an array is missing, has another length than `parameters`, or when the
///          hash does not match
template <class S>
TrainState<S> state_from_dataset(const Dataset& group, const TrainOptions& options, Index parameters);

/// SHA-256 of a parameter vector's bytes: the identity of a checkpoint.
template <class S>
std::string parameter_hash(const AlignedVector<S>& theta);

}  // namespace hone
