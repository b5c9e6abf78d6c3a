#include "sim/perturb/noise.hpp"

#include <array>
#include <cmath>

namespace hone {
namespace {

Vector<double> gaussian(Index size, const Stream& stream, std::uint64_t first) {
  Vector<double> g(size);
  for (Index i = 0; i < size; ++i) g[i] = normal(stream, first + std::uint64_t(i));
  return g;
}

/// Orthonormal basis of a random k-dimensional subspace by two rounds of Gram-Schmidt.
Basis random_basis(Index size, Index k, const Stream& stream) {
  Basis q(size, k);
  for (Index j = 0; j < k; ++j) {
    q.col(j) = gaussian(size, stream, std::uint64_t(j) * std::uint64_t(size));
    for (int pass = 0; pass < 2; ++pass) q.col(j) -= q.leftCols(j) * (q.leftCols(j).transpose() * q.col(j)).eval();
    q.col(j).normalize();
  }
  return q;
}

}  // namespace

std::string_view name_of(Subspace subspace) {
  constexpr std::array<std::string_view, 4> names = {"top", "random", "complement", "isotropic"};
  return names[static_cast<size_t>(subspace)];
}

Vector<double> unit_noise(Subspace subspace, const Basis& top, const Stream& stream) {
  const Index n = top.rows(), k = top.cols();
  EXPECTS(k >= 1 && k < n, "noise: top space of {} in {} dimensions", k, n);
  Vector<double> e;
  if (subspace == Subspace::top) {
    e = top * gaussian(k, stream, 0);
  } else if (subspace == Subspace::random) {
    // The basis is the same for all draws of one seed; only the coordinates in it are redrawn.
    e = random_basis(n, k, {stream.seed, Domain::subspace, 0}) * gaussian(k, stream, 0);
  } else {
    e = gaussian(n, stream, 0);
    if (subspace == Subspace::complement)
      for (int pass = 0; pass < 2; ++pass) e -= top * (top.transpose() * e).eval();
  }
  return e / e.norm();
}

double predicted_rise(Subspace subspace, double energy, const Vector<double>& top_values, double trace, Index size) {
  const double k = double(top_values.size()), n = double(size), sum = top_values.sum();
  double mean_curvature = trace / n;
  if (subspace == Subspace::top) mean_curvature = sum / k;
  if (subspace == Subspace::complement) mean_curvature = (trace - sum) / (n - k);
  return 0.5 * energy * mean_curvature;
}

double residual_share(const Basis& top, const Vector<double>& e) {
  const double norm = e.norm();
  return norm > 0 ? (top.transpose() * e).norm() / norm : 0;
}

}  // namespace hone
