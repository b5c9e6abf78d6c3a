#include "sim/curvature/linearization.hpp"

namespace hone {

void check_memory(const MemoryPlan& plan, const CurvatureOptions& options) {
  if (options.limit_bytes == 0 || plan.bytes() <= options.limit_bytes) return;
  const auto mib = [](std::int64_t bytes) { return double(bytes) / (1 << 20); };
  throw OptionError(fmt::format(
      "curvature: limit_bytes = {} ({:.1f} MiB), but the plan takes {:.1f} MiB (cache {:.1f}, activations of the "
      "threads {:.1f}, sums of chunks {:.1f}, vectors {:.1f}); lower cache_bytes (cheapest: chunks are then computed "
      "again), chunks.rows, chunks.threads or panel, or raise the limit",
      options.limit_bytes, mib(options.limit_bytes), mib(plan.bytes()), mib(plan.cache), mib(plan.arenas),
      mib(plan.partials), mib(plan.vectors)));
}

template class Linearization<Mlp<float>>;
template class Linearization<Mlp<double>>;
template class Linearization<Transformer<float>>;
template class Linearization<Transformer<double>>;

}  // namespace hone
