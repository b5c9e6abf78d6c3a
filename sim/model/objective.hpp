// Loss and gradient of a model over a token set, by fixed chunks of examples on any number of threads.
// The chunks and the order of their sums are fixed by the options, so one thread and many give equal bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/parallel.hpp"
#include "sim/base/vector_ops.hpp"
#include "sim/model/params.hpp"
#include "sim/model/precision.hpp"

namespace hone {

/// How a set is cut and on how many threads it is worked.
struct ChunkOptions {
  Index rows = 256;  ///< loss rows (tokens) per chunk, rounded to whole examples; part of the result's last bits
  int threads = 1;   ///< never part of the result
};

/// Chunks whose partial sums, of `bytes` each, are kept at a time: up to 16 within 1 GiB, and one for each thread. Partial
/// sums are added in the order of the chunks, so this does not change any result.
inline Index chunks_at_once(std::int64_t bytes, int threads) {
  constexpr std::int64_t most = 16, budget = std::int64_t(1) << 30;
  return std::max<Index>(threads, std::min(most, budget / std::max<std::int64_t>(1, bytes)));
}

/// Examples [first, first+count) of chunk i.
struct ChunkPlan {
  Index examples = 0, per_chunk = 1;

  template <class Model>
  ChunkPlan(const Model& model, Index example_count, Index rows)
      : examples(example_count), per_chunk(std::max<Index>(1, rows / model.rows_per_example())) {}
  Index count() const { return (examples + per_chunk - 1) / per_chunk; }
  Index first(Index chunk) const { return chunk * per_chunk; }
  Index size(Index chunk) const { return std::min(per_chunk, examples - first(chunk)); }
};

/// Activations of one worker, made at first use for whole chunks and once more for a ragged last one.
template <class Model>
class ActsPool {
 public:
  using Acts = typename Model::Acts;
  Acts& get(const Model& model, Index examples) {
    for (auto& acts : pool_)
      if (acts->sequences == examples) return *acts;
    pool_.push_back(std::make_unique<Acts>(model.make_acts(examples)));
    return *pool_.back();
  }
  std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (const auto& acts : pool_) sum += acts->bytes();
    return sum;
  }

 private:
  std::vector<std::unique_ptr<Acts>> pool_;
};

/// The adjoints that training follows: those of the model's auxiliary losses too, where it has any.
template <class Model, class S, class Acts>
void training_backward(const Model& model, const S* theta, const Acts& x, Acts& dx, S weight, S* dtheta) {
  if constexpr (requires { model.training_backward(theta, x, dx, weight, dtheta); })
    model.training_backward(theta, x, dx, weight, dtheta);
  else
    model.backward(theta, x, dx, weight, dtheta);
}

/// Mean loss and its gradient over a set.
template <class Model>
class Objective {
 public:
  using Scalar = typename Model::Scalar;
  using S = Scalar;
  using Data = typename Model::Data;
  using Acts = typename Model::Acts;

  Objective(const Model& model, ChunkOptions options)
      : model_(model), options_(options), values_(size_t(options.threads)), adjoints_(size_t(options.threads)) {
    EXPECTS(options.threads >= 1 && options.rows >= 1, "objective: {} threads, {} rows", options.threads, options.rows);
  }

  /// Mean nats per token of every example at the given precision, in example order.
  std::vector<double> example_losses(const S* theta, const Data& data, const Precision& precision = {}) {
    const ChunkPlan plan(model_, Model::example_count(data), options_.rows);
    const Index rows = model_.rows_per_example();
    std::vector<double> losses(size_t(plan.examples));
    parallel_for(plan.count(), options_.threads, [&](Index chunk, int worker) {
      auto& x = values_[size_t(worker)].get(model_, plan.size(chunk));
      model_.forward(theta, data, plan.first(chunk), x, precision);
      for (Index e = 0; e < x.sequences; ++e) {
        double sum = 0;
        for (Index r = 0; r < rows; ++r) sum += double(x.row_loss.data[e * rows + r]);
        losses[size_t(plan.first(chunk) + e)] = sum / double(rows);
      }
    });
    return losses;
  }

