#include "sim/curvature/finite_difference.hpp"

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"

namespace hone {
namespace {

Vector<double> central_difference(const GradientFunction& gradient, const Vector<double>& theta,
                                  const Vector<double>& v, double step) {
  Vector<double> above, below;
  gradient(theta + step * v, above);
  gradient(theta - step * v, below);
  above -= below;
  above /= 2 * step;
  return above;
}

/// The entry of Neville's table with the least estimated error; empty when every estimate is NaN.
Vector<double> extrapolated_difference(const GradientFunction& gradient, const Vector<double>& theta,
                                       const Vector<double>& v, double step, int levels) {
  Vector<double> best;
  double best_error = std::numeric_limits<double>::infinity();
  std::vector<Vector<double>> row;  // of the last level; each entry gives way to the next level's of its order
  for (int level = 0; level < levels; ++level, step /= 2) {
    Vector<double> fine = central_difference(gradient, theta, v, step);
    for (int order = 1; order <= level; ++order) {
      Vector<double>& coarse = row[size_t(order - 1)];
      const double power = std::pow(4.0, order);
      Vector<double> next = (power * fine - coarse) / (power - 1);
      const double error = std::max((next - fine).norm(), (next - coarse).norm());
      if (error < best_error) best_error = error, best = next;
      coarse.swap(fine);
      fine.swap(next);
    }
    row.push_back(std::move(fine));
  }
  return best;
}

}  // namespace

Certificate finite_difference_check(const LinearOperator& hessian, const GradientFunction& gradient,
                                    const Vector<double>& theta, const Vector<double>& v,
                                    const FiniteDifferenceOptions& options) {
  EXPECTS(v.size() == hessian.size && theta.size() == hessian.size,
          "finite_difference_check: vector of {}, point of {}, operator of size {}", v.size(), theta.size(),
          hessian.size);
  EXPECTS(v.norm() > 0 && theta.norm() > 0 && options.levels >= 2,
          "finite_difference_check: norms {} and {}, {} levels", v.norm(), theta.norm(), options.levels);
  const Vector<double> unit = v / v.norm();
  const Vector<double> wanted =
      extrapolated_difference(gradient, theta, unit, options.relative_step * theta.norm(), options.levels);
  double error = std::numeric_limits<double>::quiet_NaN();
  if (wanted.size() > 0) {
    Vector<double> product;
    hessian.apply(unit, product);
    error = (product - wanted).norm() / wanted.norm();
  }
  return certify("C0c", "|Hv - Dv| / |Dv|, Dv the extrapolated central difference of the gradient", error,
                 options.limit);
}

double noise_floor(const LinearOperator& in_float, const LinearOperator& in_double, const Vector<double>& v) {
  Vector<double> rough, exact;
  in_float.apply(v, rough);
  in_double.apply(v, exact);
  EXPECTS(rough.size() == exact.size(), "noise_floor: operators of size {} and {}", rough.size(), exact.size());
  return (rough - exact).norm() / exact.norm();
}

}  // namespace hone
