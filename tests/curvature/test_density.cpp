// The measurement of a spectral density: identities, deflation, resume, degenerate spectra.
#include "sim/curvature/density.hpp"

#include "sim/base/error.hpp"
#include "sim/curvature/density_reading.hpp"
#include "sim/curvature/probe.hpp"
#include "tests/support/near.hpp"
#include "tests/support/spectrum.hpp"

namespace hone {
namespace {

bool equal_bits(const SpectralDensity& a, const SpectralDensity& b) {
  const auto same = [](const auto& x, const auto& y) {
    return x.rows() == y.rows() && x.cols() == y.cols() && (x.array() == y.array()).all();
  };
  return same(a.nodes, b.nodes) && same(a.weights, b.weights) && same(a.half_nodes, b.half_nodes) &&
         same(a.half_weights, b.half_weights) && same(a.first_moment, b.first_moment) &&
         same(a.second_moment, b.second_moment) && same(a.coupling, b.coupling) && same(a.atoms, b.atoms) &&
         a.products == b.products;
}

PointMasses all_nodes(const SpectralDensity& d, double factor) {
  return {factor * Eigen::Map<const Vector<double>>(d.nodes.data(), d.nodes.size()),
          Eigen::Map<const Vector<double>>(d.weights.data(), d.weights.size())};
}

TEST_CASE("density: weights sum to 1, first and second moments are the probe's own [certificate C3a]") {
  const test::SpectralCase c(Vector<double>::LinSpaced(90, -1, 4), 1);
  const SpectralDensity d = spectral_density(c.op, {.probes = 5, .steps = 20});
  for (Index p = 0; p < 5; ++p) {
    Vector<double> v = normal_probe(1, ProbeUse::density, std::uint32_t(p), 90);
    v /= v.norm();
    CHECK_NEAR(d.weights.row(p).sum(), 1, 1e-13, 0);
    CHECK((d.weights.row(p).array() >= 0).all());
    CHECK_NEAR(d.weights.row(p).dot(d.nodes.row(p)), v.dot(c.a * v), 1e-12, 1e-13);
    CHECK_NEAR(d.weights.row(p).dot(d.nodes.row(p).cwiseAbs2()), (c.a * v).squaredNorm(), 1e-12, 0);
    CHECK_NEAR(d.first_moment[p], v.dot(c.a * v), 1e-13, 1e-13);
    CHECK_NEAR(d.second_moment[p], (c.a * v).squaredNorm(), 1e-13, 0);
  }
  CHECK(d.products == 100);
  CHECK(d.half_nodes.cols() == 10);
}

TEST_CASE("density: moments average to tr(A^k)/n within 5 standard errors, with and without atoms [200 probes]") {
  const test::SpectralCase c(test::bulk_and_outliers(60, 3), 2);
  const Eigenpairs pairs = c.last(3);
  for (const Eigenpairs* known : {static_cast<const Eigenpairs*>(nullptr), &pairs}) {
    const SpectralDensity d = spectral_density(c.op, {.probes = 200, .steps = 8}, known);
    for (int k = 1; k <= 4; ++k) {
      std::vector<double> m;
      for (Index p = 0; p < 200; ++p)
        m.push_back(double(60 - d.atoms.size()) * (d.weights.row(p).array() * d.nodes.row(p).array().pow(k)).sum() +
                    d.atoms.array().pow(k).sum());
      const MeanEstimate e = mean_with_error(m);
      CHECK_NEAR(e.mean, c.spectrum.array().pow(k).sum(), 0, 5 * e.standard_error);
    }
  }
}

TEST_CASE("density: a probe of full length reproduces every eigenvalue [n = 12]") {
  const Vector<double> spectrum = Vector<double>::LinSpaced(12, 1, 12);
  const SpectralDensity d = spectral_density(test::SpectralCase(spectrum, 3).op, {.probes = 1, .steps = 50});
  REQUIRE(d.nodes.cols() == 12);
  CHECK(test::relative_error(Vector<double>(d.nodes.row(0).transpose()), spectrum) <= 1e-11);
}

TEST_CASE("density: with known pairs the mass at each outlier is exactly 1/n and no node is near it") {
  const test::SpectralCase c(test::bulk_and_outliers(100, 4), 4);
  const Eigenpairs pairs = c.last(4);
  const SpectralDensity d = spectral_density(c.op, {.probes = 3, .steps = 40}, &pairs);
  for (Index k = 0; k < 4; ++k) {
    const double at = pairs.values[k];
    const CdfBand band = cdf(d, Vector<double>{{at * 0.999, at * 1.001}});
    CHECK_NEAR(band.value[1] - band.value[0], 0.01, 1e-13, 0);
  }
  CHECK(d.nodes.maxCoeff() <= c.spectrum[95] * (1 + 1e-12));
  CHECK(d.nodes.minCoeff() >= -1e-13);
  CHECK(all_passed({certify_density(d)[5]}));  // coupling: 0 for exact pairs
}

TEST_CASE("density: vectors that are no eigenvectors show up in the coupling certificate") {
  const test::SpectralCase c(test::bulk_and_outliers(100, 4), 5);
  Eigenpairs wrong = c.last(2);
  wrong.vectors.col(0) = (c.q.col(98) + 0.3 * c.q.col(5)).normalized();
  const Certificate coupling = certify_density(spectral_density(c.op, {.probes = 3, .steps = 40}, &wrong))[5];
  CHECK(coupling.id == "C3b");
  CHECK_FALSE(coupling.passed);
}

TEST_CASE("density: with inexact vectors the probes still measure PAP, moment by moment") {
  const test::SpectralCase c(test::bulk_and_outliers(60, 2), 12);
  Eigenpairs wrong = c.last(2);
  wrong.vectors = test::SpectralCase(c.spectrum, 13).q.rightCols(2);
  const SpectralDensity d = spectral_density(c.op, {.probes = 1, .steps = 10}, &wrong);
  const Basis p = Basis::Identity(60, 60) - wrong.vectors * wrong.vectors.transpose();
  const Vector<double> v = (p * normal_probe(1, ProbeUse::density, 0, 60)).normalized();
  Vector<double> power = v;
  for (int k = 1; k <= 6; ++k) {
    power = p * (c.a * power);
    CHECK_NEAR((d.weights.row(0).array() * d.nodes.row(0).array().pow(k)).sum(), v.dot(power), 1e-11, 0);
  }
  CHECK_NEAR(d.coupling[0], (wrong.vectors.transpose() * (c.a * v)).squaredNorm(), 1e-12, 0);
}

TEST_CASE("density: rounding of a large known eigenvalue is not taken for a spectrum") {
  Vector<double> spectrum = Vector<double>::Constant(50, 0.25);
  spectrum[49] = 1e6;
  const test::SpectralCase c(spectrum, 14);
  const Eigenpairs pairs = c.last(1);
  const SpectralDensity d = spectral_density(c.op, {.probes = 3, .steps = 20}, &pairs);
  CHECK(d.products == 3);
  CHECK_NEAR((d.nodes.array() - 0.25).abs().maxCoeff(), 0, 0, 1e-8);
}

TEST_CASE("density: known pairs that are not orthonormal or do not fit are contract errors") {
  const test::SpectralCase c(test::bulk_and_outliers(30, 2), 6);
  Eigenpairs pairs = c.last(2);
  pairs.vectors *= 1.001;
  CHECK_THROWS_AS(spectral_density(c.op, {}, &pairs), ContractError);
  pairs = c.last(2);
  pairs.values.conservativeResize(1);
  CHECK_THROWS_AS(spectral_density(c.op, {}, &pairs), ContractError);
}

TEST_CASE("density: zero, identity and rank-1 operators end at once and are exact") {
  const Index n = 40;
  const SpectralDensity zero = spectral_density(test::diagonal_operator(Vector<double>::Zero(n)), {});
  CHECK(zero.products == 4);
  CHECK((zero.nodes.array() == 0).all());
  CHECK_NEAR(cdf(zero, Vector<double>{{0}}).value[0], 1, 0, 0);
  const SpectralDensity one = spectral_density(test::diagonal_operator(Vector<double>::Ones(n)), {});
  CHECK(one.products == 4);
  CHECK_NEAR((one.nodes.array() - 1).abs().maxCoeff(), 0, 0, 1e-14);
  for (const SpectralDensity& d : {zero, one}) {
    for (const Certificate& certificate : certify_density(d)) CHECK_MESSAGE(certificate.passed, certificate.claim);
    CHECK(frobenius_norm2_of(d).standard_error <= 1e-12);
  }
  Vector<double> spectrum = Vector<double>::Zero(n);
  spectrum[n - 1] = 22.5;
  const test::SpectralCase rank_one(spectrum, 7);
  const SpectralDensity d = spectral_density(rank_one.op, {.probes = 200, .steps = 30});
  CHECK(d.products <= 3 * 200);
  const CdfBand band = cdf(d, Vector<double>{{-1, 1, 22, 23}}, 0.9999);
  CHECK_NEAR(band.value[0], 0, 0, 1e-14);
  CHECK_NEAR(band.value[1], 39.0 / 40, 0, band.half_width[1]);
  CHECK_NEAR(band.value[2], band.value[1], 1e-12, 0);
  CHECK_NEAR(band.value[3], 1, 1e-13, 0);
}

TEST_CASE("density: atoms that fill the space leave no probe, all but one leave one node each") {
  const test::SpectralCase c(test::bulk_and_outliers(20, 2), 8);
  const Eigenpairs all = c.last(20), but_one = c.last(19);
  const SpectralDensity d = spectral_density(c.op, {}, &all);
  CHECK(d.products == 0);
  CHECK(d.nodes.size() == 0);
  const CdfBand band = cdf(d, Vector<double>{{0.5, 7}});
  CHECK_NEAR(band.value[0], double((c.spectrum.array() <= 0.5).count()) / 20, 1e-14, 0);
  CHECK(band.max_half_width == 0);
  CHECK_NEAR(trace_of(d).mean, c.spectrum.sum(), 1e-13, 0);
  CHECK(half_sample_distance(d) == 0);
  const SpectralDensity last = spectral_density(c.op, {}, &but_one);
  CHECK(last.products == 4);
  CHECK_NEAR((last.nodes.array() - c.spectrum[0]).abs().maxCoeff(), 0, 0, 1e-13);
}

TEST_CASE("density: A times 1e-8 or 1e8 scales the measure and the moments to 1e-12 and changes no branch") {
  for (const bool is_degenerate : {false, true}) {
    Vector<double> spectrum = test::bulk_and_outliers(80, 5);
    if (is_degenerate) spectrum.head(75).setConstant(0.25);  // a probe sees 6 values, and soon only rounding
    const test::SpectralCase c(spectrum, 9);
    const DensityOptions options{.probes = 3, .steps = 50};
    const SpectralDensity base = spectral_density(c.op, options);
    CHECK((base.products < 3 * 10) == is_degenerate);
    for (double factor : {1e-8, 1e8}) {
      const SpectralDensity d = spectral_density(test::times(factor, c.op), options);
      CHECK(d.products == base.products);
      CHECK(test::relative_error(d.nodes, factor * base.nodes) <= 1e-12);
      // As measures: between coincident nodes the weights of a degenerate spectrum may be split at will.
      const PointMasses scaled = all_nodes(d, 1 / factor), unscaled = all_nodes(base, 1);
      CHECK(wasserstein_distance(scaled, unscaled) <= 1e-12 * spectral_range(base).width);
      CHECK(test::relative_error(d.first_moment, factor * base.first_moment) <= 1e-12);
      CHECK(test::relative_error(d.second_moment, factor * factor * base.second_moment) <= 1e-12);
      const auto certificates = certify_density(d), before = certify_density(base);
      for (size_t i = 0; i < before.size(); ++i) {
        CHECK(certificates[i].passed == before[i].passed);
        CHECK_NEAR(certificates[i].value, before[i].value, 1e-10, 1e-12);
      }
    }
  }
}

TEST_CASE("density: stopped and copied after every product it goes on with the same bits") {
  const test::SpectralCase c(test::bulk_and_outliers(50, 2), 10);
  const Eigenpairs pairs = c.last(2);
  const DensityOptions options{.probes = 3, .steps = 12, .seed = 5};
  const SpectralDensity at_once = spectral_density(c.op, options, &pairs);
  for (int stride : {1, 5, 100}) {
    DensityState state;
    bool is_unfinished = true;
    int calls = 0;
    while (is_unfinished) {
      DensityState restored = state;
      state = {};
      is_unfinished = advance(restored, c.op, options, &pairs, stride);
      state = restored;
      ++calls;
    }
    CHECK(calls == (36 + stride - 1) / stride);
    CHECK(equal_bits(density_of(state, 50, options, &pairs), at_once));
  }
}

TEST_CASE("density: an unfinished state gives the density of its finished probes") {
  const test::SpectralCase c(test::bulk_and_outliers(50, 0), 11);
  const DensityOptions options{.probes = 4, .steps = 10};
  DensityState state;
  CHECK_THROWS_AS(density_of(state, 50, options, nullptr), ContractError);
  CHECK(advance(state, c.op, options, nullptr, 25));
  const SpectralDensity part = density_of(state, 50, options, nullptr);
  const SpectralDensity full = spectral_density(c.op, options);
  REQUIRE(part.nodes.rows() == 2);
  CHECK((part.nodes.array() == full.nodes.topRows(2).array()).all());
  CHECK(std::int64_t(8) * state.lanczos.basis.size() <= density_bytes(options, 50));
}

TEST_CASE("probes: seeds, numbers and estimators share no probe; equal addresses give equal bits") {
  const Index n = 64;
  const auto draw = [n](std::uint64_t seed, ProbeUse use, std::uint32_t number) {
    return normal_probe(seed, use, number, n);
  };
  for (std::uint64_t seed : {std::uint64_t(0), std::uint64_t(1), std::uint64_t(1) << 40}) {
    const Vector<double> here = draw(seed, ProbeUse::density, 0);
    CHECK((here.array() == draw(seed, ProbeUse::density, 0).array()).all());
    CHECK((here.array() != draw(seed + 1, ProbeUse::density, 0).array()).all());
    CHECK((here.array() != draw(seed, ProbeUse::density, 1).array()).all());
    for (ProbeUse use : {ProbeUse::trace, ProbeUse::sketch, ProbeUse::check})
      CHECK((here.array() != draw(seed, use, 0).array()).all());
    for (std::uint32_t a = 0; a < 20; ++a)  // signs agree in half the places, never in all
      for (std::uint32_t b = 0; b < 20; ++b) {
        const double overlap = sign_probe(seed, ProbeUse::trace, a, n).dot(sign_probe(seed + 1, ProbeUse::trace, b, n));
        CHECK(std::abs(overlap) < 48);
      }
  }
}

}  // namespace
}  // namespace hone
