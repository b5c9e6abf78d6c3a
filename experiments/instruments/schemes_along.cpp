#include "experiments/instruments/schemes_along.hpp"

#include <cmath>
#include <type_traits>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/draws.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/scheme_table.hpp"
#include "experiments/instruments/specimen.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/scheme.hpp"
#include "sim/curvature/directional.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"

namespace hone::experiments {
namespace {

/// Roundings of one scheme at one width.
std::int64_t draws_of(const Scheme& scheme, const QuantizeSpec& spec) {
  return scheme.coordinates == Coordinates::rotated ? std::max(spec.rotations, spec.draws) : spec.draws;
}

struct SchemeWindows {
  const TokenBatch& evaluation;
  const TokenBatch& curvature;
  TokenBatch calibration, other;
};

SchemeWindows windows_of(const Bench<Transformer>& bench) {
  const Index calibration = bench.run.quantize.calibration_windows, other = bench.run.measure.curvature_windows;
  const TokenBatch first = first_training_windows(bench.source, calibration + other);
  return {bench.source.evaluation, bench.source.curvature, slice(first, 0, calibration),
          slice(first, calibration, other)};
}

/// One rounding: what it changes on each evaluation window, and its second order in nats.
struct Rounding {
  std::vector<double> change, slope;
  double quadratic = 0, quadratic_other = 0, bits_per_weight = 0;
};

/// The full-precision model in the coordinates of a scheme.
class Frame {
 public:
  Frame(TransformerOptions options, AlignedVector<float> theta, const SchemeWindows& windows,
        const CurvatureOptions& curvature)
      : options_(std::move(options)),
        theta_(std::move(theta)),
        model_(options_),
        wide_(theta_.begin(), theta_.end()),
        own_(model_, wide_.data(), windows.curvature, curvature),
        other_(model_, wide_.data(), windows.other, curvature),
        windows_(windows),
        curvature_(curvature),
        losses_(losses(theta_)) {}

  const TransformerOptions& options() const { return options_; }
  const AlignedVector<float>& theta() const { return theta_; }

  const std::vector<MeanEstimate>& block_traces(std::uint64_t seed) {
    if (traces_.empty()) traces_ = scheme_block_traces(model_, wide_, windows_.calibration, curvature_, seed);
    return traces_;
  }

  Rounding measure(const AlignedVector<float>& quantized) {
    AlignedVector<float> error = quantized;
    for (size_t i = 0; i < error.size(); ++i) error[i] -= theta_[i];
    Rounding r;
    r.change = losses(quantized);
    for (size_t w = 0; w < r.change.size(); ++w) r.change[w] -= losses_[w];
    r.slope = example_slopes(model_, theta_.data(), {error}, windows_.evaluation, curvature_.chunks)[0];
    const Vector<double> e = ConstVecView<float>(error.data(), Index(error.size())).cast<double>();
    Vector<double> he;
    own_.hessian_product(e, he);
    r.quadratic = 0.5 * e.dot(he);
    other_.hessian_product(e, he);
    r.quadratic_other = 0.5 * e.dot(he);
    return r;
  }

 private:
  std::vector<double> losses(const AlignedVector<float>& theta) const {
    return Objective<Transformer<float>>(model_, curvature_.chunks).example_losses(theta.data(), windows_.evaluation);
  }

