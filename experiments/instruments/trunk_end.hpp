// Optional studies of a trained trunk, each made once, after the last checkpoint: the table of schemes, and decoding.
// To add one, write its four functions in trunk_end.cpp and name them in its table; runs, plans and progress follow.
#pragma once

#include <string>
#include <vector>

#include "experiments/instruments/instruments.hpp"

namespace hone::experiments {

/// What such a study is made on. What is referred to outlives it.
template <template <class> class Model>
struct TrunkEnd {
  const RunSpec& run;
  const Model<float>& model;
  const Source<typename Model<float>::Data>& source;  ///< of the trunk
  int threads = 1;
};

/// What it gives.
struct TrunkEndRows {
  Rows groups;
  std::string warning;  ///< for the user; "" for none
};

template <template <class> class Model>
struct TrunkEndStudy {
  /// Whether the study file asks for it.
  bool (*is_on)(const RunSpec& run);
  /// Called before training, so that data that is too short for it is said at once.
  /// errors  OptionError naming the data and what it lacks
  void (*check)(const TrunkEnd<Model>& end);
  /// What it costs by the cost model.
  double (*flops)(const RunSpec& run, Index parameters);
  /// shapes  theta: the model's parameters
  /// errors  Interrupted from the watch
  TrunkEndRows (*measure)(const TrunkEnd<Model>& end, const AlignedVector<float>& theta, const Watch& watch);
};

/// All of them, in the order of their work.
template <template <class> class Model>
const std::vector<TrunkEndStudy<Model>>& trunk_end_studies();

}  // namespace hone::experiments
