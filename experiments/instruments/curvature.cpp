// The curvature part of the instruments: checks of the products, the certified spectrum, the spread between windows.
#include <cmath>
#include <memory>
#include <optional>

#include "experiments/instruments/instruments.hpp"
#include "experiments/instruments/journal.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/study/sources.hpp"
#include "sim/base/hash.hpp"
#include "sim/curvature/finite_difference.hpp"
#include "sim/quantize/weights.hpp"

namespace hone::experiments {
namespace {

constexpr std::uint32_t self_check_substream = 5u << 20;  ///< of Domain::probe, off those of the estimators

}  // namespace

template <template <class> class Model>
LinearOperator Instruments<Model>::watched(LinearOperator op, double flops) const {
  op.apply = [this, flops, inner = std::move(op.apply)](const Vector<double>& v, Vector<double>& result) {
    inner(v, result);
    watch_(flops, "curvature", Work::done);
  };
  op.apply_many = {};
  return op;
}

template <template <class> class Model>
CurvatureOptions Instruments<Model>::curvature_options(std::int64_t share) const {
  CurvatureOptions options;
  options.chunks = {run_.train.chunk_rows, threads_};
  options.cache_bytes = share > 0 ? (run_.measure.cache_mib << 20) / share : 0;
  return options;
}

/// 1 everywhere, step²/24 for each bit width, and the indicator of each quantizable matrix.
template <template <class> class Model>
std::vector<Vector<double>> Instruments<Model>::trace_weights(const std::vector<double>& theta,
                                                              std::vector<std::string>& blocks) const {
  const ParamLayout& layout = model_.layout();
  std::vector<Vector<double>> weights = {Vector<double>::Ones(Index(positions_.size()))};
  for (std::int64_t bits : run_.quantize.bits)
    weights.push_back(
        restricted(step2_per_parameter(theta.data(), layout, weight_quantizer(run_.quantize, int(bits)))) / 24);
  for (const ParamBlock& block : layout.blocks()) {
    if (!block.is_quantizable()) continue;
    std::vector<double> indicator(theta.size(), 0.0);
    std::fill_n(indicator.begin() + block.offset, block.size(), 1.0);
    weights.push_back(restricted(indicator));
    blocks.push_back(block.name);
  }
  return weights;
}

/// C0c against gradients in double, and η of the products: 0 where they are in double already.
template <template <class> class Model>
template <class S>
double Instruments<Model>::check_products(Linearization<Model<S>>& linear, const std::vector<double>& theta,
                                          std::vector<Certificate>& certificates) {
  const Model<double> wide(model_.options());
  const Vector<double> at = ConstVecView<double>(theta.data(), Index(theta.size()));
  Vector<double> v(at.size());
  for (Index i = 0; i < v.size(); ++i)
    v[i] = normal({std::uint64_t(run_.seed), Domain::probe, self_check_substream}, std::uint64_t(i));
  FiniteDifferenceOptions differences;
  differences.limit = std::is_same_v<S, double> ? 1e-8 : 1e-4;
  certificates.push_back(finite_difference_check(
      linear.hessian(), gradient_function(wide, source_.curvature, curvature_options(0).chunks), at, v, differences));
  watch_(double(differences.levels) * 2 * product_flops(), "checking products", Work::done);
  if (std::is_same_v<S, double>) return 0;
  Linearization<Model<double>> exact(wide, theta.data(), source_.curvature, curvature_options(0));
  watch_(4 * product_flops(), "checking products", Work::done);
  return noise_floor(restrict_to(linear.hessian(), positions_), restrict_to(exact.hessian(), positions_),
                     restricted(std::vector<double>(v.data(), v.data() + v.size())));
}

/// C5: the trace on each of a few disjoint parts of the curvature windows, the known pairs taken out of the noise.
template <template <class> class Model>
template <class S>
void Instruments<Model>::add_window_spread(const Model<S>& model, const std::vector<double>& theta, Spectrum& spectrum,
                                           Dataset& group) {
  const Index parts = run_.measure.windows, examples = Float::example_count(source_.curvature);
  std::vector<double> traces(size_t(parts), std::nan("")), errors = traces;
  if (parts >= 4 && examples >= parts) {
    std::vector<Data> data;
    for (Index w = 0; w < parts; ++w)
      data.push_back(slice(source_.curvature, w * examples / parts, (w + 1) * examples / parts - w * examples / parts));
    std::vector<std::unique_ptr<Linearization<Model<S>>>> linear;
    std::vector<LinearOperator> ops;
    for (const Data& d : data) {
      linear.push_back(std::make_unique<Linearization<Model<S>>>(model, theta.data(), d, curvature_options(parts)));
      ops.push_back(watched(restrict_to(linear.back()->hessian(), positions_), product_flops() / double(parts)));
    }
    const TraceOptions probes{window_probes, std::uint64_t(run_.seed)};
    const WindowSpread spread =
        between_windows(ops, [&](const LinearOperator& op) { return hutchinson_trace(op, probes, &spectrum.pairs); });
    for (size_t w = 0; w < spread.windows.size(); ++w)
      traces[w] = spread.windows[w].mean, errors[w] = spread.windows[w].standard_error;
    spectrum.certificates.push_back(certify_windows(spread).front());
  }
  group.set("window_trace", row("window", traces, "nats per squared unit", "trace on each part of the windows"));
  group.set("window_trace_se", row("window", errors, "nats per squared unit", "its standard error over probes"));
}

template <template <class> class Model>
template <class S>
typename Instruments<Model>::Curvature Instruments<Model>::curvature(const std::vector<double>& theta,
                                                                     const std::vector<Vector<double>>& errors,
                                                                     Dataset& group) {
  const Model<S> model(model_.options());
  Linearization<Model<S>> linear(model, theta.data(), source_.curvature, curvature_options(1));
  Curvature found;
  std::vector<Certificate> checks;
  const double floor = check_products<S>(linear, theta, checks);
  LinearOperator op = watched(restrict_to(linear.hessian(), positions_), product_flops());
  std::optional<ProductJournal> journal;
  if (!journal_path_.empty()) {
    const std::string identity = journal_identity(theta, linear.gradient());
    op = journal.emplace(journal_path_, identity, op.size).keep(std::move(op), [this] {
      watch_(product_flops(), "curvature", Work::taken_over);
    });
  }
  std::vector<std::string> blocks;
  const auto weights = trace_weights(theta, blocks);
  Spectrum& spectrum = found.spectrum;
  spectrum = measure_spectrum(op, run_.measure, std::uint64_t(run_.seed), floor, weights);
  spectrum.certificates.insert(spectrum.certificates.begin(), checks.begin(), checks.end());
  const Vector<double> gradient =
      restricted(std::vector<double>(linear.gradient().data(), linear.gradient().data() + linear.size()));
  Vector<double> product;
  for (const Vector<double>& e : errors) {
    op.apply(e, product);
    found.quadratic.push_back(0.5 * e.dot(product));
  }
  add_window_spread<S>(model, theta, spectrum, group);
  add_spectrum_rows(spectrum, run_.measure, group);
  const auto predicted = spectrum.traces.begin() + 1, block = predicted + std::ptrdiff_t(run_.quantize.bits.size());
  found.predicted.assign(predicted, block);
  std::vector<double> block_trace, block_se;
  for (auto t = block; t != spectrum.traces.end(); ++t)
    block_trace.push_back(t->mean), block_se.push_back(t->standard_error);
  group.set("block", vector_variable("block", blocks, "1", "quantizable matrix"));
  group.set("block_trace", row("block", block_trace, "nats", "trace of the Hessian on one matrix"));
  group.set("block_trace_se", row("block", block_se, "nats", "its standard error over probes"));
  using Doubles = std::vector<double>;
  group.set_attribute("windows_sha256", sha256_of(source_.curvature));
  group.set("noise_floor", row(Doubles{floor}, "1", "relative rounding of float32 products; 0 in float64"));
  group.set("loss_nats", row(Doubles{linear.loss_nats()}, "nats", "mean loss on the curvature windows"));
  group.set("gradient_norm", row(Doubles{gradient.norm()}, "nats per unit", "gradient on the quantizable block"));
  certificates_ = spectrum.certificates;
  return found;
}

/// The program, the parameters, and the gradient in the products' own precision: it depends on every window, option and
/// chunk that the products depend on, also on those of an imported model that no study option names.
template <template <class> class Model>
std::string Instruments<Model>::journal_identity(const std::vector<double>& theta,
                                                 const Vector<double>& gradient) const {
  static const std::string program = sha256_of_file("/proc/self/exe");
  return fmt::format("{} {} {} {}", program, run_.measure.precision,
                     sha256(theta.data(), theta.size() * sizeof(double)),
                     sha256(gradient.data(), size_t(gradient.size()) * sizeof(double)));
}

template <template <class> class Model>
std::int64_t Instruments<Model>::memory_bytes() const {
  const MeasureSpec& m = run_.measure;
  const Index examples = Float::example_count(source_.curvature), parameters = model_.layout().size();
  const Model<double> wide(model_.options());
  const auto plan = [&](Index count, std::int64_t share) {
    const CurvatureOptions options = curvature_options(share);
    return m.precision == "float64" ? plan_memory(wide, count, options).bytes()
                                    : plan_memory(model_, count, options).bytes();
  };
  // The check of the products holds partial gradients and a second linearization in double, and frees them.
  const std::int64_t check =
      plan_memory(wide, examples, curvature_options(0)).bytes() + 8 * (chunks_per_wave + 4) * parameters;
  const std::int64_t windows = m.windows > 0 ? m.windows * plan((examples + m.windows - 1) / m.windows, m.windows) : 0;
  const std::int64_t bits = std::int64_t(run_.quantize.bits.size()), size = std::int64_t(positions_.size());
  const std::int64_t vectors =
      8 * size * (2 * bits + 4 + std::int64_t(model_.layout().blocks().size())) + 4 * parameters * (bits + 2);
  return plan(examples, 1) + std::max(check, windows + spectrum_bytes(m, Index(size))) + vectors;
}

#define HONE_CURVATURE_OF(Model)                                                                                      \
  template LinearOperator Instruments<Model>::watched(LinearOperator, double) const;                                  \
  template CurvatureOptions Instruments<Model>::curvature_options(std::int64_t) const;                                \
  template std::vector<Vector<double>> Instruments<Model>::trace_weights(const std::vector<double>&,                  \
                                                                         std::vector<std::string>&) const;            \
  template std::string Instruments<Model>::journal_identity(const std::vector<double>&, const Vector<double>&) const; \
  template std::int64_t Instruments<Model>::memory_bytes() const;                                                     \
  template Instruments<Model>::Curvature Instruments<Model>::curvature<float>(                                        \
      const std::vector<double>&, const std::vector<Vector<double>>&, Dataset&);                                      \
  template Instruments<Model>::Curvature Instruments<Model>::curvature<double>(                                       \
      const std::vector<double>&, const std::vector<Vector<double>>&, Dataset&);
HONE_CURVATURE_OF(Transformer)
HONE_CURVATURE_OF(Mlp)
#undef HONE_CURVATURE_OF

}  // namespace hone::experiments
