#include "theory/solvable/spectra.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <boost/math/special_functions/binomial.hpp>
#include <cmath>
#include <limits>
#include <numbers>

#include "sim/base/error.hpp"

namespace hone::theory {
namespace {

using std::numbers::pi;

double choose(int n, int k) {
  return boost::math::binomial_coefficient<double>(static_cast<unsigned>(n), static_cast<unsigned>(k));
}

}  // namespace

double Semicircle::density(double x) const {
  return std::abs(x) < radius ? 2 * std::sqrt(radius * radius - x * x) / (pi * radius * radius) : 0;
}

double Semicircle::cdf(double x) const {
  const double u = std::clamp(x / radius, -1.0, 1.0);
  return 0.5 + (u * std::sqrt(1 - u * u) + std::asin(u)) / pi;
}

double Semicircle::moment(int k) const {
  EXPECTS(k >= 0, "Semicircle: moment {}", k);
  const int half = k / 2;
  return k % 2 ? 0 : std::pow(radius / 2, k) * choose(k, half) / (half + 1);
}

double MarchenkoPastur::lower() const { return variance * std::pow(1 - std::sqrt(ratio), 2); }

double MarchenkoPastur::upper() const { return variance * std::pow(1 + std::sqrt(ratio), 2); }

double MarchenkoPastur::atom() const { return std::max(0.0, 1 - 1 / ratio); }

double MarchenkoPastur::density(double x) const {
  if (x <= lower() || x >= upper()) return 0;
  return std::sqrt((upper() - x) * (x - lower())) / (2 * pi * variance * ratio * x);
}

double MarchenkoPastur::cdf(double x) const {
  if (x < 0) return 0;
  if (x <= lower()) return atom();
  // x = lower + width sin² t takes the roots at the edges away, and the pole at 0 of ratio 1 with them.
  const double width = upper() - lower(), end = std::asin(std::sqrt(std::min(1.0, (x - lower()) / width)));
  const auto mass = [&](double t) {
    const double sine2 = std::pow(std::sin(t), 2), cosine2 = 1 - sine2;
    return width * width * sine2 * cosine2 / (pi * variance * ratio * (lower() + width * sine2));
  };
  return atom() + boost::math::quadrature::gauss_kronrod<double, 31>::integrate(mass, 0.0, end, 15, 1e-12);
}

double MarchenkoPastur::moment(int k) const {
  EXPECTS(k >= 0, "MarchenkoPastur: moment {}", k);
  double sum = k == 0 ? 1 : 0;
  for (int r = 0; r < k; ++r) sum += std::pow(ratio, r) / (r + 1) * choose(k, r) * choose(k - 1, r);
  return std::pow(variance, k) * sum;
}

Vector<double> linear_softmax_spectrum(const Matrix<double>& inputs, const Matrix<double>& probabilities) {
  const Index examples = inputs.rows(), classes = probabilities.cols();
  EXPECTS(probabilities.rows() == examples && examples >= 1 && (probabilities.array() >= 0).all(),
          "linear_softmax_spectrum: inputs {}x{}, probabilities {}x{}, expected rows alike and nothing negative",
          examples, inputs.cols(), probabilities.rows(), classes);
  // diag p - pp' = B B' with B = diag(√p)(I - √p √p'), so H has the non-zero eigenvalues of the Gram matrix of the
  // x_m ⊗ B_m.
  std::vector<Matrix<double>> roots;
  for (Index m = 0; m < examples; ++m) {
    const Vector<double> root = probabilities.row(m).transpose().cwiseSqrt();
    roots.push_back(root.asDiagonal() * (Matrix<double>::Identity(classes, classes) - root * root.transpose()));
  }
  const Matrix<double> products = inputs * inputs.transpose() / static_cast<double>(examples);
  Matrix<double> gram(examples * classes, examples * classes);
  for (Index m = 0; m < examples; ++m)
    for (Index k = 0; k < examples; ++k)
      gram.block(m * classes, k * classes, classes, classes) =
          products(m, k) * roots[static_cast<std::size_t>(m)].transpose() * roots[static_cast<std::size_t>(k)];
  return Eigen::SelfAdjointEigenSolver<Matrix<double>>(gram, Eigen::EigenvaluesOnly).eigenvalues();
}

double power_trace(double count, double exponent) {
  EXPECTS(count >= 1 && exponent >= 0, "power_trace: {} eigenvalues k^-{}", count, exponent);
  constexpr int summed = 64;
  double sum = 0;
  for (int k = 1; k <= std::min<double>(count, summed); ++k) sum += std::pow(k, -exponent);
  if (count <= summed) return sum;
  const double from = summed + 0.5, to = count + 0.5, power = 1 - exponent;
  const bool is_log = std::abs(power) < 1e-9;
  return sum + (is_log ? std::log(to / from) : (std::pow(to, power) - std::pow(from, power)) / power);
}

double participation_exponent(double trace, double frobenius, double count) {
  EXPECTS(trace > 0 && frobenius > 0, "participation_exponent: trace {}, Frobenius norm {}", trace, frobenius);
  const double measured = std::pow(trace / frobenius, 2);
  const auto participation = [&](double b) { return std::pow(power_trace(count, b), 2) / power_trace(count, 2 * b); };
  double low = 0, high = 20;
  constexpr double slack = 1 + 1e-9;  // of equal eigenvalues, whose participation is the count
  if (!(measured <= slack * participation(low) && measured >= participation(high)))
    return std::numeric_limits<double>::quiet_NaN();
  while (high - low > 1e-9) {
    const double middle = 0.5 * (low + high);
    (participation(middle) > measured ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

}  // namespace hone::theory
