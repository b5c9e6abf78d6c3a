// What an instrument reports while it works.
#pragma once

#include <functional>
#include <string>

namespace hone::experiments {

/// Where reported work comes from. Only work of this start says how fast this start is.
enum class Work {
  done,       ///< by this start, in the time since the last report of its run
  taken_over  ///< from an earlier start, out of a saved state or a journal
};

/// Called with the work just done or read from a journal, in flops of the cost model, and what goes on; throws
/// Interrupted to stop.
using Watch = std::function<void(double flops, const std::string& activity, Work work)>;

}  // namespace hone::experiments
