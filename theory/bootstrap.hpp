// Intervals by resampling what was really repeated: cells of the design, and seeds within each
// cell. Rows of one model stay together, so their common error is not mistaken for independent
// evidence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace hone::theory {

/// Where a row belongs: its cell (model size, tokens, variant) and its seed within the cell.
struct RowKey {
  std::int64_t cell = 0;
  std::int64_t seed = 0;
};

/// Several numbers computed from a sample of rows, given by index with repeats; NaN marks one as
/// undefined.
using Statistic = std::function<std::vector<double>(const std::vector<std::size_t>& rows)>;

struct BootstrapOptions {
  int replicates = 1000;
  double level = 0.95;
  std::uint64_t seed = 0;  ///< of Domain::bootstrap
};

/// An estimate and its percentile interval.
struct Interval {
  double estimate = 0;
  double low = 0;
  double high = 0;
  int failures = 0;  ///< replicates in which the number was not finite
};

/// Hierarchical percentile bootstrap: cells with replacement, then seeds within each drawn cell.
/// math    estimate on all rows; low, high = quantiles (1-level)/2 and (1+level)/2 over finite
///         replicates, linear between order statistics. Resampling both levels is conservative
///         where cells do not differ.
/// expects at least one row; replicates ≥ 1; 0 < level < 1; the statistic has the same length each
///         time
/// ensures equal keys, statistic and options give equal bits; low and high are NaN when more than
///         half of the replicates failed
std::vector<Interval> bootstrap(const std::vector<RowKey>& keys, const Statistic& statistic,
                                const BootstrapOptions& options);

}  // namespace hone::theory
