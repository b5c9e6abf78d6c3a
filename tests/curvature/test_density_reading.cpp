// What is read from a density: bands, bins, distances, certificates.
#include "sim/curvature/density_reading.hpp"

#include "sim/base/error.hpp"
#include "sim/curvature/probe.hpp"
#include "tests/support/near.hpp"
#include "tests/support/spectrum.hpp"

namespace hone {
namespace {

double exact_cdf(const Vector<double>& spectrum, double x) {
  return double((spectrum.array() <= x).count()) / double(spectrum.size());
}

TEST_CASE("cdf: the band covers the exact function about as often as it says [100 seeds, n = 200, outliers and bulk]") {
  const test::SpectralCase c(test::bulk_and_outliers(200, 5), 1);
  const Eigenpairs pairs = c.last(5);
  const Vector<double> x{{0.1003, 0.2502, 0.4998, 0.7497, 0.9003, 3, 7, 30}};
  for (const Eigenpairs* known : {static_cast<const Eigenpairs*>(nullptr), &pairs}) {
    int covered = 0, points = 0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      const CdfBand band = cdf(spectral_density(c.op, {.probes = 6, .steps = 80, .seed = seed}, known), x, 0.9);
      for (Index i = 0; i < x.size(); ++i) {
        if (known && x[i] > 1) {  // known atoms alone: exact
          CHECK_NEAR(band.value[i], exact_cdf(c.spectrum, x[i]), 1e-12, 0);
          continue;
        }
        covered += std::abs(band.value[i] - exact_cdf(c.spectrum, x[i])) <= band.half_width[i];
        ++points;
      }
      CHECK(band.max_half_width == band.half_width.maxCoeff());
    }
    // Neighbouring points share probes: about 200 independent ones, standard deviation 0.02.
    CHECK_NEAR(double(covered) / points, 0.9, 0, 0.06);
  }
}

TEST_CASE("cdf: the exact function of the probe lies within the quadrature bounds at every x [5 to 40 steps]") {
  const test::SpectralCase c(test::bulk_and_outliers(100, 3), 2);
  Vector<double> v = normal_probe(1, ProbeUse::density, 0, 100);
  v /= v.norm();
  const Vector<double> masses = (c.q.transpose() * v).cwiseAbs2();
  for (int steps : {5, 12, 40}) {
    const SpectralDensity d = spectral_density(c.op, {.probes = 1, .steps = steps});
    const Vector<double> x = Vector<double>::LinSpaced(201, -0.5, 21.3);
    const CdfBand band = cdf(d, x);
    CHECK(band.max_half_width == INFINITY);
    for (Index i = 0; i < x.size(); ++i) {
      const double exact = (c.spectrum.array() <= x[i]).select(masses, 0.0).sum();
      CHECK(exact >= band.lower[i] - 1e-9);
      CHECK(exact <= band.upper[i] + 1e-9);
      CHECK(band.value[i] >= band.lower[i]);
      CHECK(band.value[i] <= band.upper[i]);
    }
    CHECK((band.upper - band.lower).maxCoeff() <= 2.01 * d.weights.maxCoeff());
  }
}

TEST_CASE("W1: hand cases, symmetry, order of the points and unequal totals") {
  using V = Vector<double>;
  const PointMasses at0{V{{0}}, V{{1}}}, at3{V{{3}}, V{{1}}}, both{V{{3, 0}}, V{{0.25, 0.75}}};
  CHECK(wasserstein_distance(at0, at0) == 0);
  CHECK(wasserstein_distance(at0, at3) == 3);
  CHECK(wasserstein_distance(at3, at0) == 3);
  CHECK_NEAR(wasserstein_distance(at0, both), 0.75, 1e-15, 0);
  CHECK_NEAR(wasserstein_distance(both, at3), 2.25, 1e-15, 0);
  CHECK_NEAR(wasserstein_distance({V{{0, 1, 2}}, V{{0.5, 0, 0.5}}}, {V{{1}}, V{{1}}}), 1, 1e-15, 0);
  CHECK_NEAR(wasserstein_distance({V{{-1, 5}}, V{{1, 1}}}, {V{{0, 7}}, V{{1, 1}}}), 3, 1e-15, 0);
  CHECK_THROWS_AS(wasserstein_distance(at0, {V{{0}}, V{{0.5}}}), ContractError);
  CHECK_THROWS_AS(wasserstein_distance(at0, {V{{0, 1}}, V{{2, -1}}}), ContractError);
}

TEST_CASE("certificates: all pass with enough probes and steps [n = 2000], and say it when they are too few") {
  const LinearOperator op = test::diagonal_operator(Vector<double>::LinSpaced(2000, -1, 1));
  const auto good = certify_density(spectral_density(op, {.probes = 8, .steps = 100}));
  CHECK(good.size() == 8);
  for (const Certificate& c : good) CHECK_MESSAGE(c.passed, c.claim << ": " << c.value);
  CHECK(good[4].value > 1e-4);  // distances are measured, not 0 by construction
  CHECK(good[3].value > 1e-4);
  const auto one_probe = certify_density(spectral_density(op, {.probes = 1, .steps = 100}));
  CHECK(std::isnan(one_probe[3].value));
  CHECK_FALSE(one_probe[3].passed);
  const auto few_steps = certify_density(spectral_density(op, {.probes = 4, .steps = 6}));
  CHECK_FALSE(few_steps[4].passed);
}

TEST_CASE("certificates: a weight, a node or a moment that was changed afterwards fails C3a or C3c") {
  const LinearOperator op = test::diagonal_operator(Vector<double>::LinSpaced(100, -1, 1));
  const SpectralDensity d = spectral_density(op, {.probes = 4, .steps = 20});
  SpectralDensity changed = d;
  changed.weights(2, 3) += 1e-9;
  CHECK_FALSE(certify_density(changed)[0].passed);
  changed = d, changed.nodes(1, 0) += 1e-8;
  CHECK_FALSE(certify_density(changed)[1].passed);
  changed = d, changed.second_moment[0] *= 1 + 1e-9;
  CHECK_FALSE(certify_density(changed)[2].passed);
  CHECK_FALSE(certify_density(changed)[7].passed);
  changed = d, changed.first_moment[0] = std::nan("");
  CHECK_FALSE(certify_density(changed)[1].passed);
  CHECK_FALSE(certify_density(changed)[6].passed);
}

TEST_CASE("density: trace and Frobenius norm of the moments meet the exact ones; atoms cut their errors") {
  const test::SpectralCase c(test::bulk_and_outliers(120, 5), 4);
  const Eigenpairs pairs = c.last(5);
  const SpectralDensity plain = spectral_density(c.op, {.probes = 60, .steps = 2});
  const SpectralDensity deflated = spectral_density(c.op, {.probes = 60, .steps = 2}, &pairs);
  for (const SpectralDensity* d : {&plain, &deflated}) {
    CHECK_NEAR(trace_of(*d).mean, c.spectrum.sum(), 0, 4 * trace_of(*d).standard_error);
    CHECK_NEAR(frobenius_norm2_of(*d).mean, c.spectrum.squaredNorm(), 0, 4 * frobenius_norm2_of(*d).standard_error);
  }
  CHECK(trace_of(deflated).standard_error < 0.05 * trace_of(plain).standard_error);
  CHECK(frobenius_norm2_of(deflated).standard_error < 1e-3 * frobenius_norm2_of(plain).standard_error);
}

}  // namespace
}  // namespace hone
