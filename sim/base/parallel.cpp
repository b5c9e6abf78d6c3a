#include "sim/base/parallel.hpp"

#include <sched.h>

namespace hone {

int hardware_threads() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
  return omp_get_num_procs();
}

void pin_eigen() {
  static const bool once = [] {
    Eigen::setCpuCacheSizes(48 << 10, 1 << 20, 8 << 20);
    return true;
  }();
  (void)once;
}

}  // namespace hone
