#include "sim/quantize/guided.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"

namespace hone {
namespace {

/// As in calibration.cpp, but fewer: each lane holds all matrices of the model.
constexpr Index lanes = 4;

/// Input of a weight and adjoint of its output within one chunk.
template <class S>
struct LinearSite {
  std::string block;
  Block<S> input, adjoint;
};

template <class S>
std::vector<LinearSite<S>> linear_sites(const TransformerOptions& options, const TransformerActs<S>& x,
                                        const TransformerActs<S>& dx) {
  std::vector<LinearSite<S>> sites;
  for (int l = 0; l < int(options.layers); ++l) {
    const auto& a = x.layers[static_cast<size_t>(l)];
    const auto& d = dx.layers[static_cast<size_t>(l)];
    const auto add = [&](const char* name, Block<S> input, Block<S> adjoint) {
      sites.push_back({fmt::format("layers.{}.{}", l, name), input, adjoint});
    };
    add("wq", a.norm1, d.q), add("wk", a.norm1, d.k), add("wv", a.norm1, d.v), add("wo", a.wo_input(), d.mid);
    for (Index e = 0; e < options.experts; ++e) {
      const auto rows = [&](const Block<S>& block) { return expert_rows(block, a.routing, e); };
      const auto add_expert = [&](const char* name, const Block<S>& input, const Block<S>& adjoint) {
        sites.push_back({fmt::format("layers.{}.experts.{}.{}", l, e, name), rows(input), rows(adjoint)});
      };
      add_expert("w_gate", a.routed, d.gate), add_expert("w_up", a.routed, d.up);
      add_expert("w_down", a.act, d.expert_out);
    }
    if (options.experts > 0) continue;
    if (options.mlp == MlpKind::swiglu) add("w_gate", a.norm2, d.gate);
    add("w_up", a.norm2, options.mlp == MlpKind::swiglu ? d.up : d.gate);
    add("w_down", a.down_input(), dx.layers[static_cast<size_t>(l) + 1].in);
  }
  return sites;
}

/// √ of the mean squared adjoint of outputs [first, end) for each token.
template <class S>
Vector<S> token_weights(ConstMatRef<S> g, Index first, Index end) {
  return (g.middleCols(first, end - first).template cast<double>().rowwise().squaredNorm() / double(end - first))
      .cwiseSqrt()
      .template cast<S>();
}

/// Replaces the targets of a chunk by draws from the model's own distribution; token t of the set takes draw t.
template <class S>
void draw_targets(TransformerActs<S>& x, std::uint64_t seed, Index first_token) {
  const Stream stream{seed, Domain::label, 0};
  for (Index m = 0; m < x.probs.rows; ++m) {
    const S* probs = x.probs.data + m * x.probs.cols;
    const double u = uniform(stream, static_cast<std::uint64_t>(first_token + m));
    double below = 0;
    Index v = 0;
    while (v + 1 < x.probs.cols && (below += double(probs[v])) <= u) ++v;
    x.targets[static_cast<size_t>(m)] = static_cast<std::uint16_t>(v);
  }
}

template <class S>
using BlockSums = std::vector<GramSum<S>>;

/// Sums of one lane over its chunks.
template <class S>
struct GuidedLane {
  std::vector<BlockSums<S>> blocks;
  std::vector<Index> tokens;  ///< of each block

