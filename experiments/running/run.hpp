// One run from its first step to its file: open the data, go on from the last saved state, train and measure (trunk.hpp),
// make the optional studies of the trained trunk (instruments/trunk_end.hpp), write the finished file.
#pragma once

#include "experiments/running/context.hpp"
#include "experiments/running/outcome.hpp"

namespace hone::experiments {

/// Executes the run, or the rest of it.
/// ensures  the file's content does not depend on threads, interruptions or the other runs; a whole file that is there,
///          or that another process puts there meanwhile, is kept and its outcome returned
/// errors   Interrupted; OptionError and IoError of data and folders. A diverged run is no error: its file ends early
///          and says why in /manifest, attribute `outcome`.
RunOutcome execute_run(const RunSpec& run, const RunContext& context);

}  // namespace hone::experiments
