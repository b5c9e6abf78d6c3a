#include "sim/curvature/density.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/curvature/probe.hpp"

namespace hone {
namespace {

struct Quadrature {
  Vector<double> nodes, weights;
};

/// Gauss quadrature of the leading m×m block: eigenvalues and squared first components.
Quadrature quadrature_of(const ProbeRecurrence& r, Index m) {
  Eigen::SelfAdjointEigenSolver<Basis> solver;
  solver.computeFromTridiagonal(r.alpha.head(m), r.beta.head(m - 1));
  return {solver.eigenvalues(), solver.eigenvectors().row(0).transpose().cwiseAbs2()};
}

/// Writes q into row p; after an early end the last node is repeated with no weight.
void set_row(Matrix<double>& nodes, Matrix<double>& weights, Index p, const Quadrature& q) {
  const Index m = q.nodes.size();
  nodes.row(p).head(m) = q.nodes.transpose();
  nodes.row(p).tail(nodes.cols() - m).setConstant(q.nodes[m - 1]);
  weights.row(p).head(m) = q.weights.transpose();
}

Index known_count(const Eigenpairs* known) { return known ? known->values.size() : 0; }

int steps_in_complement(const DensityOptions& o, Index size, const Eigenpairs* known) {
  return int(std::min<Index>(o.steps, size - known_count(known)));
}

/// PA, which is PAP on the complement, and a look at the first product on its way: its moments do not pass through the
/// recurrence.
LinearOperator complement_of(const LinearOperator& op, const Eigenpairs* known, ProbeRecurrence* first) {
  return {op.size, [&op, known, first](const Vector<double>& v, Vector<double>& result) {
            op.apply(v, result);
            if (first && known) first->coupling = (known->vectors.transpose() * result).squaredNorm();
            if (known) project_out(known->vectors, result);
            if (first) first->first_moment = v.dot(result), first->second_moment = result.squaredNorm();
          }};
}

void check_options(const DensityOptions& o) {
  EXPECTS(o.probes >= 1 && o.steps >= 1, "density: {} probes of {} steps", o.probes, o.steps);
}

Lanczos start_probe(const DensityOptions& o, Index size, const Eigenpairs* known, std::uint32_t number) {
  Vector<double> probe = normal_probe(o.seed, ProbeUse::density, number, size);
  if (known) project_out(known->vectors, probe);
  return start_lanczos(probe, steps_in_complement(o, size, known));
}

/// Whether the last coupling is of the size of the products' rounding: the Krylov space has ended, and what follows
/// would split the mass of eigenvalues already found at random. Dropping it moves no eigenvalue by more than itself.
bool is_rounding(const Lanczos& l, const Eigenpairs* known) {
  const double epsilon = std::numeric_limits<double>::epsilon(), n = double(l.basis.rows());
  double norm = (l.alpha.head(l.steps).cwiseAbs() + l.beta.head(l.steps)).maxCoeff();
  if (known_count(known) > 0) norm = std::max(norm, known->values.cwiseAbs().maxCoeff());
  return l.beta[l.steps - 1] <= (16 + std::sqrt(n)) * epsilon * norm;
}

void finish_probe(DensityState& state) {
  const Lanczos& l = state.lanczos;
  state.current.alpha = l.alpha.head(l.steps);
  state.current.beta = l.beta.head(l.steps);
  state.done.push_back(std::move(state.current));
  state.current = {};
  state.lanczos = {};
}

}  // namespace

bool advance(DensityState& state, const LinearOperator& op, const DensityOptions& o, const Eigenpairs* known,
             int products) {
  check_options(o);
  if (known && state.done.empty() && state.lanczos.basis.size() == 0) check_known(*known, op.size);
  const int steps = steps_in_complement(o, op.size, known);
  if (steps == 0) return false;
  for (int i = 0; i < products && int(state.done.size()) < o.probes; ++i) {
    Lanczos& l = state.lanczos;
    if (l.basis.size() == 0) l = start_probe(o, op.size, known, std::uint32_t(state.done.size()));
    // One step at a time, also when many are asked for: the state after it is then the same however it was reached.
    extend(l, complement_of(op, known, l.steps == 0 ? &state.current : nullptr), l.steps + 1);
    if (l.steps >= steps || l.stop == LanczosStop::invariant_subspace || is_rounding(l, known)) finish_probe(state);
  }
  return int(state.done.size()) < o.probes;
}

SpectralDensity density_of(const DensityState& state, Index size, const DensityOptions& o, const Eigenpairs* known) {
  check_options(o);
  const Index probes = Index(state.done.size()), steps = steps_in_complement(o, size, known);
  EXPECTS(steps == 0 || probes >= 1, "density: no probe of {} is done", o.probes);
  SpectralDensity d;
  d.size = size;
  if (known) d.atoms = known->values;
  const Index half = steps == 0 ? 0 : std::max<Index>(1, steps / 2);
  d.nodes.setZero(probes, steps), d.weights.setZero(probes, steps);
  d.half_nodes.setZero(probes, half), d.half_weights.setZero(probes, half);
  d.first_moment.resize(probes), d.second_moment.resize(probes), d.coupling.resize(probes);
  for (Index p = 0; p < probes; ++p) {
    const ProbeRecurrence& r = state.done[size_t(p)];
    const Index m = r.alpha.size();
    set_row(d.nodes, d.weights, p, quadrature_of(r, m));
    set_row(d.half_nodes, d.half_weights, p, quadrature_of(r, std::min(m, half)));
    d.first_moment[p] = r.first_moment;
    d.second_moment[p] = r.second_moment;
    d.coupling[p] = r.coupling;
    d.products += m;
  }
  return d;
}

SpectralDensity spectral_density(const LinearOperator& op, const DensityOptions& o, const Eigenpairs* known) {
  DensityState state;
  while (advance(state, op, o, known, o.steps)) {
  }
  return density_of(state, op.size, o, known);
}

SpectralDensity exact_density(const Vector<double>& eigenvalues) {
  SpectralDensity d;
  d.size = eigenvalues.size();
  d.atoms = eigenvalues;
  return d;
}

std::int64_t density_bytes(const DensityOptions& o, Index size) {
  const std::int64_t steps = std::min<Index>(o.steps, size);
  return 8 * ((steps + 6) * std::int64_t(size) + 2 * std::int64_t(o.probes) * steps + 4 * steps * steps);
}

SpectralRange spectral_range(const SpectralDensity& d) {
  double low = INFINITY, high = -INFINITY;
  if (d.nodes.size() > 0) low = d.nodes.minCoeff(), high = d.nodes.maxCoeff();
  if (d.atoms.size() > 0) low = std::min(low, d.atoms.minCoeff()), high = std::max(high, d.atoms.maxCoeff());
  EXPECTS(low <= high, "density: neither atom nor node, or NaN");
  return {std::max(std::abs(low), std::abs(high)), high - low};
}

}  // namespace hone