  void add(const std::vector<LinearSite<S>>& sites, Index wanted) {
    if (blocks.empty())
      for (const LinearSite<S>& site : sites)
        blocks.emplace_back(static_cast<size_t>(std::min(wanted, site.adjoint.cols)), GramSum<S>(site.input.cols));
    tokens.resize(sites.size(), 0);
    for (size_t i = 0; i < sites.size(); ++i) {
      tokens[i] += (sites[i].adjoint.view().array() != S(0)).rowwise().any().count();
      const Index outputs = sites[i].adjoint.cols, groups = static_cast<Index>(blocks[i].size());
      for (Index k = 0; k < groups; ++k) {
        const Vector<S> weights =
            token_weights<S>(sites[i].adjoint, row_group(outputs, groups, k), row_group(outputs, groups, k + 1));
        const Matrix<S> weighted = weights.asDiagonal() * sites[i].input.view();
        blocks[i][static_cast<size_t>(k)].add(weighted);
      }
    }
  }
};

}  // namespace

Index row_group(Index rows, Index groups, Index k) { return k * rows / groups; }

GptqResult gptq_guided(ConstMatRef<double> w, const std::vector<Matrix<double>>& grams, const GptqOptions& options) {
  const Index groups = static_cast<Index>(grams.size());
  EXPECTS(groups >= 1 && groups <= w.rows(), "gptq_guided: {} Gram matrices for {} rows", groups, w.rows());
  if (options.quantizer.granularity == Granularity::tensor)
    throw OptionError("gptq.quantizer.granularity = 'tensor' shares a step across groups of rows; use row or group");
  if (options.act_order && options.quantizer.granularity == Granularity::group)
    throw OptionError("gptq.act_order = true orders each group of rows its own way; use granularity row with it");
  GptqResult all;
  all.q.resize(w.rows(), w.cols());
  for (Index k = 0; k < groups; ++k) {
    const Index first = row_group(w.rows(), groups, k), count = row_group(w.rows(), groups, k + 1) - first;
    const GptqResult part = gptq(w.middleRows(first, count), grams[static_cast<size_t>(k)], options);
    if (k == 0) {
      all.steps.resize(w.rows(), part.steps.cols());
      all.zero_points.resize(w.rows(), part.steps.cols());
      all.group_of_column = part.group_of_column;
    }
    all.q.middleRows(first, count) = part.q;
    all.steps.middleRows(first, count) = part.steps;
    all.zero_points.middleRows(first, count) = part.zero_points;
    all.row_losses.insert(all.row_losses.end(), part.row_losses.begin(), part.row_losses.end());
    all.loss += part.loss;
    all.damping_used = std::max(all.damping_used, part.damping_used);
    all.damping_retries = std::max(all.damping_retries, part.damping_retries);
    all.fell_back_to_rtn = all.fell_back_to_rtn || part.fell_back_to_rtn;
    if (part.dead_columns.size() > all.dead_columns.size()) all.dead_columns = part.dead_columns;
  }
  return all;
}

template <class S>
std::vector<GuidedStatistics> guided_statistics(const Transformer<S>& model, const S* theta, const TokenBatch& data,
                                                const GuidedOptions& options) {
  model.check(data);
  EXPECTS(options.groups >= 1, "guided: {} groups of outputs", options.groups);
  const ChunkPlan plan(model, data.sequences, options.chunks.rows);
  const Index used = std::min(lanes, plan.count());
  const size_t threads = static_cast<size_t>(options.chunks.threads);
  std::vector<ActsPool<Transformer<S>>> values(threads), adjoints(threads);
  std::vector<AlignedVector<S>> gradients(threads);
  std::vector<GuidedLane<S>> sums(static_cast<size_t>(used));
  parallel_for(used, options.chunks.threads, [&](Index lane, int worker) {
    const size_t own = static_cast<size_t>(worker);
    gradients[own].resize(static_cast<size_t>(model.layout().size()));
    for (Index c = lane; c < plan.count(); c += used) {
      auto& x = values[own].get(model, plan.size(c));
      auto& dx = adjoints[own].get(model, plan.size(c));
      model.forward(theta, data, plan.first(c), x, {});
      if (options.sampled_labels) draw_targets(x, *options.sampled_labels, plan.first(c) * data.positions);
      model.backward(theta, x, dx, S(1), gradients[own].data());
      sums[static_cast<size_t>(lane)].add(linear_sites<S>(model.options(), x, dx), options.groups);
    }
  });
  const auto names =
      linear_sites<S>(model.options(), values[0].get(model, plan.size(0)), adjoints[0].get(model, plan.size(0)));
  std::vector<GuidedStatistics> all;
  for (size_t i = 0; i < names.size(); ++i) {
    GuidedStatistics statistics{names[i].block, {}, 0};
    for (const GuidedLane<S>& lane : sums) statistics.tokens += lane.tokens[i];
    for (size_t k = 0; k < sums[0].blocks[i].size(); ++k) {
      for (size_t lane = 1; lane < sums.size(); ++lane) sums[0].blocks[i][k].add(sums[lane].blocks[i][k]);
      statistics.grams.push_back(sums[0].blocks[i][k].scaled(1 / double(data.sequences * data.positions)));
    }
    all.push_back(std::move(statistics));
  }
  return all;
}

template std::vector<GuidedStatistics> guided_statistics(const Transformer<float>&, const float*, const TokenBatch&,
                                                         const GuidedOptions&);
template std::vector<GuidedStatistics> guided_statistics(const Transformer<double>&, const double*, const TokenBatch&,
                                                         const GuidedOptions&);

}  // namespace hone
