// Known spectra through the instruments of curvature: random matrices and linear softmax, the latter two as Hessians
// of the project's own models.
#include <doctest/doctest.h>

#include <Eigen/QR>
#include <cmath>

#include "sim/curvature/dense.hpp"
#include "sim/curvature/density_reading.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/model/mlp.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"
#include "theory/solvable/spectra.hpp"

TEST_SUITE_BEGIN("laws");

namespace hone::theory {
namespace {

using test::gaussian;

/// The measured distribution function meets the law's within its own band; eigenvalues are so rigid that the matrix
/// itself is off by ln(n)/n at most.
template <class Law>
void check_distribution(const SpectralDensity& density, const Law& law, double low, double high) {
  const CdfBand band = cdf(density, Vector<double>::LinSpaced(25, low, high), 0.9999);
  CHECK(band.max_half_width < 0.08);
  for (Index i = 0; i < band.x.size(); ++i) {
    CAPTURE(band.x[i]);
    const double size = double(density.size), quadrature = (band.upper[i] - band.lower[i]) / 2;
    CHECK_NEAR(band.value[i], law.cdf(band.x[i]), 0, band.half_width[i] + quadrature + std::log(size) / size);
  }
}

/// How far the largest eigenvalue lies beyond the law's upper edge, as a share of it.
double edge_distance(const LinearOperator& op, double upper) {
  const Eigenpairs pairs = extreme_eigenpairs(op, {.count_largest = 1, .steps_max = 100, .tolerance = 1e-6});
  return pairs.values[0] / upper - 1;
}

}  // namespace

TEST_CASE("semicircle: density, moments and edge of a random symmetric matrix [n = 600]") {
  constexpr Index n = 600;
  const Basis g = gaussian(n, n, 1);
  const LinearOperator op = test::operator_of((g + g.transpose()) / std::sqrt(2.0 * n));
  const Semicircle law{2};
  const SpectralDensity density = spectral_density(op, {.probes = 32, .steps = 50});
  check_distribution(density, law, -2.2, 2.2);
  const MeanEstimate norm = frobenius_norm2_of(density);
  CHECK_NEAR(norm.mean / n, law.moment(2), 4.0 / n, 4 * norm.standard_error / n);
  // Tracy-Widom: the largest eigenvalue lies n^(-2/3) around the edge.
  CHECK(std::abs(edge_distance(op, law.radius)) < 4 * std::pow(n, -2.0 / 3));
}

TEST_CASE("Marchenko-Pastur: the Hessian of linear regression on random inputs, with zeros when examples are few") {
  for (const double ratio : {0.25, 2.5}) {
    constexpr Index inputs = 250;
    const auto examples = Index(double(inputs) / ratio);
    const Matrix<double> x = gaussian(examples, inputs, 2);
    const MlpOptions options{.widths = {inputs, 1}, .loss = MlpLoss::squared_error, .bias = false};
    const Mlp<double> model(options);
    const VectorBatch data{
        examples, inputs, 1, {x.data(), x.data() + x.size()}, {}, std::vector<double>(size_t(examples), 0.0)};
    Linearization<Mlp<double>> linear(model, model.initial_parameters(1).data(), data, {});
    const MarchenkoPastur law{ratio, 2};  // the Hessian is 2 X'X/M
    CAPTURE(ratio);
    const SpectralDensity density = spectral_density(linear.hessian(), {.probes = 32, .steps = 60});
    check_distribution(density, law, -0.3, 1.1 * law.upper());
    const MeanEstimate trace = trace_of(density);
    CHECK_NEAR(trace.mean / inputs, law.moment(1), 0, 4 * trace.standard_error / inputs + 0.02);
    CHECK(std::abs(edge_distance(linear.hessian(), law.upper())) < 4 * std::pow(inputs, -2.0 / 3));
    const Vector<double> values = dense_spectrum(linear.hessian(), {}).values;
    CHECK_NEAR(double((values.array() < 1e-10).count()) / inputs, law.atom(), 1e-12, 1e-12);
    CHECK_NEAR(values.cwiseAbs2().sum() / inputs, law.moment(2), 0.05, 0);
  }
}

TEST_CASE("linear softmax: the model's Hessian has the spectrum of the theory, rank M (C-1) [2 to 5 classes]") {
  for (const Index classes : {2, 3, 5}) {
    const Index inputs = 7, examples = classes;  // as many points as classes: rank C (C-1)
    const MlpOptions options{.widths = {inputs, classes}, .bias = false};
    const Mlp<double> model(options);
    const Matrix<double> x = gaussian(examples, inputs, 3);
    VectorBatch data{examples, inputs, classes, {x.data(), x.data() + x.size()}, {}, {}};
    for (Index m = 0; m < examples; ++m) data.labels.push_back(std::int32_t(m));
    const Vector<double> theta = test::normals(inputs * classes, 4);
    Linearization<Mlp<double>> linear(model, theta.data(), data, {});
    Matrix<double> p = x * ConstMatView<double>(theta.data(), classes, inputs).transpose();
    p = p.array().exp();
    for (Index m = 0; m < examples; ++m) p.row(m) /= p.row(m).sum();
    const Vector<double> known = linear_softmax_spectrum(x, p);
    const DenseSpectrum h = dense_spectrum(linear.hessian(), {}), g = dense_spectrum(linear.ggn(), {});
    CHECK((h.values.tail(known.size()) - known).cwiseAbs().maxCoeff() <= 1e-13);
    CHECK((h.values - g.values).cwiseAbs().maxCoeff() <= 1e-13);
    CHECK((h.values.array() > 1e-9).count() == classes * (classes - 1));
    // Trace per example in logit space: 1 - |p|².
    double trace = 0;
    for (Index m = 0; m < examples; ++m)
      trace += (1 - p.row(m).squaredNorm()) * x.row(m).squaredNorm() / double(examples);
    CHECK_NEAR(h.trace, trace, 1e-12, 0);
  }
}

TEST_CASE("linear softmax: two classes have one eigenvalue p (1-p) 2 |x|^2 / M per orthogonal input") {
  const Matrix<double> q = Eigen::HouseholderQR<Matrix<double>>(gaussian(6, 6, 5)).householderQ();
  const Matrix<double> x = Vector<double>::LinSpaced(6, 1, 3).asDiagonal() * q;
  const MlpOptions options{.widths = {6, 2}, .bias = false};
  const Mlp<double> model(options);
  const VectorBatch data{6, 6, 2, {x.data(), x.data() + x.size()}, {0, 1, 0, 1, 1, 0}, {}};
  const Vector<double> theta = test::normals(12, 6);
  Linearization<Mlp<double>> linear(model, theta.data(), data, {});
  std::vector<double> known;
  for (Index m = 0; m < 6; ++m) {
    const double z = x.row(m).dot(theta.head(6) - theta.tail(6)), p = 1 / (1 + std::exp(-z));
    known.push_back(p * (1 - p) * 2 * x.row(m).squaredNorm() / 6);
  }
  std::sort(known.begin(), known.end());
  const Vector<double> values = dense_spectrum(linear.hessian(), {}).values;
  for (Index m = 0; m < 6; ++m) CHECK_NEAR(values[6 + m], known[size_t(m)], 1e-11, 1e-13);
  CHECK(values.head(6).cwiseAbs().maxCoeff() <= 1e-13);
}

}  // namespace hone::theory

TEST_SUITE_END();
