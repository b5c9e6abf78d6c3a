#include "experiments/instruments/injection.hpp"

#include <cmath>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/specimen.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "sim/perturb/injection.hpp"

namespace hone::experiments {
namespace {

constexpr double spaces = 5;

template <template <class> class Model>
class InjectionInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return schema::Injection::group; }
  bool is_on(const RunSpec& run) const override { return !run.noise.equal_rises.empty(); }
  double flops(const RunSpec& run, Index parameters) const override {
    const double evaluations = 2 * double(run.noise.equal_rises.size()) * window_flops(run, parameters);
    return spaces * double(run.noise.draws) * double(run.measure.curvature_windows) *
           (evaluations + window_product_flops(run, parameters));
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    const Found found =
        specimen.bench.run.measure.precision == "float64" ? find<double>(specimen) : find<float>(specimen);
    const std::vector<double>& rises = specimen.bench.run.noise.equal_rises;
    const auto count = std::int64_t(found.names.size());
    constexpr const schema::Injection& f = schema::injection;
    set(group, f.subspace, found.names);
    set(group, f.rise_nats, rises);
    set_row(group, f.curvature, found.curvature);
    set_row(group, f.energy, found.energy, {count});
    set_row(group, f.predicted_nats, found.predicted, {count});
    set_row(group, f.delta_nats, found.delta, {count});
    set_row(group, f.delta_se_nats, found.delta_se, {count});
  }

 private:
  struct Found {
    std::vector<std::string> names;
    std::vector<double> curvature;                           ///< by space
    std::vector<double> energy, predicted, delta, delta_se;  ///< by space, then by rise
  };

  /// Directions and their curvatures come from products in the study's precision, the rises from losses in float32.
  template <class S>
  static Found find(Specimen<Model>& specimen) {
    const Bench<Model>& bench = specimen.bench;
    const Model<S> model(bench.model.options());
    Linearization<Model<S>> linear(model, specimen.wide.data(), bench.source.curvature, bench.curvature_options(1));
    LinearOperator hessian = restrict_to(linear.quantizable_hessian(), bench.positions);
    hessian.apply = [&bench, inner = std::move(hessian.apply)](const Vector<double>& v, Vector<double>& result) {
      inner(v, result);
      bench.watch(bench.product_flops(), "injection", Work::done);
    };
    const std::vector<double> reference =
        specimen.bench.objective.example_losses(specimen.theta.data(), bench.source.curvature);
    const NoiseOptions options{int(bench.run.noise.draws), std::uint64_t(bench.run.seed)};
    Found found;
    for (const InjectionSpace& space : injection_spaces(specimen.curvature().spectrum.pairs)) {
      const std::vector<InjectedDirection> directions = injected_directions(space, hessian, options);
      found.names.emplace_back(space.name);
      double sum = 0;
      for (const InjectedDirection& d : directions) sum += d.curvature;
      found.curvature.push_back(sum / double(directions.size()));  // NaN without directions
      for (const double rise : bench.run.noise.equal_rises) add(found, specimen, reference, directions, rise);
    }
    return found;
  }

  static void add(Found& found, Specimen<Model>& specimen, const std::vector<double>& reference,
                  const std::vector<InjectedDirection>& directions, double rise) {
    Bench<Model>& bench = specimen.bench;
    std::vector<Vector<double>> steps;
    double energy = 0, predicted = 0;
    for (const InjectedDirection& d : directions) {
      steps.push_back(d.step(rise));
      energy += steps.back().squaredNorm(), predicted += std::copysign(rise, d.curvature);
    }
    const double count = double(steps.size());
    NoiseRise r{std::nan(""), std::nan("")};
    if (!steps.empty())
      r = antithetic_rise(bench.objective, bench.source.curvature, specimen.wide.data(), bench.positions, reference,
                          steps);
    bench.watch(2 * count * bench.evaluation_flops(bench.source.curvature), "injection", Work::done);
    found.energy.push_back(energy / count), found.predicted.push_back(predicted / count);
    found.delta.push_back(r.delta_nats), found.delta_se.push_back(r.standard_error_nats);
  }
};

}  // namespace

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> injection_instrument() {
  return std::make_unique<InjectionInstrument<Model>>();
}

template std::unique_ptr<Instrument<Transformer>> injection_instrument();
template std::unique_ptr<Instrument<Mlp>> injection_instrument();

}  // namespace hone::experiments
