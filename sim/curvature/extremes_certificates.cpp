#include "sim/curvature/extremes_certificates.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"

namespace hone {
namespace {

/// How far beyond its extreme Ritz values a cold run may have left the spectrum, all but once in a million.
/// math    a start uniform on the sphere and m Lanczos steps give P(λ₁ - ξ > ε (λ₁ - λ_n)) ≤ 1.648 √n e^{-√ε (2m - 1)};
///         with both ends known to ε the width is at most that of the Ritz values over 1 - 2ε
/// ensures 0 where the run spans all that was left, +inf where it was too short to say anything
/// source  Kuczyński & Woźniakowski 1992, theorem 4.2
double unseen_width(const ExtremesState& s) {
  if (s.probe.columns + s.vectors.cols() >= s.size) return 0;
  const double logarithm = std::log(1.648e6 * std::sqrt(double(s.size)));
  const double share = std::pow(logarithm / (2 * double(s.probe.columns) - 1), 2);
  if (share >= 0.5) return std::numeric_limits<double>::infinity();
  return share / (1 - 2 * share) * (s.upper.value - s.lower.value);
}

/// Distance from θ_i to all eigenvalues but its own as far as it is certified, 0 when it is not.
/// math    diag(θ) and what the found vectors leave of A differ from A by ‖R‖ at most, so that each of their
///         eigenvalues has one of A within ‖R‖ (Weyl): the other θ, and what the cold run saw and may have missed
double gap_of(const ExtremesState& s, Index i) {
  const bool is_whole = s.stop == ExtremesStop::whole_space;
  if (!is_whole && !s.is_complete) return 0;
  double gap = std::numeric_limits<double>::infinity();
  for (Index j = 0; j < s.values.size(); ++j)
    if (j != i) gap = std::min(gap, std::abs(s.values[i] - s.values[j]));
  if (s.values.size() < s.size) {
    const double unseen = is_whole ? 0 : unseen_width(s);
    gap = std::min(gap, s.values[i] >= s.upper.value ? s.values[i] - s.upper.value - s.upper.residual - unseen
                                                     : s.lower.value - s.lower.residual - unseen - s.values[i]);
  }
  return std::isfinite(gap) ? std::max(gap - s.residuals.norm() - rounding_of(s), 0.0) : 0;
}

/// Temple's inequality needs the Rayleigh quotient ρ, and θ departs from it by `shift`: the eigenvalues of the
/// projected matrix carry the rounding of every restart.
double bound_of(double residual, double shift, double gap) {
  const double around = gap - shift;  // a gap around ρ
  return around > residual ? std::min(residual, shift + residual * residual / around) : residual;
}

void add_bounds(const ExtremesState& s, Eigenpairs& pairs) {
  const Index k = s.values.size();
  const double rounding = rounding_of(s);
  pairs.error_bounds.resize(k);
  pairs.angle_sines.resize(k);
  for (Index i = 0; i < k; ++i) {
    const double r = s.residuals[i], gap = gap_of(s, i);
    pairs.error_bounds[i] = bound_of(r, s.shifts[i], gap) + rounding;
    pairs.angle_sines[i] = gap > 0 ? std::min(1.0, (r + rounding) / gap) : 1;
  }
}

/// C2c: how far beyond the found pairs the rest of the spectrum reaches, in units of ‖A‖. NaN, which fails, when
/// nobody looked.
void certify_completeness(const ExtremesState& s, std::vector<Certificate>& list) {
  if (s.stop == ExtremesStop::whole_space || s.values.size() == s.size) {
    list.push_back(certify("C2c", "completeness: directions outside the basis or the found pairs", 0, 0));
    return;
  }
  const double limit = (s.residuals.norm() + rounding_of(s)) / (s.norm > 0 ? s.norm : 1);
  const auto beyond = [&](const char* end, const Remainder& rest, double distance) {
    const double value = s.is_probed ? relative_to(distance, s.norm) : std::nan("");
    list.push_back(certify("C2c",
                           s.is_probed ? fmt::format("completeness: a cold run of {} steps off the found pairs reaches "
                                                     "{} Ritz value {:.10g} with residual {:.3g}",
                                                     s.probe.columns, end, rest.value, rest.residual)
                                       : fmt::format("completeness at the {} end: not searched", end),
                           value, limit));
  };
  if (s.largest > 0) beyond("upper", s.upper, s.upper.value - s.values[s.largest - 1]);
  if (s.largest < s.values.size()) beyond("lower", s.lower, s.values[s.largest] - s.lower.value);
}

std::vector<Certificate> certificates_of(const ExtremesState& s, double orthogonality) {
  const double eta = s.options.noise_floor;
  std::vector<Certificate> list;
  list.push_back(certify("C1a", "orthogonality: max |V'V - I| of the basis", orthogonality, 1e-13));
  list.push_back(
      certify("C1a", "orthogonality: max |Y'Y - I| of the returned vectors", orthogonality_defect(s.vectors), 1e-13));
  list.push_back(certify("C1b", "recurrence: |A v - V P e| / |A| of a column drawn at random",
                         relative_to(s.recurrence, s.norm), eta > 0 ? 5 * eta : 1e-13));
  for (Index i = 0; i < s.values.size(); ++i)
    list.push_back(
        certify("C2a", fmt::format("backward error |A y - theta y| / |A| of pair {}, theta = {:.10g}", i, s.values[i]),
                relative_to(s.residuals[i], s.norm), residual_limit(eta)));
  const Index wanted = Index(s.options.count_largest) + s.options.count_smallest;
  if (s.values.size() < wanted)
    list.push_back(certify("C2a", "wanted pairs that were not found", double(wanted - s.values.size()), 0));
  certify_completeness(s, list);
  return list;
}

}  // namespace

Eigenpairs eigenpairs_of(const ExtremesState& s) {
  EXPECTS(s.phase == ExtremesPhase::done, "eigenpairs: the solve is not done after {} products", s.products);
  Eigenpairs pairs;
  pairs.stop = s.stop;
  pairs.norm = s.norm;
  pairs.ritz_min = s.ritz_min;
  pairs.steps = s.steps;
  pairs.products = s.products;
  pairs.restarts = s.restarts;
  pairs.rounds = s.rounds;
  if (s.stop == ExtremesStop::not_finite) {
    pairs.vectors.resize(s.size, 0);
    pairs.certificates.push_back(certify("C2a", "a product of the operator is not finite", std::nan(""), 0));
    return pairs;
  }
  pairs.values = s.values;
  pairs.vectors = s.vectors;
  pairs.residuals = s.residuals;
  pairs.largest = s.largest;
  pairs.upper = s.upper;
  pairs.lower = s.lower;
  pairs.orthogonality = orthogonality_defect(s.space.basis.leftCols(s.space.columns));
  add_bounds(s, pairs);
  pairs.certificates = certificates_of(s, pairs.orthogonality);
  return pairs;
}

}  // namespace hone
