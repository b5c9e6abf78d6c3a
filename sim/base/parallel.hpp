// Parallel loops whose result cannot depend on the thread count: the work is cut into items that are
// fixed by the problem, each item is done by one thread, and sums are taken in item order.
#pragma once

#include <omp.h>

#include <exception>
#include <functional>
#include <utility>

#include "sim/base/matrix.hpp"

namespace hone {

/// Calls body(item, worker) for item = 0 … count-1 on up to `threads` threads; `worker` < threads names the
/// thread's own scratch. Of all exceptions the one of the lowest item is rethrown after the join.
/// ensures  every item is executed by exactly one thread; items must not write to shared state
template <class Body>
void parallel_for(Index count, int threads, Body&& body) {
  if (threads <= 1 || count <= 1) {
    for (Index item = 0; item < count; ++item) body(item, 0);
    return;
  }
  std::exception_ptr error;
  Index error_item = count;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (Index item = 0; item < count; ++item) {
    try {
      body(item, omp_get_thread_num());
    } catch (...) {
#pragma omp critical(hone_parallel_error)
      if (item < error_item) error_item = item, error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

/// Number of hardware threads that this process may use.
int hardware_threads();

/// Pins what Eigen reads from the machine (cache sizes decide its blocking, blocking the order of sums),
/// so that equal binaries give equal bits on machines with other caches. Called once, before the first product.
void pin_eigen();

}  // namespace hone
