#include "experiments/instruments/noise.hpp"

#include <cmath>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/specimen.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "sim/perturb/noise.hpp"

namespace hone::experiments {
namespace {

template <template <class> class Model>
class NoiseInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return schema::Noise::group; }
  double flops(const RunSpec& run, Index parameters) const override {
    return 8.0 * double(run.noise.draws) * double(run.noise.rises.size()) * window_flops(run, parameters) *
           double(run.measure.curvature_windows);
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    const Curvature& found = specimen.curvature();
    const Vector<double> residual = specimen.residual_error();
    const double residual_quadratic = found.quadratic.back();
    // Noise is measured on the windows of the Hessian, so that only the order of the expansion is tested.
    const std::vector<double> reference =
        specimen.bench.objective.example_losses(specimen.theta.data(), specimen.bench.source.curvature);
    const NoiseOptions options{int(specimen.bench.run.noise.draws), std::uint64_t(specimen.bench.run.seed)};
    const double size = double(specimen.bench.positions.size()), trace = std::max(found.spectrum.traces[0].mean, 1e-30);
    const Basis top = found.spectrum.top_vectors();
    const Vector<double> top_values = found.spectrum.top_values();
    std::vector<std::string> names;
    std::vector<double> energies, delta, delta_se, predicted;
    for (double rise : specimen.bench.run.noise.rises) energies.push_back(2 * rise * size / trace);
    for (Subspace subspace : all_subspaces) {
      names.emplace_back(name_of(subspace));
      for (double energy : energies) {
        const NoiseRise r =
            measure_noise(specimen.bench.objective, specimen.bench.source.curvature, specimen.wide.data(),
                          specimen.bench.positions, reference, subspace, top, energy, options);
        specimen.bench.watch(
            2.0 * double(options.draws) * specimen.bench.evaluation_flops(specimen.bench.source.curvature), "noise",
            Work::done);
        delta.push_back(r.delta_nats), delta_se.push_back(r.standard_error_nats);
        predicted.push_back(
            predicted_rise(subspace, energy, top_values, trace, Index(specimen.bench.positions.size())));
      }
    }
    constexpr const schema::Noise& f = schema::noise;
    const auto subspaces = std::int64_t(names.size());
    set(group, f.subspace, names);
    set_row(group, f.energy, energies);
    set_row(group, f.delta_nats, delta, {subspaces});
    set_row(group, f.delta_se_nats, delta_se, {subspaces});
    set_row(group, f.predicted_nats, predicted, {subspaces});
    set_row(group, f.residual_share, {residual_share(top, residual)});
    set_row(group, f.null_share, {std::sqrt(double(top_values.size()) / size)});
    const Vector<double> along = top.transpose() * residual;
    const double top_quadratic = 0.5 * top_values.dot(along.cwiseAbs2());
    set_row(group, f.curvature_share, {top_quadratic / residual_quadratic});
    set_row(group, f.curvature_null_share, {top_values.sum() / trace});
  }
};

}  // namespace

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> noise_instrument() {
  return std::make_unique<NoiseInstrument<Model>>();
}

template std::unique_ptr<Instrument<Transformer>> noise_instrument();
template std::unique_ptr<Instrument<Mlp>> noise_instrument();

}  // namespace hone::experiments