  /// Mean nats per token.
  double value(const S* theta, const Data& data, const Precision& precision = {}) {
    const std::vector<double> losses = example_losses(theta, data, precision);
    double sum = 0;
    for (double loss : losses) sum += loss;
    return sum / double(losses.size());
  }

  /// gradient = d(mean loss)/dtheta (P), auxiliary losses of training included; returns the mean loss without them.
  /// Straight-through at quantizers.
  /// cost  6 flops per parameter and token
  double gradient(const S* theta, const Data& data, S* gradient, const Precision& precision = {}) {
    const S weight = S(1 / double(Model::example_count(data) * model_.rows_per_example()));
    return sum_over_chunks(data, gradient, [&](Index first, Acts& x, Acts& dx, S* part, int) {
      const double sum = model_.forward(theta, data, first, x, precision);
      training_backward(model_, theta, x, dx, weight, part);
      return sum;
    });
  }

  /// result = H v, H the Hessian of the mean loss over the set, auxiliary losses left out. For one product on a batch
  /// of its own; a Linearization shares the work of many on one set.
  /// shapes  theta, v, result (P)
  /// cost    18 flops per parameter and token
  /// source  Pearlmutter 1994
  void hessian_product(const S* theta, const S* v, const Data& data, S* result) {
    const S weight = S(1 / double(Model::example_count(data) * model_.rows_per_example()));
    tangents_.resize(values_.size()), tangent_adjoints_.resize(values_.size());
    sum_over_chunks(data, result, [&](Index first, Acts& x, Acts& dx, S* part, int worker) {
      const double sum = model_.forward(theta, data, first, x, Precision{});
      model_.backward(theta, x, dx, weight, part);
      std::fill_n(part, model_.layout().size(), S(0));  // the gradient itself is not wanted
      Acts& tx = tangents_[size_t(worker)].get(model_, x.sequences);
      Acts& tdx = tangent_adjoints_[size_t(worker)].get(model_, x.sequences);
      model_.tforward(theta, v, x, tx);
      model_.tbackward(theta, v, x, dx, tx, tdx, weight, part);
      return sum;
    });
  }

  /// The frame of `gradient` for other losses: pass(first, x, dx, part, worker) works on the x.sequences examples from
  /// `first` on, adds to part (P), which starts at 0, and returns the sum of its row losses.
  /// ensures  gradient = sum of the parts; returns the mean of the row losses
  template <class Pass>
  double sum_over_chunks(const Data& data, S* gradient, Pass&& pass) {
    const ChunkPlan plan(model_, Model::example_count(data), options_.rows);
    const Index size = model_.layout().size();
    const double total_rows = double(plan.examples * model_.rows_per_example());
    std::vector<double> sums(size_t(plan.count()));
    std::fill_n(gradient, size, S(0));
    const Index at_once = chunks_at_once(size * std::int64_t(sizeof(S)), options_.threads);
    for (Index wave = 0; wave < plan.count(); wave += at_once) {
      const Index count = std::min(at_once, plan.count() - wave);
      reserve_partials(count, size);
      parallel_for(count, options_.threads, [&](Index i, int worker) {
        const Index chunk = wave + i;
        auto& x = values_[size_t(worker)].get(model_, plan.size(chunk));
        auto& dx = adjoints_[size_t(worker)].get(model_, plan.size(chunk));
        AlignedVector<S>& part = partials_[size_t(i)];
        std::fill(part.begin(), part.end(), S(0));
        sums[size_t(chunk)] = pass(plan.first(chunk), x, dx, part.data(), worker);
      });
      for (Index i = 0; i < count; ++i) add_to<S>(gradient, partials_[size_t(i)].data(), size);
    }
    double sum = 0;
    for (double s : sums) sum += s;
    return sum / total_rows;
  }

  const Model& model() const { return model_; }
  const ParamLayout& layout() const { return model_.layout(); }
  const ChunkOptions& options() const { return options_; }

 private:
  void reserve_partials(Index count, Index size) {
    while (Index(partials_.size()) < count) partials_.emplace_back(size_t(size));
  }

  const Model& model_;
  ChunkOptions options_;
  std::vector<ActsPool<Model>> values_, adjoints_, tangents_, tangent_adjoints_;
  std::vector<AlignedVector<S>> partials_;
};

}  // namespace hone
