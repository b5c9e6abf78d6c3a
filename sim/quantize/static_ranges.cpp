#include "sim/quantize/static_ranges.hpp"

namespace hone {

template <class S>
std::vector<StepRange> static_ranges(const Transformer<S>& model, const S* theta, const TokenBatch& calibration,
                                     const Quantizer& q, double percentile, const ChunkOptions& options) {
  model.check(calibration);
  const ChunkPlan plan(model, calibration.sequences, options.rows);
  const auto layers = size_t(model.options().layers);
  std::vector<RangeObserver> observers(4 * layers, RangeObserver(percentile));
  // Waves of one chunk per thread; the observers then see the chunks in their order.
  std::vector<ActsPool<Transformer<S>>> pools(size_t(options.threads));
  for (Index wave = 0; wave < plan.count(); wave += options.threads) {
    const Index count = std::min<Index>(options.threads, plan.count() - wave);
    parallel_for(count, options.threads, [&](Index i, int) {
      auto& x = pools[size_t(i)].get(model, plan.size(wave + i));
      model.forward(theta, calibration, plan.first(wave + i), x, {});
    });
    for (Index i = 0; i < count; ++i) {
      auto& x = pools[size_t(i)].get(model, plan.size(wave + i));
      for (size_t l = 0; l < layers; ++l) {
        for (size_t site = 0; site < 4; ++site)
          observers[4 * l + site].template observe<S>(x.layers[l].input(linear_inputs[site]).view());
      }
    }
  }
  std::vector<StepRange> ranges;
  for (const RangeObserver& observer : observers) ranges.push_back(observer.template range<S>(q));
  return ranges;
}

template std::vector<StepRange> static_ranges(const Transformer<float>&, const float*, const TokenBatch&,
                                              const Quantizer&, double, const ChunkOptions&);
template std::vector<StepRange> static_ranges(const Transformer<double>&, const double*, const TokenBatch&,
                                              const Quantizer&, double, const ChunkOptions&);

}  // namespace hone
