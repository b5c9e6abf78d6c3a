// The slope of every example's loss along a direction, from one tangent pass: the first-order term of a perturbation,
// example by example.
#pragma once

#include <vector>

#include "sim/curvature/fisher.hpp"
#include "sim/model/objective.hpp"

namespace hone {

/// d/dt of each example's mean loss at θ + t v, t = 0, for several directions v.
/// math     slope of row r = s_r·(J v)_r, s = dl/dz the score at the label; its mean over the rows of the example
/// shapes   theta and each direction (P); result[j] has one entry per example
/// units    nats per token when v is a step in θ
/// ensures  equal bits for any thread count; the mean over examples is the gradient times v up to rounding
/// cost     a forward pass, and per direction two
/// source   forward-mode differentiation (Wengert 1964)
template <class Model>
std::vector<std::vector<double>> example_slopes(const Model& model, const typename Model::Scalar* theta,
                                                const std::vector<AlignedVector<typename Model::Scalar>>& directions,
                                                const typename Model::Data& data, ChunkOptions options) {
  using S = typename Model::Scalar;
  const ChunkPlan plan(model, Model::example_count(data), options.rows);
  const Index rows = model.rows_per_example();
  std::vector<std::vector<double>> slopes(directions.size(), std::vector<double>(size_t(plan.examples)));
  std::vector<ActsPool<Model>> values(size_t(options.threads)), tangents(size_t(options.threads));
  parallel_for(plan.count(), options.threads, [&](Index chunk, int worker) {
    auto& x = values[size_t(worker)].get(model, plan.size(chunk));
    auto& tx = tangents[size_t(worker)].get(model, plan.size(chunk));
    model.forward(theta, data, plan.first(chunk), x, Precision{});
    for (size_t j = 0; j < directions.size(); ++j) {
      model.tforward(theta, directions[j].data(), x, tx);
      const Block<S> scores = tx.probs;  // no tangent pass writes probabilities
      data_scores(model, x, scores);
      for (Index e = 0; e < x.sequences; ++e) {
        const Index begin = e * rows * scores.cols, count = rows * scores.cols;
        const ConstVecView<S> score(scores.data + begin, count), tangent(tx.logits.data + begin, count);
        slopes[j][size_t(plan.first(chunk) + e)] =
            score.template cast<double>().dot(tangent.template cast<double>()) / double(rows);
      }
    }
  });
  return slopes;
}

}  // namespace hone
