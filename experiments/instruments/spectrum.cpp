#include "experiments/instruments/spectrum.hpp"

#include <algorithm>
#include <cmath>

#include "experiments/instruments/rows.hpp"
#include "sim/base/error.hpp"
#include "sim/curvature/certificate.hpp"
#include "sim/curvature/dense.hpp"
#include "sim/curvature/density_reading.hpp"

namespace hone::experiments {
namespace {

using Doubles = std::vector<double>;

/// In the order of the tables; what each claims stands in sim/record/SCHEMA.md.
constexpr const char* certificate_kinds[] = {"C0a", "C0b", "C0c", "C1a", "C1b", "C2a",
                                             "C2c", "C3a", "C3b", "C3c", "C4",  "C5"};

void append(std::vector<Certificate>& to, const std::vector<Certificate>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

ExtremesOptions extremes_options(const MeasureSpec& spec, Index size, std::uint64_t seed, double noise_floor) {
  ExtremesOptions o;
  o.count_largest = int(std::min<Index>(spec.eigenpairs, size - 1));
  o.count_smallest = int(std::min<Index>(spec.eigenpairs_smallest, size - o.count_largest));
  o.block = int(std::min<Index>(spec.block, size));
  const Index wanted = o.count_largest + o.count_smallest;
  o.steps_max = int(std::min<Index>(size, std::max<Index>(spec.lanczos_steps, wanted + Index(2) * o.block + 3)));
  o.products_max = Index(4) * o.steps_max + wanted + Index(4) * spec.completeness_steps;
  o.probe_steps = int(spec.completeness_steps);
  o.tolerance = spec.lanczos_tolerance;
  o.noise_floor = noise_floor;
  o.seed = seed;
  return o;
}

DensityOptions density_options(const MeasureSpec& spec, std::uint64_t seed) {
  return {int(spec.slq_probes), int(spec.slq_steps), seed};
}

Spectrum from_matrix(const LinearOperator& op, const ExtremesOptions& wanted,
                     const std::vector<DiagonalWeight>& weights) {
  Spectrum s;
  const DenseSpectrum dense = dense_spectrum(op, {true, op.size, wanted.noise_floor > 0 ? 1e-5 : 1e-12});
  s.pairs = ends_of(dense, op, wanted.count_largest, wanted.count_smallest, wanted.noise_floor);
  s.density = exact_density(dense.values);
  for (const DiagonalWeight& w : weights) s.traces.push_back({{weighted_sum(w, dense.diagonal), 0, 1}, 0});
  s.second_trace = {{dense.values.sum(), 0, 1}, 0};
  s.norm2 = {{dense.frobenius_norm2, 0, 1}, 0};
  append(s.certificates, dense.certificates);
  append(s.certificates, s.pairs.certificates);
  const double rounding = 1e-12 * dense.values.cwiseAbs().sum();
  s.certificates.push_back(certify("C4", "trace: sum of the diagonal against sum of the eigenvalues, over its rounding",
                                   relative_to(std::abs(s.traces[0].mean - s.second_trace.mean), rounding), 3));
  return s;
}

/// C4: the deflated probes against the probes of the density, which share no draw with them.
/// math    |a - b| over the combined standard error; the limit leaves out what 3 standard errors of many samples leave
///         out, for the few samples there are (Welch 1947)
Certificate certify_trace(const TraceEstimate& a, const MeanEstimate& b) {
  const double error = std::hypot(a.standard_error, b.standard_error);
  const double sa = relative_to(std::pow(a.standard_error, 4), a.count - 1),
               sb = relative_to(std::pow(b.standard_error, 4), b.count - 1);
  const double degrees = std::min(relative_to(std::pow(error, 4), sa + sb), 1e6);
  return certify("C4", "trace: two independent estimators, difference over combined standard error",
                 relative_to(std::abs(a.mean - b.mean), error), t_quantile(three_sigma, std::max(1, int(degrees))));
}

/// None where none is wanted: traces and density then stand alone.
Eigenpairs pairs_of(const LinearOperator& op, const ExtremesOptions& wanted) {
  if (wanted.count_largest + wanted.count_smallest > 0) return extreme_eigenpairs(op, wanted);
  Eigenpairs none;
  none.vectors.resize(op.size, 0);
  return none;
}

Spectrum from_products(const LinearOperator& op, const MeasureSpec& spec, const ExtremesOptions& wanted,
                       const std::vector<DiagonalWeight>& weights) {
  Spectrum s;
  append(s.certificates, check_operator(op, wanted.seed, wanted.noise_floor));
  s.pairs = pairs_of(op, wanted);
  append(s.certificates, s.pairs.certificates);
  s.density = spectral_density(op, density_options(spec, wanted.seed), &s.pairs);
  append(s.certificates, certify_density(s.density));
  s.traces = weighted_traces(op, weights, {int(spec.trace_probes), wanted.seed}, &s.pairs);
  const MeanEstimate second = trace_of(s.density);
  static_cast<MeanEstimate&>(s.second_trace) = second;
  static_cast<MeanEstimate&>(s.norm2) = frobenius_norm2_of(s.density);
  s.certificates.push_back(certify_trace(s.traces[0], second));
  return s;
}

bool worse(const Certificate& a, const Certificate& b) {
  if (a.passed != b.passed) return !a.passed;
  const auto share = [](const Certificate& c) {
    return std::isfinite(c.limit) ? relative_to(c.value, c.limit) : 0;  // published without a demand
  };
  return share(a) > share(b) || std::isnan(a.value);
}

}  // namespace

Spectrum measure_spectrum(const LinearOperator& op, const MeasureSpec& spec, std::uint64_t seed, double noise_floor,
                          const std::vector<DiagonalWeight>& weights) {
  const ExtremesOptions wanted = extremes_options(spec, op.size, seed, noise_floor);
  return op.size <= spec.dense_max ? from_matrix(op, wanted, weights) : from_products(op, spec, wanted, weights);
}

double spectrum_products(const MeasureSpec& spec) {
  const std::int64_t pairs = spec.eigenpairs + spec.eigenpairs_smallest,
                     solve = pairs > 0 ? spec.lanczos_steps + pairs + spec.completeness_steps : 0;
  return double(solve + spec.slq_probes * spec.slq_steps + spec.trace_probes + 4);
}

std::int64_t spectrum_bytes(const MeasureSpec& spec, Index size) {
  if (size <= spec.dense_max) return dense_bytes(size);
  const ExtremesOptions wanted = extremes_options(spec, size, 1, 0);
  const std::int64_t pairs = 8 * size * (wanted.count_largest + wanted.count_smallest);
  const std::int64_t solve = pairs > 0 ? extremes_bytes(wanted, size) : 0;
  return std::max(solve, pairs + density_bytes(density_options(spec, 1), size));
}

std::vector<Certificate> worst_of_each_kind(const std::vector<Certificate>& certificates) {
  std::vector<Certificate> worst;
  for (const char* id : certificate_kinds) {
    const Certificate* found = nullptr;
    for (const Certificate& c : certificates)
      if (c.id == id && (!found || worse(c, *found))) found = &c;
    worst.push_back(found ? *found : Certificate{id, "", std::nan(""), std::nan(""), false});
  }
  return worst;
}

namespace {

Doubles list(const auto& m) { return Doubles(m.data(), m.data() + m.size()); }

/// A Krylov space that ends early gives fewer pairs; every checkpoint needs rows of one length.
Doubles padded(const Vector<double>& values, Index begin, Index count, std::int64_t length) {
  Doubles out(size_t(length), std::nan(""));
  for (Index i = 0; i < std::min<Index>(count, length); ++i) out[size_t(i)] = values[begin + i];
  return out;
}

/// Nodes as they are, or all eigenvalues as the one probe of an exact density.
void add_density_rows(const SpectralDensity& d, Dataset& group) {
  const bool is_exact = d.nodes.size() == 0;
  const std::int64_t probes = is_exact ? 1 : d.nodes.rows(), nodes = is_exact ? d.atoms.size() : d.nodes.cols();
  // What the file holds is one density whatever the route: atoms have the mass 1/n, a node its share of the rest.
  const double rest = 1 - double(d.atoms.size()) / double(d.size);
  Doubles weights = is_exact ? Doubles(size_t(nodes), 1 / double(d.size)) : list(d.weights);
  if (!is_exact)
    for (double& w : weights) w *= rest;
  set_row(group, schema::curvature.slq_node, is_exact ? list(d.atoms) : list(d.nodes), {probes});
  set_row(group, schema::curvature.slq_weight, weights, {probes});
  set_row(group, schema::curvature.atoms, {is_exact ? 0 : d.atoms.size()});
}

}  // namespace

void add_spectrum_rows(const Spectrum& s, const MeasureSpec& spec, Dataset& group) {
  constexpr const schema::Curvature& f = schema::curvature;
  const Eigenpairs& p = s.pairs;
  const Index low = p.values.size() - p.largest;
  const auto ends = [&](const Field<double>& largest, const Field<double>& smallest, const Vector<double>& v) {
    const std::int64_t top = std::min<std::int64_t>(spec.eigenpairs, s.density.size - 1);
    const std::int64_t bottom = std::min<std::int64_t>(spec.eigenpairs_smallest, s.density.size - top);
    set_row(group, largest, padded(v, 0, p.largest, top));
    set_row(group, smallest, padded(v, p.largest, low, bottom));
  };
  ends(f.lambda, f.lambda_smallest, p.values);
  ends(f.lambda_residual, f.lambda_smallest_residual, p.residuals);
  ends(f.lambda_bound, f.lambda_smallest_bound, p.error_bounds);
  set_row(group, f.ritz_min, {p.ritz_min});
  set_row(group, f.orthogonality, {p.orthogonality});
  set_row(group, f.lanczos_steps, {p.steps});
  set_row(group, f.lanczos_products, {p.products});
  set_row(group, f.lanczos_stop, {int(p.stop)});
  set_row(group, f.trace, {s.traces[0].mean});
  set_row(group, f.trace_se, {s.traces[0].standard_error});
  set_row(group, f.trace_probes, {s.traces[0].count});
  set_row(group, f.second_trace, {s.second_trace.mean});
  set_row(group, f.second_trace_se, {s.second_trace.standard_error});
  set_row(group, f.second_trace_probes, {s.second_trace.count});
  set_row(group, f.frobenius2, {s.norm2.mean});
  set_row(group, f.frobenius2_se, {s.norm2.standard_error});
  set_row(group, f.dimension, {s.density.size});
  add_density_rows(s.density, group);
  std::vector<std::string> names;
  Doubles values, limits, passed;
  std::int64_t failed = 0;
  for (const Certificate& c : worst_of_each_kind(s.certificates)) {
    const bool is_measured = !c.claim.empty();
    names.push_back(c.id), values.push_back(c.value), limits.push_back(c.limit);
    passed.push_back(is_measured ? double(c.passed) : std::nan(""));
    failed += is_measured && !c.passed;
  }
  set(group, f.certificate, names);
  set_row(group, f.certificate_value, values);
  set_row(group, f.certificate_limit, limits);
  set_row(group, f.certificate_passed, passed);
  set_row(group, f.certificates_failed, {failed});
}

}  // namespace hone::experiments