  TransformerOptions options_;
  AlignedVector<float> theta_;
  Transformer<float> model_;
  std::vector<double> wide_;
  Linearization<Transformer<float>> own_, other_;
  const SchemeWindows& windows_;
  CurvatureOptions curvature_;
  std::vector<double> losses_;
  std::vector<MeanEstimate> traces_;
};

/// One scheme at one width with all its roundings.
struct Entry {
  Scheme scheme;
  std::int64_t bits = 0;
  std::vector<Rounding> roundings;
};

std::vector<Entry> entries_of(const QuantizeSpec& spec, const ParamLayout& layout) {
  std::vector<Entry> entries;
  for (const std::string& name : spec.schemes) {
    const Scheme scheme = scheme_from_name(name);
    for (const std::int64_t bits : scheme.widths(spec.scheme_bits, layout)) entries.push_back({scheme, bits, {}});
  }
  return entries;
}

Rounding round_once(const Entry& entry, Frame& frame, const SchemeInput& input, const SchemeWindows& windows,
                    const CurvatureOptions& curvature, std::int64_t draw) {
  QuantizedModel m = quantize_by(
      entry.scheme, int(entry.bits), frame.options(), frame.theta(), input,
      [&]() -> const std::vector<MeanEstimate>& { return frame.block_traces(input.seed); }, draw);
  const bool has_own_coordinates = m.reference != frame.theta();  // AWQ's scales depend on the width
  Rounding r = has_own_coordinates ? Frame(m.options, std::move(m.reference), windows, curvature).measure(m.theta)
                                   : frame.measure(m.theta);
  r.bits_per_weight = m.bits_per_weight;
  return r;
}

/// Numbers of a draw are those of no other draw and no other checkpoint of the run.
std::uint64_t seed_of(const Specimen<Transformer>& specimen, std::int64_t draw) {
  constexpr std::uint64_t draws_max = 1000;  // of QuantizeSpec
  const std::uint64_t place = std::uint64_t(specimen.moment.step) * draws_max + std::uint64_t(draw);
  return std::uint64_t(specimen.bench.run.seed) + (place << 32);
}

std::vector<Entry> measure_entries(Specimen<Transformer>& specimen, double flops_each) {
  const Bench<Transformer>& bench = specimen.bench;
  const QuantizeSpec& spec = bench.run.quantize;
  const SchemeWindows windows = windows_of(bench);
  const CurvatureOptions curvature = bench.curvature_options(2);
  std::vector<Entry> entries = entries_of(spec, bench.model.layout());
  const auto measure_at = [&](Coordinates at, std::int64_t draw) {
    const SchemeInput input{bench.model.options(),   specimen.theta,  windows.calibration, spec,
                            seed_of(specimen, draw), curvature.chunks};
    const Parametrization p = change_coordinates(at, input);
    Frame frame(p.options, p.rounded_to_float(), windows, curvature);
    for (Entry& entry : entries)
      if (entry.scheme.coordinates == at && draw < draws_of(entry.scheme, spec)) {
        entry.roundings.push_back(round_once(entry, frame, input, windows, curvature, draw));
        bench.watch(flops_each, "scheme " + entry.scheme.name, Work::done);
      }
  };
  for (const Coordinates at : {Coordinates::given, Coordinates::smoothed, Coordinates::rotated}) {
    std::int64_t draws = 0;
    for (const Entry& entry : entries)
      if (entry.scheme.coordinates == at) draws = draws_of(entry.scheme, spec);
    for (std::int64_t draw = 0; draw < draws; ++draw) measure_at(at, draw);
  }
  return entries;
}

/// Means over the roundings of one entry.
struct Summary {
  MeanEstimate delta;
  double remainder_se = 0, gradient = 0, quadratic = 0, quadratic_other = 0, bits_per_weight = 0;
};

Summary summarize(const std::vector<Rounding>& roundings) {
  const std::vector<double> none(roundings.front().change.size(), 0.0);
  std::vector<std::vector<double>> changes, remainders;
  Summary s;
  const double count = double(roundings.size());
  for (const Rounding& r : roundings) {
    changes.push_back(r.change), remainders.push_back(r.change);
    for (size_t w = 0; w < r.slope.size(); ++w) remainders.back()[w] -= r.slope[w];
    s.gradient += mean_with_error(r.slope).mean / count;
    s.quadratic += r.quadratic / count, s.quadratic_other += r.quadratic_other / count;
    s.bits_per_weight += r.bits_per_weight / count;
  }
  s.delta = change_over_draws(changes, none);
  s.remainder_se = change_over_draws(remainders, none).standard_error;
  return s;
}

void add_entries(Dataset& group, const std::vector<Entry>& entries) {
  std::vector<std::string> names;
  std::vector<std::int64_t> bits, draws;
  std::vector<Summary> summaries;
  for (const Entry& e : entries) {
    names.push_back(e.scheme.name), bits.push_back(e.scheme.has_ladder() ? e.bits : 0);
    draws.push_back(std::int64_t(e.roundings.size()));
    summaries.push_back(summarize(e.roundings));
  }
  constexpr const schema::SchemesAlong& f = schema::schemes_along;
  set(group, f.scheme, names);
  set(group, f.bits, bits);
  set(group, f.draws, draws);
  const auto put = [&](const Field<double>& field, auto&& read) {
    std::vector<double> values;
    for (const Summary& s : summaries) values.push_back(read(s));
    set_row(group, field, std::move(values));
  };
  using S = const Summary&;
  put(f.bits_per_weight, [](S s) { return s.bits_per_weight; });
  put(f.delta_nats, [](S s) { return s.delta.mean; });
  put(f.delta_se_nats, [](S s) { return s.delta.standard_error; });
  put(f.remainder_se_nats, [](S s) { return s.remainder_se; });
  put(f.gradient_nats, [](S s) { return s.gradient; });
  put(f.quadratic_nats, [](S s) { return s.quadratic; });
  put(f.quadratic_other_nats, [](S s) { return s.quadratic_other; });
}

double rounding_flops(const RunSpec& run, Index parameters) {
  return 4 * evaluation_flops(run, parameters) +
         2 * double(run.measure.curvature_windows) * window_product_flops(run, parameters) +
         4 * double(run.quantize.calibration_windows) * window_flops(run, parameters);
}

template <template <class> class Model>
class SchemesAlongInstrument : public Instrument<Model> {
  static constexpr bool has_schemes = std::is_same_v<Model<float>, Transformer<float>>;

 public:
  std::string group() const override { return schema::SchemesAlong::group; }
  bool is_on(const RunSpec& run) const override {
    return has_schemes && run.quantize.schemes_at == "every" && !run.quantize.schemes.empty();
  }
  double flops(const RunSpec& run, Index parameters) const override {
    double roundings = 0;
    for (const std::string& name : run.quantize.schemes) {
      const Scheme scheme = scheme_from_name(name);
      const double widths = scheme.has_ladder() ? double(run.quantize.scheme_bits.size()) : 1;
      roundings += widths * double(draws_of(scheme, run.quantize));
    }
    return roundings * rounding_flops(run, parameters);
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    if constexpr (has_schemes)
      add_entries(group, measure_entries(specimen, rounding_flops(specimen.bench.run, Index(specimen.theta.size()))));
    else
      EXPECTS(false, "schemes of quantization on a perceptron: group {}", group.attributes().size());
  }
};

}  // namespace

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> schemes_along_instrument() {
  return std::make_unique<SchemesAlongInstrument<Model>>();
}

template std::unique_ptr<Instrument<Transformer>> schemes_along_instrument();
template std::unique_ptr<Instrument<Mlp>> schemes_along_instrument();

}  // namespace hone::experiments
