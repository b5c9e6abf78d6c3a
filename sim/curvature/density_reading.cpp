#include "sim/curvature/density_reading.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/base/error.hpp"

namespace hone {
namespace {

double quadrature_share(const SpectralDensity& d) { return 1 - double(d.atoms.size()) / double(d.size); }

/// Share of all eigenvalues in the set `inside`: the atoms' part plus mean and error of the probes' parts.
template <class Inside>
MeanEstimate share_of(const SpectralDensity& d, Inside&& inside) {
  double atoms = 0;
  for (Index k = 0; k < d.atoms.size(); ++k) atoms += inside(d.atoms[k]) ? 1 / double(d.size) : 0;
  if (d.nodes.rows() == 0) return {atoms, 0, 0};
  std::vector<double> parts(size_t(d.nodes.rows()));
  for (Index p = 0; p < d.nodes.rows(); ++p) {
    double sum = 0;
    for (Index i = 0; i < d.nodes.cols(); ++i) sum += inside(d.nodes(p, i)) ? d.weights(p, i) : 0;
    parts[size_t(p)] = atoms + quadrature_share(d) * sum;
  }
  return mean_with_error(parts);
}

/// Σ_k atoms^power + (n-k)·mean of the probes' moments.
MeanEstimate moment_of(const SpectralDensity& d, const Vector<double>& moments, int power) {
  const double atoms = d.atoms.array().pow(power).sum();
  if (moments.size() == 0) return {atoms, 0, 0};
  std::vector<double> samples;
  for (double m : moments) samples.push_back(atoms + double(d.size - d.atoms.size()) * m);
  return mean_with_error(samples);
}

/// Partial sums of the probe's weights one node below and one node above x: index i counts the nodes ≤ x.
struct StepBounds {
  double lower = 0, upper = 0;
};
StepBounds step_bounds(const SpectralDensity& d, Index p, double x) {
  StepBounds b;
  double before = 0, sum = 0;
  Index i = 0;
  for (; i < d.nodes.cols() && d.nodes(p, i) <= x; ++i) {
    if (d.weights(p, i) == 0) continue;  // padding after an early end
    before = sum, sum += d.weights(p, i);
  }
  b.lower = before;
  b.upper = i < d.nodes.cols() ? sum + d.weights(p, i) : sum;
  return b;
}

/// All nodes of probes [first, last) with masses that sum to 1.
PointMasses pooled(const Matrix<double>& nodes, const Matrix<double>& weights, Index first, Index last) {
  PointMasses m;
  const Index count = (last - first) * nodes.cols();
  m.positions = Vector<double>(Eigen::Map<const Vector<double>>(nodes.data() + first * nodes.cols(), count));
  m.masses = Eigen::Map<const Vector<double>>(weights.data() + first * nodes.cols(), count) / double(last - first);
  return m;
}

/// part/whole for non-negative numbers where 0 of 0 is none.
double ratio(double part, double whole) { return part == 0 ? 0 : part / whole; }

/// Worst relative defect of Σ w θ^power against the moment, over probes.
double identity_defect(const SpectralDensity& d, const Vector<double>& moments, int power) {
  const double scale = std::pow(spectral_range(d).norm, power);
  double worst = 0;
  for (Index p = 0; p < d.nodes.rows(); ++p) {
    const double sum = (d.weights.row(p).array() * d.nodes.row(p).array().pow(power)).sum();
    const double defect = ratio(std::abs(sum - moments[p]), scale);
    if (defect > worst || std::isnan(defect)) worst = defect;
  }
  return worst;
}

}  // namespace

CdfBand cdf(const SpectralDensity& d, const Vector<double>& x, double coverage) {
  CdfBand band;
  const Index points = x.size(), probes = d.nodes.rows();
  band.x = x;
  band.value.resize(points), band.half_width.resize(points);
  band.lower.resize(points), band.upper.resize(points);
  const double share = quadrature_share(d);
  for (Index i = 0; i < points; ++i) {
    const MeanEstimate e = share_of(d, [&](double at) { return at <= x[i]; });
    band.value[i] = std::clamp(e.mean, 0.0, 1.0);
    band.half_width[i] = half_width(e, coverage);
    double atoms = 0;
    for (double a : d.atoms) atoms += a <= x[i] ? 1 / double(d.size) : 0;
    band.lower[i] = band.upper[i] = atoms;
    for (Index p = 0; p < probes; ++p) {
      const StepBounds b = step_bounds(d, p, x[i]);
      band.lower[i] += share * b.lower / double(probes);
      band.upper[i] += share * b.upper / double(probes);
    }
  }
  if (points > 0) band.max_half_width = band.half_width.maxCoeff();
  return band;
}

MeanEstimate trace_of(const SpectralDensity& d) { return moment_of(d, d.first_moment, 1); }
MeanEstimate frobenius_norm2_of(const SpectralDensity& d) { return moment_of(d, d.second_moment, 2); }

double wasserstein_distance(const PointMasses& a, const PointMasses& b) {
  std::vector<std::pair<double, double>> jumps;  // of F - G
  for (const auto& [m, sign] : {std::pair{&a, 1.0}, std::pair{&b, -1.0}}) {
    EXPECTS(m->positions.size() == m->masses.size() && m->masses.size() > 0, "W1: {} positions, {} masses",
            m->positions.size(), m->masses.size());
    EXPECTS(m->masses.minCoeff() >= 0 && m->positions.allFinite(), "W1: a negative mass or an infinite position");
    for (Index i = 0; i < m->masses.size(); ++i) jumps.emplace_back(m->positions[i], sign * m->masses[i]);
  }
  const double total = a.masses.sum();
  EXPECTS(std::abs(total - b.masses.sum()) <= 1e-9 * total, "W1: total masses {} and {}", total, b.masses.sum());
  std::sort(jumps.begin(), jumps.end());
  double distance = 0, difference = 0;
  for (size_t i = 0; i + 1 < jumps.size(); ++i) {
    difference += jumps[i].second;
    distance += std::abs(difference) * (jumps[i + 1].first - jumps[i].first);
  }
  return distance;
}

double half_sample_distance(const SpectralDensity& d) {
  const Index probes = d.nodes.rows();
  if (d.nodes.size() == 0) return 0;
  if (probes < 2) return std::numeric_limits<double>::quiet_NaN();
  return quadrature_share(d) * wasserstein_distance(pooled(d.nodes, d.weights, 0, probes / 2),
                                                    pooled(d.nodes, d.weights, probes / 2, probes));
}

double half_steps_distance(const SpectralDensity& d) {
  if (d.nodes.size() == 0) return 0;
  return quadrature_share(d) * wasserstein_distance(pooled(d.nodes, d.weights, 0, d.nodes.rows()),
                                                    pooled(d.half_nodes, d.half_weights, 0, d.nodes.rows()));
}

std::vector<Certificate> certify_density(const SpectralDensity& d) {
  const SpectralRange range = spectral_range(d);
  // The width of a multiple of the identity is rounding; 1e-10 of its norm keeps the ratios below meaningful there.
  const double width = std::max(range.width, 1e-10 * range.norm), free = double(d.size - d.atoms.size());
  const Vector<double> ones = Vector<double>::Ones(d.nodes.rows());
  const double probes = double(std::max<Index>(1, d.nodes.rows()));
  const auto total = [&](auto&& terms, auto&& atoms) { return atoms.sum() + free / probes * terms.sum(); };
  const auto weighted = d.weights.array() * d.nodes.array();
  const double trace = total(weighted, d.atoms), squares = total(weighted * d.nodes.array(), d.atoms.cwiseAbs2());
  const double magnitude = total(weighted.abs(), d.atoms.cwiseAbs());
  const double coupling = std::sqrt(free / probes * d.coupling.sum());
  return {
      certify("C3a", "largest |sum w - 1| over probes", identity_defect(d, ones, 0), 1e-12),
      certify("C3a", "largest |sum w theta - v'Av| / |A| over probes", identity_defect(d, d.first_moment, 1), 1e-12),
      certify("C3a", "largest |sum w theta^2 - |Av|^2| / |A|^2 over probes", identity_defect(d, d.second_moment, 2),
              1e-12),
      certify("C3b", "W1 of first against second half of the probes, over the range",
              ratio(half_sample_distance(d), width), 0.01),
      certify("C3b", "W1 of all steps against half of them, over the range", ratio(half_steps_distance(d), width),
              0.01),
      certify("C3b", "Frobenius norm of the coupling of the atoms' vectors to the rest, over the range",
              ratio(coupling, width), 0.01),
      certify("C3c", "|trace by quadrature - trace by moments| / sum |theta|",
              ratio(std::abs(trace - trace_of(d).mean), magnitude), 1e-10),
      certify("C3c", "|squared Frobenius norm by quadrature - by moments|, relative",
              ratio(std::abs(squares - frobenius_norm2_of(d).mean), squares), 1e-10),
  };
}

}  // namespace hone
