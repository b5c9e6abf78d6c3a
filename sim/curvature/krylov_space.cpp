#include "sim/curvature/krylov_space.hpp"

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <limits>

#include "sim/base/error.hpp"

namespace hone {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr Index rows_per_block = 512;

/// Takes the span of [V Q] and of `locked` out of w and returns the coefficients on [V Q].
Vector<double> orthogonalize(const KrylovSpace& s, const Basis& locked, Vector<double>& w) {
  const auto known = s.basis.leftCols(s.columns + s.pending);
  Vector<double> taken = Vector<double>::Zero(known.cols()), part;
  double before = w.norm();
  for (int pass = 0; pass < 4; ++pass) {
    part = known.transpose() * w;
    w -= known * part;
    taken += part;
    if (locked.cols() > 0) w -= locked * (locked.transpose() * w).eval();
    const double after = w.norm();
    if (pass >= 1 && after > 0.5 * before) break;
    before = after;
  }
  return taken;
}

/// Exchanges two pending directions, counted from the first.
void swap_pending(KrylovSpace& s, Index a, Index b) {
  if (a == b) return;
  a += s.columns, b += s.columns;
  s.basis.col(a).swap(s.basis.col(b));
  s.projected.row(a).swap(s.projected.row(b));
}

/// Appends the unit vector w/norm to Q with coupling 0.
void append(KrylovSpace& s, const Vector<double>& w, double norm) {
  const Index last = s.columns + s.pending;
  s.basis.col(last) = w / norm;
  s.projected.row(last).setZero();
  s.projected.col(last).setZero();
  ++s.pending;
}

bool is_full(const KrylovSpace& s, const Basis& locked) {
  return s.columns + s.pending + locked.cols() >= s.basis.rows();
}

/// target = V S by blocks of rows, so that target may be V itself.
void combine_rows(const Basis& v, const Basis& coefficients, Basis& target) {
  for (Index first = 0; first < v.rows(); first += rows_per_block) {
    const Index count = std::min(rows_per_block, v.rows() - first);
    target.block(first, 0, count, coefficients.cols()) =
        (v.block(first, 0, count, coefficients.rows()) * coefficients).eval();
  }
}

}  // namespace

KrylovSpace make_space(Index n, Index room) {
  KrylovSpace s;
  s.basis.resize(n, room);
  s.projected.setZero(room, room);
  return s;
}

bool add_direction(KrylovSpace& s, Vector<double> x, const Basis& locked, Index place) {
  EXPECTS(s.columns + s.pending < s.room(), "krylov space: no room beside {} columns", s.room());
  EXPECTS(place <= s.pending, "krylov space: place {} of {} pending directions", place, s.pending);
  const double norm = x.norm();
  if (is_full(s, locked) || !(norm > 0)) return false;
  x /= norm;
  orthogonalize(s, locked, x);
  const double rest = x.norm();
  if (!(rest > 100 * epsilon)) return false;
  append(s, x, rest);
  swap_pending(s, place, s.pending - 1);
  return true;
}

void absorb(KrylovSpace& s, const Vector<double>& product, const Basis& locked, Index width) {
  EXPECTS(s.pending >= 1 && s.columns + s.pending < s.room(), "krylov space: {} + {} columns in {}", s.columns,
          s.pending, s.room());
  Vector<double> w = product;
  s.scale = std::max(s.scale, w.norm());
  const Vector<double> taken = orthogonalize(s, locked, w);
  const double rest = w.norm();
  const Index column = s.columns;
  s.projected.col(column).setZero();
  s.projected.col(column).head(taken.size()) = taken;
  ++s.columns, --s.pending;
  if (rest <= 10 * epsilon * s.scale || is_full(s, locked)) return;
  append(s, w, rest);
  s.projected(s.columns + s.pending - 1, column) = rest;
  swap_pending(s, std::min(width, s.pending) - 1, s.pending - 1);
}

RitzPairs ritz_pairs(const KrylovSpace& s) {
  EXPECTS(s.columns >= 1, "krylov space: no column");
  const auto t = s.projected.topLeftCorner(s.columns, s.columns);
  const Eigen::SelfAdjointEigenSolver<Basis> solver(0.5 * (t + t.transpose()));
  RitzPairs ritz{solver.eigenvalues(), Vector<double>::Zero(s.columns), solver.eigenvectors()};
  if (s.pending > 0) {
    const Basis coupled = s.projected.block(s.columns, 0, s.pending, s.columns) * ritz.coefficients;
    ritz.residual_estimates = coupled.colwise().norm().transpose();
  }
  return ritz;
}

void restart(KrylovSpace& s, const RitzPairs& ritz, const std::vector<Index>& kept) {
  const Index keep = Index(kept.size());
  Basis coefficients(s.columns, keep);
  Vector<double> values(keep);
  for (Index i = 0; i < keep; ++i) {
    coefficients.col(i) = ritz.coefficients.col(kept[size_t(i)]);
    values[i] = ritz.values[kept[size_t(i)]];
  }
  const Basis coupled = s.projected.block(s.columns, 0, s.pending, s.columns) * coefficients;
  combine_rows(s.basis, coefficients, s.basis);
  for (Index i = 0; i < s.pending; ++i) s.basis.col(keep + i) = s.basis.col(s.columns + i);
  s.columns = keep;
  s.projected.setZero();
  s.projected.diagonal().head(keep) = values;
  s.projected.block(keep, 0, s.pending, keep) = coupled;
}

void aim(KrylovSpace& s, const RitzPairs& ritz, const std::vector<Index>& wanted) {
  if (wanted.empty() || s.pending < 2) return;
  Basis residuals(s.pending, Index(wanted.size()));
  const auto coupling = s.projected.block(s.columns, 0, s.pending, s.columns);
  for (Index i = 0; i < residuals.cols(); ++i) residuals.col(i) = coupling * ritz.coefficients.col(wanted[size_t(i)]);
  const Basis rotation = Eigen::HouseholderQR<Basis>(residuals).householderQ();
  auto directions = s.basis.middleCols(s.columns, s.pending);
  for (Index first = 0; first < s.basis.rows(); first += rows_per_block) {
    auto rows = directions.middleRows(first, std::min(rows_per_block, s.basis.rows() - first));
    rows = (rows * rotation).eval();
  }
  s.projected.block(s.columns, 0, s.pending, s.columns) = (rotation.transpose() * coupling).eval();
}

Basis combination(const KrylovSpace& s, const Basis& coefficients) {
  Basis result(s.basis.rows(), coefficients.cols());
  combine_rows(s.basis, coefficients, result);
  return result;
}

double orthogonality_defect(const Eigen::Ref<const Basis>& b) {
  if (b.cols() == 0) return 0;
  Basis gram = b.transpose() * b;
  gram.diagonal().array() -= 1;
  return gram.cwiseAbs().maxCoeff();
}

double recurrence_defect(const KrylovSpace& s, Index column, const Vector<double>& product) {
  EXPECTS(column < s.columns, "krylov space: column {} of {}", column, s.columns);
  const Index known = s.columns + s.pending;
  return (product - s.basis.leftCols(known) * s.projected.col(column).head(known)).norm();
}

}  // namespace hone
