#include "experiments/instruments/curvature.hpp"

#include <cmath>
#include <memory>
#include <optional>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/journal.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/specimen.hpp"
#include "experiments/study/build.hpp"
#include "sim/base/hash.hpp"
#include "sim/curvature/finite_difference.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "sim/quantize/rounding_variance.hpp"

namespace hone::experiments {
namespace {

constexpr std::uint32_t self_check_substream = 5u << 20;  ///< of Domain::probe, off those of the estimators

template <template <class> class Model>
LinearOperator watched(LinearOperator op, double flops, const Bench<Model>& bench) {
  op.apply = [&bench, flops, inner = std::move(op.apply)](const Vector<double>& v, Vector<double>& result) {
    inner(v, result);
    bench.watch(flops, "curvature", Work::done);
  };
  op.apply_many = {};
  return op;
}

/// 1 everywhere, half the variance of the rounding for each bit width, and 1 on each quantizable matrix.
template <template <class> class Model>
std::vector<DiagonalWeight> trace_weights(const Bench<Model>& bench, const std::vector<double>& theta,
                                          std::vector<std::string>& blocks) {
  const ParamLayout& layout = bench.model.layout();
  const Index size = Index(bench.positions.size());
  std::vector<DiagonalWeight> weights = {{0, size}};
  for (std::int64_t bits : bench.run.quantize.bits) {
    const Quantizer quantizer = weight_quantizer(bench.run.quantize, int(bits));
    weights.push_back({0, size, bench.restricted(rounding_variance(theta.data(), layout, quantizer)) / 2});
  }
  Index first = 0;
  for (const ParamBlock& block : layout.blocks()) {
    if (!block.is_quantizable()) continue;
    weights.push_back({first, block.size()});
    blocks.push_back(block.name);
    first += block.size();
  }
  return weights;
}

FiniteDifferenceOptions differences_for(const std::string& precision) {
  FiniteDifferenceOptions differences;
  differences.limit = precision == "float64" ? 1e-8 : 1e-4;
  return differences;
}

/// The gradient in double as a function of the quantizable parameters, the others being those of theta.
/// expects  model and bench outlive the function
template <template <class> class Model>
GradientFunction quantizable_gradient(const Bench<Model>& bench, const Model<double>& model,
                                      const std::vector<double>& theta) {
  const GradientFunction of_all = gradient_function(model, bench.source.curvature, bench.curvature_options(0).chunks);
  Vector<double> point = ConstVecView<double>(theta.data(), Index(theta.size()));
  return
      [&bench, of_all, point, whole = Vector<double>()](const Vector<double>& part, Vector<double>& gradient) mutable {
        for (Index i = 0; i < part.size(); ++i) point[bench.positions[size_t(i)]] = part[i];
        of_all(point, whole);
        gradient.resize(part.size());
        for (Index i = 0; i < part.size(); ++i) gradient[i] = whole[bench.positions[size_t(i)]];
      };
}

/// C0c against gradients in double, and η of the products: 0 where they are in double already.
template <class S, template <class> class Model>
double check_products(const Bench<Model>& bench, Linearization<Model<S>>& linear, const std::vector<double>& theta,
                      std::vector<Certificate>& certificates) {
  const Model<double> wide(bench.model.options());
  const LinearOperator measured = restrict_to(linear.quantizable_hessian(), bench.positions);
  Vector<double> v(measured.size);
  for (Index i = 0; i < v.size(); ++i)
    v[i] = normal({std::uint64_t(bench.run.seed), Domain::probe, self_check_substream},
                  std::uint64_t(bench.positions[size_t(i)]));
  const FiniteDifferenceOptions differences = differences_for(bench.run.measure.precision);
  certificates.push_back(finite_difference_check(measured, quantizable_gradient(bench, wide, theta),
                                                 bench.restricted(theta), v, differences));
  bench.watch(double(differences.levels) * 2 * bench.product_flops(), "checking products", Work::done);
  if (std::is_same_v<S, double>) return 0;
  Linearization<Model<double>> exact(wide, theta.data(), bench.source.curvature, bench.curvature_options(0));
  bench.watch(4 * bench.product_flops(), "checking products", Work::done);
  return noise_floor(measured, restrict_to(exact.quantizable_hessian(), bench.positions), v);
}

/// C5: the trace on each of a few disjoint parts of the curvature windows, the known pairs taken out of the noise.
template <class S, template <class> class Model>
void add_window_spread(const Bench<Model>& bench, const Model<S>& model, const std::vector<double>& theta,
                       Curvature& found) {
  Spectrum& spectrum = found.spectrum;
  const Index parts = bench.run.measure.windows, examples = Bench<Model>::Float::example_count(bench.source.curvature);
  std::vector<double>&traces = found.window_traces, &errors = found.window_errors;
  traces.assign(size_t(parts), std::nan("")), errors = traces;
  if (parts >= 4 && examples >= parts) {
    const TraceOptions probes{window_probes, std::uint64_t(bench.run.seed)};
    const WindowSpread spread = between_windows(parts, [&](Index w) {
      const Index first = w * examples / parts, end = (w + 1) * examples / parts;
      const auto data = slice(bench.source.curvature, first, end - first);
      Linearization<Model<S>> linear(model, theta.data(), data, bench.curvature_options(1));
      const LinearOperator op = watched(restrict_to(linear.quantizable_hessian(), bench.positions),
                                        bench.product_flops() / double(parts), bench);
      return hutchinson_trace(op, probes, &spectrum.pairs);
    });
    for (size_t w = 0; w < spread.windows.size(); ++w)
      traces[w] = spread.windows[w].mean, errors[w] = spread.windows[w].standard_error;
    spectrum.certificates.push_back(certify_windows(spread).front());
  }
}

/// The program, the parameters, and the gradient in the products' own precision: it depends on every window, option and
/// chunk that the products depend on, also on those of an imported model that no study option names.
template <template <class> class Model>
std::string journal_identity(const Bench<Model>& bench, const std::vector<double>& theta,
                             const Vector<double>& gradient) {
  static const std::string program = sha256_of_file("/proc/self/exe");
  return fmt::format("{} {} {} {}", program, bench.run.measure.precision,
                     sha256(theta.data(), theta.size() * sizeof(double)),
                     sha256(gradient.data(), size_t(gradient.size()) * sizeof(double)));
}

/// All that the products on the whole set of windows give; what they hold is free afterwards.
template <class S, template <class> class Model>
Curvature on_all_windows(const Bench<Model>& bench, const Model<S>& model, const std::vector<double>& theta,
                         const RoundingErrors& errors) {
  Linearization<Model<S>> linear(model, theta.data(), bench.source.curvature, bench.curvature_options(1));
  Curvature found;
  std::vector<Certificate> checks;
  found.noise_floor = check_products<S>(bench, linear, theta, checks);
  LinearOperator op = watched(restrict_to(linear.quantizable_hessian(), bench.positions), bench.product_flops(), bench);
  std::optional<ProductJournal> journal;
  if (!bench.journal.empty()) {
    const std::string identity = journal_identity(bench, theta, linear.gradient());
    const Index size = op.size;
    op = journal.emplace(bench.journal, identity, size).keep(std::move(op), [&bench] {
      bench.watch(bench.product_flops(), "curvature", Work::taken_over);
    });
  }
  Spectrum& spectrum = found.spectrum;
  spectrum = measure_spectrum(op, bench.run.measure, std::uint64_t(bench.run.seed), found.noise_floor,
                              trace_weights(bench, theta, found.blocks));
  spectrum.certificates.insert(spectrum.certificates.begin(), checks.begin(), checks.end());
  Vector<double> product;
  for (std::int64_t i = 0; i < errors.count; ++i) {
    const Vector<double> e = errors.at(i);
    op.apply(e, product);
    found.quadratic.push_back(0.5 * e.dot(product));
  }
  found.loss_nats = linear.loss_nats();
  found.gradient_norm =
      bench.restricted(std::vector<double>(linear.gradient().data(), linear.gradient().data() + linear.size())).norm();
  return found;
}

template <class S, template <class> class Model>
Curvature curvature_in(const Bench<Model>& bench, const std::vector<double>& theta, const RoundingErrors& errors) {
  const Model<S> model(bench.model.options());
  Curvature found = on_all_windows<S>(bench, model, theta, errors);
  add_window_spread<S>(bench, model, theta, found);
  const auto predicted = found.spectrum.traces.begin() + 1,
             block = predicted + std::ptrdiff_t(bench.run.quantize.bits.size());
  found.predicted.assign(predicted, block);
  found.block_traces.assign(block, found.spectrum.traces.end());
  return found;
}

template <template <class> class Model>
class SpectrumInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return schema::Curvature::group; }
  double flops(const RunSpec& run, Index parameters) const override {
    return moment_products(run) * window_product_flops(run, parameters) * double(run.measure.curvature_windows);
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    const Curvature& found = specimen.curvature();
    constexpr const schema::Curvature& f = schema::curvature;
    set_row(group, f.window_trace, found.window_traces);
    set_row(group, f.window_trace_se, found.window_errors);
    add_spectrum_rows(found.spectrum, specimen.bench.run.measure, group);
    std::vector<double> block_trace, block_se;
    for (const TraceEstimate& t : found.block_traces)
      block_trace.push_back(t.mean), block_se.push_back(t.standard_error);
    set(group, f.block, found.blocks);
    set_row(group, f.block_trace, block_trace);
    set_row(group, f.block_trace_se, block_se);
    set(group, f.windows_sha256, sha256_of(specimen.bench.source.curvature));
    set_row(group, f.noise_floor, {found.noise_floor});
    set_row(group, f.loss_nats, {found.loss_nats});
    set_row(group, f.gradient_norm, {found.gradient_norm});
  }
};

}  // namespace

