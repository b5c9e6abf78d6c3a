// Random probe vectors of the stochastic estimators. Each estimator owns a range of substreams of one seed, so that
// no two estimators, probes or seeds share a draw; their results are independent.
#pragma once

#include <cstdint>

#include "sim/curvature/extremes.hpp"

namespace hone {

/// First substream of each estimator; 2^20 probes apart.
enum class ProbeUse : std::uint32_t {
  density = 0,
  trace = 1u << 20,
  sketch = 2u << 20,  ///< of Hutch++ and XTrace: the vectors that find the range
  check = 3u << 20,   ///< the second estimator of a certified trace
};

/// Signs ±1: no other independent entries of unit variance give Hutchinson's estimator a smaller variance.
Vector<double> sign_probe(std::uint64_t seed, ProbeUse use, std::uint32_t number, Index size);

/// Standard normal entries: the direction is uniform on the sphere, also after an orthogonal projection.
Vector<double> normal_probe(std::uint64_t seed, ProbeUse use, std::uint32_t number, Index size);

/// v -= U U'v, twice: after one pass what cancellation left would still be of the size of the rounding of v.
/// shapes  U (n,k) with orthonormal columns, v (n)
void project_out(const Basis& vectors, Vector<double>& v);

/// Contract of every estimator that takes known pairs.
/// errors  ContractError unless U is (n,k), k ≤ n, finite, one value per column and |U'U - I| ≤ 1e-8
void check_known(const Eigenpairs& known, Index size);

}  // namespace hone
