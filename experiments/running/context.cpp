#include "experiments/running/context.hpp"

#include "experiments/study/build.hpp"

namespace hone::experiments {

std::string label_of(const RunSpec& run) { return fmt::format("{} s{}", run.model.name, run.seed); }

Interrupted interrupted() { return Interrupted("interrupted; run the same command again to go on"); }

void report(const RunContext& context, const RunSpec& run, std::int64_t updates, double flops,
            const std::string& activity, Work work) {
  if (context.stop) throw interrupted();
  context.progress.advance(label_of(run), flops,
                           fmt::format("{} at {}", activity, count_text(double(tokens_after(run, updates)))), work);
}

}  // namespace hone::experiments
