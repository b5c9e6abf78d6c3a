#include "sim/quantize/output_change.hpp"

#include "sim/base/parallel.hpp"
#include "sim/layers/next_token.hpp"

namespace hone {
namespace {

struct RowChange {
  double reference_loss = 0, changed_loss = 0, kl = 0, same_top = 0;
};

template <class S>
void add_row(RowChange& sum, const TransformerActs<S>& a, const TransformerActs<S>& b, Index row) {
  const Index vocabulary = a.logits.cols;
  const auto top = [&](const TransformerActs<S>& x) {
    return likeliest<S>(ConstVecView<S>(x.logits.data + row * vocabulary, vocabulary));
  };
  sum.reference_loss += double(a.row_loss.data[row]);
  sum.changed_loss += double(b.row_loss.data[row]);
  sum.kl += row_divergence(a, b, row);
  sum.same_top += top(a) == top(b);
}

}  // namespace

template <class S>
double row_divergence(const TransformerActs<S>& reference, const TransformerActs<S>& changed, Index row) {
  const auto target = Index(reference.targets[size_t(row)]);
  const Index vocabulary = reference.logits.cols;
  const S* p = reference.probs.data + row * vocabulary;
  const S* za = reference.logits.data + row * vocabulary;
  const S* zb = changed.logits.data + row * vocabulary;
  const double loss_a = double(reference.row_loss.data[row]), loss_b = double(changed.row_loss.data[row]);
  const double shift = (double(zb[target]) + loss_b) - (double(za[target]) + loss_a);
  double kl = 0;
  for (Index v = 0; v < vocabulary; ++v) kl += double(p[v]) * (double(za[v]) - double(zb[v]) + shift);
  return kl;
}

template <class S>
OutputChange compare_outputs(const PreciseModel<S>& reference, const PreciseModel<S>& changed, const TokenBatch& data,
                             const ChunkOptions& options) {
  EXPECTS(reference.model.options().vocabulary == changed.model.options().vocabulary &&
              reference.model.options().positions == changed.model.options().positions,
          "comparison of models with vocabularies of {} and {} and contexts of {} and {}",
          reference.model.options().vocabulary, changed.model.options().vocabulary, reference.model.options().positions,
          changed.model.options().positions);
  using Pool = ActsPool<Transformer<S>>;
  const ChunkPlan plan(reference.model, data.sequences, options.rows);
  const Index positions = data.positions;
  std::vector<Pool> pools(size_t(options.threads) * 2);
  std::vector<double> before(size_t(data.sequences)), after(before), kl(before), same(before);
  parallel_for(plan.count(), options.threads, [&](Index chunk, int worker) {
    auto& a = pools[size_t(worker) * 2].get(reference.model, plan.size(chunk));
    auto& b = pools[size_t(worker) * 2 + 1].get(changed.model, plan.size(chunk));
    reference.model.forward(reference.theta, data, plan.first(chunk), a, reference.precision);
    changed.model.forward(changed.theta, data, plan.first(chunk), b, changed.precision);
    for (Index e = 0; e < plan.size(chunk); ++e) {
      RowChange sum;
      for (Index t = 0; t < positions; ++t) add_row(sum, a, b, e * positions + t);
      const auto window = size_t(plan.first(chunk) + e);
      before[window] = sum.reference_loss / double(positions);
      after[window] = sum.changed_loss / double(positions);
      kl[window] = sum.kl / double(positions);
      same[window] = sum.same_top / double(positions);
    }
  });
  return {paired_difference(after, before), mean_with_error(kl), mean_with_error(same), mean_with_error(before).mean};
}

template double row_divergence(const TransformerActs<float>&, const TransformerActs<float>&, Index);
template double row_divergence(const TransformerActs<double>&, const TransformerActs<double>&, Index);
template OutputChange compare_outputs(const PreciseModel<float>&, const PreciseModel<float>&, const TokenBatch&,
                                      const ChunkOptions&);
template OutputChange compare_outputs(const PreciseModel<double>&, const PreciseModel<double>&, const TokenBatch&,
                                      const ChunkOptions&);

}  // namespace hone
