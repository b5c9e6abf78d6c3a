#include "sim/base/parallel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace hone::test {
namespace {

TEST_CASE("parallel: every item is done once, by a worker below the thread count") {
  for (const int threads : {1, 2, 3, 7})
    for (const Index count : {0, 1, 2, 5, 1000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
      std::atomic<bool> workers_known{true};
      parallel_for(count, threads, [&](Index item, int worker) {
        ++visits[static_cast<size_t>(item)];
        if (worker < 0 || worker >= threads) workers_known = false;
      });
      int once = 0;
      for (const auto& visit : visits) once += visit == 1;
      CHECK(once == count);
      CHECK(workers_known);
    }
}

TEST_CASE("parallel: two items never share a worker's scratch at the same time") {
  std::vector<std::atomic<int>> inside(3);
  std::atomic<int> clashes{0};
  parallel_for(2000, 3, [&](Index, int worker) {
    auto& mine = inside[static_cast<size_t>(worker)];
    if (++mine != 1) ++clashes;
    std::this_thread::yield();  // long enough for another thread to come in
    --mine;
  });
  CHECK(clashes == 0);
}

TEST_CASE("parallel: of several exceptions the one of the lowest item arrives, with its type") {
  for (const int threads : {1, 2, 3}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::string message = "(nothing was thrown)";
      try {
        parallel_for(100, threads, [](Index item, int) {
          if (item >= 5 && item % 2 == 1) throw std::domain_error("item " + std::to_string(item));
        });
      } catch (const std::domain_error& error) {
        message = error.what();
      }
      CHECK(message == "item 5");
    }
  }
}

TEST_CASE("parallel: sums in item order have the same bits on 1, 2 and 3 threads") {
  const auto sum_with = [](int threads) {
    std::vector<double> parts(1000);
    parallel_for(1000, threads, [&](Index item, int) {
      parts[static_cast<size_t>(item)] = std::sin(double(item)) * std::exp(item % 40);
    });
    double sum = 0;
    for (const double part : parts) sum += part;
    return sum;
  };
  const double one = sum_with(1);
  CHECK(std::isfinite(one));
  CHECK(sum_with(2) == one);
  CHECK(sum_with(3) == one);
}

TEST_CASE("parallel: the process may use at least one hardware thread") { CHECK(hardware_threads() >= 1); }

}  // namespace
}  // namespace hone::test
