#include "sim/curvature/lanczos.hpp"

#include <Eigen/Eigenvalues>
#include <limits>

#include "sim/base/error.hpp"

namespace hone {

Lanczos start_lanczos(const Vector<double>& start, int capacity) {
  const double norm = start.norm();
  EXPECTS(std::isfinite(norm) && norm > 0, "lanczos: start vector of norm {}", norm);
  EXPECTS(capacity >= 1, "lanczos: {} steps", capacity);
  Lanczos l;
  capacity = int(std::min<Index>(capacity, start.size()));
  l.basis.resize(start.size(), capacity + 1);
  l.basis.col(0) = start / norm;
  l.alpha.setZero(capacity);
  l.beta.setZero(capacity);
  return l;
}

void extend(Lanczos& l, const LinearOperator& op, int steps) {
  EXPECTS(op.size == l.basis.rows(), "lanczos: operator of size {}, basis of {}", op.size, l.basis.rows());
  steps = int(std::min<Index>(steps, l.alpha.size()));
  Vector<double> v, w;
  double scale = l.steps > 0 ? (l.alpha.cwiseAbs() + l.beta).head(l.steps).maxCoeff() : 0;
  while (l.steps < steps && l.stop != LanczosStop::invariant_subspace) {
    const Index j = l.steps;
    v = l.basis.col(j);
    op.apply(v, w);
    l.alpha[j] = v.dot(w);
    const auto known = l.basis.leftCols(j + 1);
    for (int pass = 0; pass < 2; ++pass) w -= known * (known.transpose() * w).eval();
    l.beta[j] = w.norm();
    scale = std::max(scale, std::abs(l.alpha[j]) + l.beta[j]);
    ++l.steps;
    if (l.beta[j] <= 10 * std::numeric_limits<double>::epsilon() * scale || l.steps == l.basis.rows()) {
      l.beta[j] = 0;
      l.basis.col(j + 1).setZero();
      l.stop = LanczosStop::invariant_subspace;
    } else {
      l.basis.col(j + 1) = w / l.beta[j];
    }
  }
}

Lanczos::Ritz Lanczos::ritz() const {
  EXPECTS(steps >= 1, "lanczos: no step done");
  Eigen::SelfAdjointEigenSolver<Basis> solver;
  solver.computeFromTridiagonal(alpha.head(steps), beta.head(steps - 1));
  Ritz ritz;
  ritz.values = solver.eigenvalues();
  ritz.vectors = solver.eigenvectors();
  ritz.weights = ritz.vectors.row(0).transpose().cwiseAbs2();
  ritz.residual_estimates = beta[steps - 1] * ritz.vectors.row(steps - 1).transpose().cwiseAbs();
  return ritz;
}

}  // namespace hone
