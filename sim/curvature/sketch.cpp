#include "sim/curvature/sketch.hpp"

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/curvature/probe.hpp"

namespace hone {
namespace {

Basis product_of(const LinearOperator& op, const Basis& vectors) {
  Basis products(op.size, vectors.cols());
  if (vectors.cols() > 0) multiply(op, vectors, products);
  return products;
}

/// Orthonormal basis of the column space, without the columns that rounding alone would fill.
Basis range_of(const Basis& y) {
  const Eigen::ColPivHouseholderQR<Basis> qr(y);
  return qr.householderQ() * Basis::Identity(y.rows(), qr.rank());
}

/// For column i of r, the unit vector of its column space that is orthogonal to all other columns; 0 where the others
/// span column i.
Basis dual_directions(const Basis& r) {
  const double floor = 100 * std::numeric_limits<double>::epsilon() * r.colwise().norm().maxCoeff();
  Basis dual = Basis::Zero(r.rows(), r.cols());
  Basis others(r.rows(), r.cols() - 1);
  for (Index i = 0; i < r.cols(); ++i) {
    others << r.leftCols(i), r.rightCols(r.cols() - 1 - i);
    const Basis q = range_of(others);
    Vector<double> rest = r.col(i);
    project_out(q, rest);
    const double norm = rest.norm();
    if (norm > floor) dual.col(i) = rest / norm;
  }
  return dual;
}

}  // namespace

TraceEstimate hutch_plus_plus(const LinearOperator& op, const SketchOptions& o) {
  EXPECTS(o.products >= 3, "hutch++: {} products", o.products);
  const Index s = std::min<Index>(o.products / 3, op.size);
  Basis sketch(op.size, s);
  for (Index j = 0; j < s; ++j) sketch.col(j) = sign_probe(o.seed, ProbeUse::sketch, std::uint32_t(j), op.size);
  const Basis q = range_of(product_of(op, sketch));
  const double exact = q.cwiseProduct(product_of(op, q)).sum();
  Basis rest(op.size, s);
  for (Index j = 0; j < s; ++j) {
    Vector<double> g = sign_probe(o.seed, ProbeUse::check, std::uint32_t(j), op.size);
    project_out(q, g);
    rest.col(j) = g;
  }
  const Basis products = product_of(op, rest);
  std::vector<double> samples;
  for (Index j = 0; j < s; ++j) samples.push_back(exact + rest.col(j).dot(products.col(j)));
  return {mean_with_error(samples), 2 * s + q.cols()};
}

TraceEstimate xtrace(const LinearOperator& op, const SketchOptions& o) {
  EXPECTS(o.products >= 4, "xtrace: {} products", o.products);
  const Index s = std::min<Index>(o.products / 2, op.size);
  Basis omega(op.size, s);
  for (Index j = 0; j < s; ++j) omega.col(j) = normal_probe(o.seed, ProbeUse::sketch, std::uint32_t(j), op.size);
  const Basis y = product_of(op, omega), q = range_of(y), z = product_of(op, q);
  const Basis h = q.transpose() * z, coordinates = q.transpose() * omega;
  const Basis dual = s > 1 ? dual_directions(q.transpose() * y) : Basis(Basis::Zero(q.cols(), s));
  std::vector<double> samples;
  for (Index i = 0; i < s; ++i) {
    const Vector<double> d = dual.col(i), c = coordinates.col(i) - d * d.dot(coordinates.col(i));
    const Vector<double> rest = omega.col(i) - q * c;
    const Index rank = q.cols() - (d.squaredNorm() > 0 ? 1 : 0);
    double t = h.trace() - d.dot(h * d);
    if (rank < op.size) t += double(op.size - rank) * rest.dot(y.col(i) - z * c) / rest.squaredNorm();
    samples.push_back(t);
  }
  return {mean_with_error(samples), s + q.cols()};
}

CertifiedTrace certified_trace(const LinearOperator& op, const TraceOptions& o, const Eigenpairs* known) {
  CertifiedTrace t;
  std::vector<double> samples;
  double norm2 = 0;
  for_each_sample(op, o, known, [&](const DiagonalSample& s) {
    samples.push_back(s.diagonal.sum());
    norm2 += s.squared_norm / o.probes;
  });
  t.estimate = {mean_with_error(samples), std::int64_t(samples.size())};
  t.check = hutch_plus_plus(op, {3 * std::max(8, o.probes / 3), o.seed});
  t.half_width = half_width(t.estimate, 0.95);
  const double floor = 1e-12 * std::sqrt(double(op.size) * std::max(0.0, norm2));
  const double allowed = 3 * std::hypot(t.estimate.standard_error, t.check.standard_error) + floor;
  const double difference = std::abs(t.estimate.mean - t.check.mean);
  const double fewest = std::min(t.estimate.count, t.check.count), none = std::numeric_limits<double>::infinity();
  t.certificates = {
      certify("C4", "|trace - second estimate| over what is allowed: 3 combined standard errors and rounding",
              difference == 0 ? 0 : difference / allowed, 1),
      certify("C4", "8 / number of samples of the smaller estimate", 8 / fewest, 1),
      certify("C4", "half width of the 95 % interval of the trace over |trace|",
              t.half_width == 0 ? 0 : t.half_width / std::abs(t.estimate.mean), none),
  };
  return t;
}

}  // namespace hone
