// Progress reports of an instrument.
#pragma once

#include <functional>
#include <string>

namespace hone::experiments {

/// Origin of reported work. Only work of this start enters the estimate of its speed.
enum class Work {
  done,       ///< by this start, in the time since the last report of its run
  taken_over  ///< from an earlier start, out of a saved state or a journal
};

/// Progress callback(flops of the cost model, activity, origin of the work). Throws Interrupted to stop the measurement.
using Watch = std::function<void(double flops, const std::string& activity, Work work)>;

}  // namespace hone::experiments
