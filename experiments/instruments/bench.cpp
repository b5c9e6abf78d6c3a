#include "experiments/instruments/bench.hpp"

#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"

namespace hone::experiments {

template <template <class> class Model>
Bench<Model>::Bench(const RunSpec& run_spec, const Float& float_model, const Source<Data>& data, int thread_count,
                    Watch report)
    : run(run_spec),
      model(float_model),
      source(data),
      threads(thread_count),
      watch(std::move(report)),
      objective(float_model, {run_spec.train.chunk_rows, thread_count}),
      positions(float_model.layout().quantizable_indices()) {}

template <template <class> class Model>
Vector<double> Bench<Model>::restricted(const std::vector<double>& full) const {
  Vector<double> part(Index(positions.size()));
  for (size_t i = 0; i < positions.size(); ++i) part[Index(i)] = full[size_t(positions[i])];
  return part;
}

template <template <class> class Model>
std::vector<double> Bench<Model>::losses(const float* theta, const Precision& precision) {
  std::vector<double> losses = losses_on(source.evaluation, theta, precision);
  watch((run.measure.losses == "float64" ? 2 : 1) * evaluation_flops(source.evaluation), "quantizing", Work::done);
  return losses;
}

template <template <class> class Model>
std::vector<double> Bench<Model>::losses_on(const Data& windows, const float* theta, const Precision& precision) {
  if (run.measure.losses != "float64") return objective.example_losses(theta, windows, precision);
  if (!wide_) {
    wide_model_ = std::make_unique<Model<double>>(model.options());
    wide_ = std::make_unique<Objective<Model<double>>>(*wide_model_, ChunkOptions{run.train.chunk_rows, threads});
  }
  const AlignedVector<double> exact(theta, theta + model.layout().size());
  return wide_->example_losses(exact.data(), windows, precision);
}

template <template <class> class Model>
double Bench<Model>::evaluation_flops(const Data& data) const {
  return 2.0 * double(model.layout().size()) * double(Float::example_count(data) * model.rows_per_example());
}

template <template <class> class Model>
double Bench<Model>::product_flops() const {
  return 6.0 * evaluation_flops(source.curvature) * (run.measure.precision == "float64" ? 2 : 1);
}

template <template <class> class Model>
CurvatureOptions Bench<Model>::curvature_options(std::int64_t share) const {
  CurvatureOptions options;
  options.chunks = {run.train.chunk_rows, threads};
  options.cache_bytes = share > 0 ? (run.measure.cache_mib << 20) / share : 0;
  options.panel = 1;  // instruments multiply one vector at a time
  return options;
}

template struct Bench<Transformer>;
template struct Bench<Mlp>;

}  // namespace hone::experiments
