#include "sim/curvature/density.hpp"

namespace hone {

SpectralDensity spectral_density(const LinearOperator& op, const DensityOptions& o) {
  EXPECTS(o.probes >= 1 && o.steps >= 1, "density: {} probes of {} steps", o.probes, o.steps);
  const Index steps = std::min<Index>(o.steps, op.size);
  SpectralDensity d;
  d.nodes.setZero(o.probes, steps);
  d.weights.setZero(o.probes, steps);
  d.first_moment.resize(o.probes);
  d.second_moment.resize(o.probes);
  Vector<double> probe(op.size);
  for (int p = 0; p < o.probes; ++p) {
    const Stream stream{o.seed, Domain::probe, static_cast<std::uint32_t>(p)};
    for (Index i = 0; i < op.size; ++i) probe[i] = rademacher(stream, std::uint64_t(i));
    Lanczos lanczos = start_lanczos(probe, int(steps));
    extend(lanczos, op, int(steps));
    const Lanczos::Ritz ritz = lanczos.ritz();
    d.nodes.row(p).head(lanczos.steps) = ritz.values.transpose();
    d.nodes.row(p).tail(steps - lanczos.steps).setConstant(ritz.values[lanczos.steps - 1]);
    d.weights.row(p).head(lanczos.steps) = ritz.weights.transpose();
    d.first_moment[p] = lanczos.alpha[0];
    d.second_moment[p] = lanczos.alpha[0] * lanczos.alpha[0] + lanczos.beta[0] * lanczos.beta[0];
    d.products += lanczos.steps;
  }
  return d;
}

}  // namespace hone
