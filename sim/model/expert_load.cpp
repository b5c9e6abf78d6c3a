#include "sim/model/expert_load.hpp"

namespace hone {

template <class S>
Matrix<Index> expert_loads(const Transformer<S>& model, const S* theta, const TokenBatch& data,
                           const Precision& precision, const ChunkOptions& options) {
  const TransformerOptions& o = model.options();
  EXPECTS(o.experts > 0, "expert_loads: a model without experts");
  model.check(data);
  const ChunkPlan plan(model, data.sequences, options.rows);
  std::vector<Matrix<Index>> parts(static_cast<size_t>(plan.count()), Matrix<Index>(o.layers, o.experts));
  std::vector<ActsPool<Transformer<S>>> acts(static_cast<size_t>(options.threads));
  parallel_for(plan.count(), options.threads, [&](Index c, int worker) {
    auto& x = acts[static_cast<size_t>(worker)].get(model, plan.size(c));
    model.forward(theta, data, plan.first(c), x, precision);
    for (Index l = 0; l < o.layers; ++l)
      for (Index e = 0; e < o.experts; ++e)
        parts[static_cast<size_t>(c)](l, e) = x.layers[static_cast<size_t>(l)].routing.load(e);
  });
  Matrix<Index> loads = Matrix<Index>::Zero(o.layers, o.experts);
  for (const Matrix<Index>& part : parts) loads += part;
  return loads;
}

double load_imbalance(const Matrix<Index>& loads, Index layer) {
  return static_cast<double>(loads.row(layer).maxCoeff()) * static_cast<double>(loads.cols()) /
         static_cast<double>(loads.row(layer).sum());
}

template Matrix<Index> expert_loads(const Transformer<float>&, const float*, const TokenBatch&, const Precision&,
                                    const ChunkOptions&);
template Matrix<Index> expert_loads(const Transformer<double>&, const double*, const TokenBatch&, const Precision&,
                                    const ChunkOptions&);

}  // namespace hone
