#include "sim/curvature/extremes.hpp"

#include <algorithm>

namespace hone {
namespace {

Vector<double> random_start(Index size, std::uint64_t seed) {
  const Stream stream{seed, Domain::lanczos, 0};
  Vector<double> start(size);
  for (Index i = 0; i < size; ++i) start[i] = normal(stream, std::uint64_t(i));
  return start;
}

/// Whether the `count` largest Ritz pairs meet the tolerance.
bool is_converged(const Lanczos::Ritz& ritz, int count, double tolerance) {
  const Index m = ritz.values.size();
  if (m < count) return false;
  const double scale = std::max(std::abs(ritz.values[0]), std::abs(ritz.values[m - 1]));
  return (ritz.residual_estimates.tail(count).array() <= tolerance * scale).all();
}

}  // namespace

Eigenpairs largest_eigenpairs(const LinearOperator& op, const ExtremesOptions& o) {
  EXPECTS(o.count >= 1 && o.count <= op.size, "eigenpairs: {} of an operator of size {}", o.count, op.size);
  EXPECTS(o.steps_max >= o.count, "eigenpairs: {} steps for {} pairs", o.steps_max, o.count);
  Lanczos lanczos = start_lanczos(random_start(op.size, o.seed), o.steps_max);
  Eigenpairs pairs;
  pairs.stop = ExtremesStop::steps_exhausted;
  Lanczos::Ritz ritz;
  const int limit = int(lanczos.alpha.size());
  for (int target = std::min(limit, o.count + 10);; target = std::min(limit, target + 10)) {
    extend(lanczos, op, target);
    ritz = lanczos.ritz();
    if (lanczos.stop == LanczosStop::invariant_subspace)
      pairs.stop = ExtremesStop::invariant_subspace;
    else if (is_converged(ritz, o.count, o.tolerance))
      pairs.stop = ExtremesStop::converged;
    if (pairs.stop != ExtremesStop::steps_exhausted || lanczos.steps >= limit) break;
  }
  const Index m = ritz.values.size(), k = std::min<Index>(o.count, m);
  pairs.values = ritz.values.tail(k).reverse();
  pairs.vectors = lanczos.basis.leftCols(m) * ritz.vectors.rightCols(k).rowwise().reverse();
  pairs.ritz_min = ritz.values[0];
  pairs.orthogonality = orthogonality_loss(lanczos);
  pairs.steps = lanczos.steps;
  pairs.residuals.resize(k);
  Vector<double> y, product;
  for (Index i = 0; i < k; ++i) {
    y = pairs.vectors.col(i);
    op.apply(y, product);
    pairs.residuals[i] = (product - pairs.values[i] * y).norm();
  }
  pairs.products = lanczos.steps + k;
  return pairs;
}

}  // namespace hone
