#include "theory/solvable/spectra.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <boost/math/special_functions/binomial.hpp>
#include <cmath>
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
  return k % 2 ? 0 : std::pow(radius / 2, k) * choose(k, k / 2) / (k / 2 + 1);
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

}  // namespace hone::theory
