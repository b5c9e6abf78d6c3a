// The shortest of several timings: what the ratios of the benchmarks are made of.
#pragma once

#include <algorithm>
#include <chrono>

namespace hone {

template <class Work>
double best_seconds(Work&& work, int repeats) {
  double best = 1e300;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

}  // namespace hone
