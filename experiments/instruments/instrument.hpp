// An instrument: rows of one group from one parameter vector. To add one, write its file and name it in
// instruments.cpp.
#pragma once

#include <string>

#include "experiments/study/study.hpp"
#include "sim/base/matrix.hpp"
#include "sim/record/dataset.hpp"

namespace hone::experiments {

template <template <class> class Model>
class Specimen;

template <template <class> class Model>
class Instrument {
 public:
  virtual ~Instrument() = default;
  /// Of the run file, without its slash.
  virtual std::string group() const = 0;
  /// Whether the study asks for it; an instrument that is off has no group.
  virtual bool is_on(const RunSpec& /*run*/) const { return true; }
  /// What add_rows costs at most, by the cost model.
  virtual double flops(const RunSpec& run, Index parameters) const = 0;
  /// Every variable's first dimension is `checkpoint`, of length 1, or it is a coordinate. All specimens of a run give
  /// the same coordinates.
  /// errors  Interrupted from the watch
  virtual void add_rows(Specimen<Model>& specimen, Dataset& group) = 0;
};

}  // namespace hone::experiments