template <template <class> class Model>
Curvature measure_curvature(const Bench<Model>& bench, const std::vector<double>& theta, const RoundingErrors& errors) {
  return bench.run.measure.precision == "float64" ? curvature_in<double>(bench, theta, errors)
                                                  : curvature_in<float>(bench, theta, errors);
}

template <template <class> class Model>
std::int64_t curvature_bytes(const Bench<Model>& bench) {
  const MeasureSpec& m = bench.run.measure;
  const Index examples = Bench<Model>::Float::example_count(bench.source.curvature),
              parameters = bench.model.layout().size();
  const Model<double> wide(bench.model.options());
  const CurvatureOptions options = bench.curvature_options(1);
  const std::int64_t products = m.precision == "float64" ? plan_memory(wide, examples, options).bytes()
                                                         : plan_memory(bench.model, examples, options).bytes();
  const std::int64_t size = std::int64_t(bench.positions.size()), bits = std::int64_t(bench.run.quantize.bits.size());
  // The second linearization in double, or gradients in double with point, copy, sum and result.
  const std::int64_t checks = plan_memory(wide, examples, bench.curvature_options(0)).bytes() + 32 * parameters +
                              finite_difference_bytes(differences_for(m.precision), Index(size));
  // Probe, product, sample and what is known exactly; the embedded vector and its product.
  const std::int64_t vectors = 8 * (size * (bits + 5) + 2 * parameters);
  const std::int64_t estimates = spectrum_bytes(m, Index(size)) + vectors;
  const std::int64_t slopes = bench.run.quantize.roundings() * 4 * parameters;  // of the damage, after the curvature
  const std::int64_t always = 12 * parameters + 16 * size;  // the parameters, and the places of the quantizable
  return always + std::max(products + std::max(checks, estimates), slopes + products);
}

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> spectrum_instrument() {
  return std::make_unique<SpectrumInstrument<Model>>();
}

template Curvature measure_curvature(const Bench<Transformer>&, const std::vector<double>&, const RoundingErrors&);
template Curvature measure_curvature(const Bench<Mlp>&, const std::vector<double>&, const RoundingErrors&);
template std::int64_t curvature_bytes(const Bench<Transformer>&);
template std::int64_t curvature_bytes(const Bench<Mlp>&);
template std::unique_ptr<Instrument<Transformer>> spectrum_instrument();
template std::unique_ptr<Instrument<Mlp>> spectrum_instrument();

}  // namespace hone::experiments
