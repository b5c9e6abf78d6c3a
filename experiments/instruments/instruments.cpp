#include "experiments/instruments/instruments.hpp"

#include <array>
#include <cmath>

#include "experiments/instruments/rows.hpp"
#include "experiments/study/sources.hpp"
#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"
#include "sim/curvature/finite_difference.hpp"
#include "sim/perturb/noise.hpp"
#include "sim/quantize/paired.hpp"
#include "sim/quantize/weights.hpp"
#include "sim/train/checkpoint.hpp"

namespace hone::experiments {
template <template <class> class Model>
Instruments<Model>::Instruments(const RunSpec& run, const Float& model, const Source<Data>& source, int threads,
                                Watch watch)
    : run_(run),
      model_(model),
      source_(source),
      threads_(threads),
      watch_(std::move(watch)),
      objective_(model, {run.train.chunk_rows, threads}),
      positions_(model.layout().quantizable_indices()) {}

template <template <class> class Model>
Vector<double> Instruments<Model>::restricted(const std::vector<double>& full) const {
  Vector<double> part(Index(positions_.size()));
  for (size_t i = 0; i < positions_.size(); ++i) part[Index(i)] = full[size_t(positions_[i])];
  return part;
}

template <template <class> class Model>
std::vector<double> Instruments<Model>::losses(const float* theta, const Precision& precision) {
  std::vector<double> losses = objective_.example_losses(theta, source_.evaluation, precision);
  watch_(evaluation_flops(source_.evaluation), "quantizing", Work::done);
  return losses;
}

template <template <class> class Model>
Vector<double> Instruments<Model>::residual_error(const std::vector<double>& theta) const {
  const auto q = weight_quantizer(run_.quantize, int(run_.noise.residual_bits));
  const auto rounded = quantize_weights(theta.data(), model_.layout(), q).theta;
  std::vector<double> error(theta.size());
  for (size_t i = 0; i < theta.size(); ++i) error[i] = rounded[i] - theta[i];
  return restricted(error);
}

template <template <class> class Model>
Rows Instruments<Model>::measure(const AlignedVector<float>& theta, const Moment& moment) {
  Rows rows;
  const std::vector<double> wide(theta.begin(), theta.end());
  reference_ = losses(theta.data(), Precision{});
  const MeanEstimate loss = mean_with_error(reference_);
  if (!std::isfinite(loss.mean) || !restricted(wide).allFinite()) return rows;
  Dataset& points = rows["checkpoints"];
  using Ints = std::vector<std::int64_t>;
  using Doubles = std::vector<double>;
  using Strings = std::vector<std::string>;
  points.set("step", row(Ints{moment.step}, "updates", "updates done, cooldown included"));
  points.set("tokens", row(Ints{moment.tokens}, "tokens", "training tokens seen (examples for an mlp)"));
  points.set("variant", row(Strings{moment.variant}, "1", "trunk, ema, lawa, or the name of a branch"));
  points.set("kind", row(Strings{moment.kind}, "1", "trunk, average, cooldown, tuned or lowered"));
  points.set("branched_at", row(Ints{moment.branched_at}, "tokens", "of the trunk where a branch left it"));
  points.set("lr", row(Doubles{moment.lr}, "1", "learning rate of the last update"));
  points.set("loss_nats", row(Doubles{loss.mean}, "nats", "mean held-out loss at full precision"));
  points.set("loss_se_nats", row(Doubles{loss.standard_error}, "nats", "its standard error over windows"));
  points.set("weight_norm2", row(Doubles{restricted(wide).squaredNorm()}, "1", "sum of squared quantizable weights"));
  points.set("theta_sha256", row(Strings{parameter_hash(theta)}, "1", "hash of the parameters"));

  std::vector<AlignedVector<float>> quantized;
  std::vector<Vector<double>> errors;
  for (std::int64_t bits : run_.quantize.bits) {
    quantized.push_back(
        quantize_weights(theta.data(), model_.layout(), weight_quantizer(run_.quantize, int(bits))).theta);
    std::vector<double> error(wide.size());
    for (size_t i = 0; i < wide.size(); ++i) error[i] = double(quantized.back()[i]) - wide[i];
    errors.push_back(restricted(error));
  }
  errors.push_back(residual_error(wide));
  Curvature found = run_.measure.precision == "float64" ? curvature<double>(wide, errors, rows["curvature"])
                                                        : curvature<float>(wide, errors, rows["curvature"]);
  const double residual_quadratic = found.quadratic.back();
  add_damage(theta, quantized, first_order(wide, errors), found, rows["ptq"]);
  if (!factorial_cells().empty())
    add_factorial(theta, moment.is_last || run_.quantize.factorial_at == "all", rows["factorial"]);
  if (shifted_ != nullptr) add_shift(theta, quantized, rows["shift"]);
  add_noise(wide, found, errors.back(), residual_quadratic, rows["noise"]);
  return rows;
}

/// g·e with the gradient on the evaluation windows, those of the damage: the first order is noise of the windows, which
/// other windows do not predict.
template <template <class> class Model>
std::vector<double> Instruments<Model>::first_order(const std::vector<double>& theta,
                                                    const std::vector<Vector<double>>& errors) {
  const Model<double> wide(model_.options());
  Vector<double> gradient;
  gradient_function(wide, source_.evaluation, curvature_options(0).chunks)(
      ConstVecView<double>(theta.data(), Index(theta.size())), gradient);
  watch_(3 * evaluation_flops(source_.evaluation), "gradient", Work::done);
  const Vector<double> part = restricted(std::vector<double>(gradient.data(), gradient.data() + gradient.size()));
  std::vector<double> products;
  for (const Vector<double>& e : errors) products.push_back(part.dot(e));
  return products;
}

template <template <class> class Model>
void Instruments<Model>::add_damage(const AlignedVector<float>& theta,
                                    const std::vector<AlignedVector<float>>& quantized,
                                    const std::vector<double>& first_order, const Curvature& found, Dataset& group) {
  std::vector<double> delta, delta_se, predicted, predicted_se, step2, mse, stored;
  const std::vector<double> wide(theta.begin(), theta.end());
  const double count = double(positions_.size());
  for (size_t i = 0; i < quantized.size(); ++i) {
    const Quantizer q = weight_quantizer(run_.quantize, int(run_.quantize.bits[i]));
    const PairedDifference d = paired_difference(losses(quantized[i].data(), Precision{}), reference_);
    delta.push_back(d.mean_nats), delta_se.push_back(d.standard_error_nats);
    predicted.push_back(found.predicted[i].mean), predicted_se.push_back(found.predicted[i].standard_error);
    step2.push_back(restricted(step2_per_parameter(wide.data(), model_.layout(), q)).sum() / count);
    double squares = 0;
    for (Index p : positions_) squares += std::pow(double(quantized[i][size_t(p)]) - wide[size_t(p)], 2);
    mse.push_back(squares / count);
    stored.push_back(quantize_weights(wide.data(), model_.layout(), q).bits_per_weight);
  }
  group.set("bits", vector_variable("bits", run_.quantize.bits, "bits",
                                    "nominal bits of a weight, " + run_.quantize.grid + " grid"));
  const auto set = [&](const char* name, std::vector<double> values, const char* unit, const char* meaning) {
    group.set(name, row("bits", std::move(values), unit, meaning));
  };
  set("delta_nats", delta, "nats", "loss at rounded weights minus loss, same windows");
  set("delta_se_nats", delta_se, "nats", "its standard error over windows");
  set("predicted_nats", predicted, "nats", "zero-parameter prediction 1/24 sum_c step_c^2 tr(H_cc)");
  set("predicted_se_nats", predicted_se, "nats", "its standard error over probes");
  const auto per_width = [&](const std::vector<double>& all) {
    return std::vector<double>(all.begin(), all.begin() + std::ptrdiff_t(quantized.size()));
  };
  set("gradient_nats", per_width(first_order), "nats", "first-order term g'e of the real rounding error e");
  set("quadratic_nats", per_width(found.quadratic), "nats", "second-order term e'He/2 of the real rounding error");
  set("mean_step2", step2, "1", "mean squared step over quantized weights");
  set("mse", mse, "1", "mean squared rounding error");
  set("bits_per_weight", stored, "bits", "storage per weight with 16-bit scales");
}

template <template <class> class Model>
void Instruments<Model>::add_shift(const AlignedVector<float>& theta,
                                   const std::vector<AlignedVector<float>>& quantized, Dataset& group) {
  const auto losses_at = [&](const AlignedVector<float>& weights) {
    watch_(evaluation_flops(*shifted_), "other data", Work::done);
    return objective_.example_losses(weights.data(), *shifted_);
  };
  const std::vector<double> reference = losses_at(theta);
  std::vector<double> delta, delta_se;
  for (const AlignedVector<float>& weights : quantized) {
    const PairedDifference d = paired_difference(losses_at(weights), reference);
    delta.push_back(d.mean_nats), delta_se.push_back(d.standard_error_nats);
  }
  const MeanEstimate loss = mean_with_error(reference);
  group.set_attribute("data", run_.model.shifted_data);
  group.set("bits", vector_variable("bits", run_.quantize.bits, "bits", "nominal bits of a weight, as in /ptq"));
  group.set("loss_nats", row(std::vector{loss.mean}, "nats", "mean loss on held-out windows of the other data"));
  group.set("loss_se_nats", row(std::vector{loss.standard_error}, "nats", "its standard error over windows"));
  group.set("delta_nats", row("bits", delta, "nats", "loss at rounded weights minus loss, same windows"));
  group.set("delta_se_nats", row("bits", delta_se, "nats", "its standard error over windows"));
}

template <template <class> class Model>
std::vector<std::array<int, 3>> Instruments<Model>::factorial_cells() const {
  const QuantizeSpec& q = run_.quantize;
  std::vector<std::array<int, 3>> cells;
  const std::vector<std::int64_t> kv_bits = run_.model.kind == "mlp" ? std::vector<std::int64_t>{} : q.factorial_kv;
  const bool is_full = q.factorial == "full" && !kv_bits.empty();
  for (std::int64_t w : q.factorial_w)
    for (std::int64_t a : q.factorial_a)
      for (std::int64_t kv : is_full ? kv_bits : std::vector<std::int64_t>{16})
        cells.push_back({int(w), int(a), int(kv)});
  for (std::int64_t kv : is_full ? std::vector<std::int64_t>{} : kv_bits) {
    cells.push_back({16, 16, int(kv)});
    if (kv < 16) cells.push_back({int(kv), int(kv), int(kv)});
  }
  return cells;
}

/// Not measured, the row holds NaN: all checkpoints of a file have the same cells.
template <template <class> class Model>
void Instruments<Model>::add_factorial(const AlignedVector<float>& theta, bool is_measured, Dataset& group) {
  std::vector<std::int64_t> w_bits, a_bits, kv_bits;
  std::vector<double> delta, delta_se;
  for (const auto& [w, a, kv] : factorial_cells()) {
    PairedDifference d{std::nan(""), std::nan("")};
    if (is_measured) {
      const Precision precision = precision_of(run_.quantize, w, a, kv);
      const auto rounded = quantize_weights(theta.data(), model_.layout(), precision.weight).theta;
      d = paired_difference(losses(rounded.data(), precision), reference_);
    }
    w_bits.push_back(w), a_bits.push_back(a), kv_bits.push_back(kv);
    delta.push_back(d.mean_nats), delta_se.push_back(d.standard_error_nats);
  }
  group.set("w_bits", vector_variable("cell", w_bits, "bits", "weights; 16 = not quantized"));
  group.set("a_bits", vector_variable("cell", a_bits, "bits", "inputs of the linears; 16 = not quantized"));
  group.set("kv_bits", vector_variable("cell", kv_bits, "bits", "keys and values; 16 = not quantized"));
  group.set("delta_nats", row("cell", delta, "nats", "loss in this cell minus full precision, same windows"));
  group.set("delta_se_nats", row("cell", delta_se, "nats", "its standard error over windows"));
}

template <template <class> class Model>
void Instruments<Model>::add_noise(const std::vector<double>& theta, const Curvature& found,
                                   const Vector<double>& residual, double residual_quadratic, Dataset& group) {
  // Noise is measured on the windows of the Hessian, so that only the order of the expansion is tested.
  const std::vector<double> reference =
      objective_.example_losses(AlignedVector<float>(theta.begin(), theta.end()).data(), source_.curvature);
  const NoiseOptions options{int(run_.noise.draws), std::uint64_t(run_.seed)};
  const double size = double(positions_.size()), trace = std::max(found.spectrum.traces[0].mean, 1e-30);
  const Basis top = found.spectrum.top_vectors();
  const Vector<double> top_values = found.spectrum.top_values();
  std::vector<std::string> names;
  std::vector<double> energies, delta, delta_se, predicted;
  for (double rise : run_.noise.rises) energies.push_back(2 * rise * size / trace);
  for (Subspace subspace : all_subspaces) {
    names.emplace_back(name_of(subspace));
    for (double energy : energies) {
      const NoiseRise r = measure_noise(objective_, source_.curvature, theta.data(), positions_, reference, subspace,
                                        top, energy, options);
      watch_(2.0 * double(options.draws) * evaluation_flops(source_.curvature), "noise", Work::done);
      delta.push_back(r.delta_nats), delta_se.push_back(r.standard_error_nats);
      predicted.push_back(predicted_rise(subspace, energy, top_values, trace, Index(positions_.size())));
    }
  }
  const std::int64_t amplitudes = std::int64_t(energies.size()), subspaces = std::int64_t(names.size());
  group.set("subspace", vector_variable("subspace", names, "1", "where the noise lives"));
  group.set("energy", row("amplitude", energies, "1", "squared norm of the noise"));
  const auto set = [&](const char* name, std::vector<double> values, const char* meaning) {
    group.set(name, row({"subspace", "amplitude"}, {subspaces, amplitudes}, std::move(values), "nats", meaning));
  };
  set("delta_nats", delta, "mean loss rise over antithetic pairs");
  set("delta_se_nats", delta_se, "its standard error over draws and windows");
  set("predicted_nats", predicted, "second-order expectation, energy tr(PH)/(2 dim)");
  group.set("residual_share", row(std::vector<double>{residual_share(top, residual)}, "1",
                                  "norm share of the rounding error in the top eigenvectors"));
  group.set("null_share", row(std::vector<double>{std::sqrt(double(top_values.size()) / size)}, "1",
                              "root mean square share of a random direction"));
  const Vector<double> along = top.transpose() * residual;
  const double top_quadratic = 0.5 * top_values.dot(along.cwiseAbs2());
  group.set("curvature_share", row(std::vector<double>{top_quadratic / residual_quadratic}, "1",
                                   "share of the rounding error's e'He/2 in the top eigenvectors"));
  group.set("curvature_null_share", row(std::vector<double>{top_values.sum() / trace}, "1",
                                        "that share of a random error: sum of top eigenvalues over trace"));
}

template <template <class> class Model>
double Instruments<Model>::evaluation_flops(const Data& data) const {
  return 2.0 * double(model_.layout().size()) * double(Float::example_count(data) * model_.rows_per_example());
}

template <template <class> class Model>
double Instruments<Model>::product_flops() const {
  return 6.0 * evaluation_flops(source_.curvature) * (run_.measure.precision == "float64" ? 2 : 1);
}

template class Instruments<Transformer>;
template class Instruments<Mlp>;

}  // namespace hone::experiments
