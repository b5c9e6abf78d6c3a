#include "experiments/instruments/factorial.hpp"

#include <array>
#include <cmath>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/specimen.hpp"
#include "experiments/study/build.hpp"
#include "sim/base/mean.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "sim/quantize/weights.hpp"

namespace hone::experiments {
namespace {

/// Bits of weights, activations and keys with values.
std::vector<std::array<int, 3>> factorial_cells(const RunSpec& run) {
  const QuantizeSpec& q = run.quantize;
  std::vector<std::array<int, 3>> cells;
  const std::vector<std::int64_t> kv_bits = run.model.kind == "mlp" ? std::vector<std::int64_t>{} : q.factorial_kv;
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

template <template <class> class Model>
class FactorialInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return schema::Factorial::group; }
  bool is_on(const RunSpec& run) const override { return !factorial_cells(run).empty(); }
  double flops(const RunSpec& run, Index parameters) const override {
    return double(factorial_cells(run).size()) * evaluation_flops(run, parameters);
  }
  /// Not measured, the row holds NaN: all checkpoints of a file have the same cells.
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    const bool is_measured = specimen.moment.is_last || specimen.bench.run.quantize.factorial_at == "all";
    std::vector<std::int64_t> w_bits, a_bits, kv_bits;
    std::vector<double> delta, delta_se;
    for (const auto& [w, a, kv] : factorial_cells(specimen.bench.run)) {
      MeanEstimate d{std::nan(""), std::nan("")};
      if (is_measured) {
        const Precision precision = precision_of(specimen.bench.run.quantize, w, a, kv);
        const auto rounded =
            quantize_weights(specimen.theta.data(), specimen.bench.model.layout(), precision.weight).theta;
        d = paired_difference(specimen.bench.losses(rounded.data(), precision), specimen.reference);
      }
      w_bits.push_back(w), a_bits.push_back(a), kv_bits.push_back(kv);
      delta.push_back(d.mean), delta_se.push_back(d.standard_error);
    }
    set(group, schema::factorial.w_bits, w_bits);
    set(group, schema::factorial.a_bits, a_bits);
    set(group, schema::factorial.kv_bits, kv_bits);
    set_row(group, schema::factorial.delta_nats, delta);
    set_row(group, schema::factorial.delta_se_nats, delta_se);
  }
};

}  // namespace

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> factorial_instrument() {
  return std::make_unique<FactorialInstrument<Model>>();
}

template std::unique_ptr<Instrument<Transformer>> factorial_instrument();
template std::unique_ptr<Instrument<Mlp>> factorial_instrument();

}  // namespace hone::experiments
