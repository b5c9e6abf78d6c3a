#include "sim/quantize/long_context.hpp"

#include <algorithm>
#include <cmath>

#include "sim/layers/next_token.hpp"

namespace hone {
namespace {

/// Windows decoded at a time: what bounds the memory of the caches.
constexpr Index windows_at_once = 32;

/// ln Σ exp z, in double.
template <class S>
double log_sum_exp(ConstVecView<S> logits) {
  const double top = double(logits.maxCoeff());
  double sum = 0;
  for (Index i = 0; i < logits.size(); ++i) sum += std::exp(double(logits[i]) - top);
  return std::log(sum) + top;
}

/// KL(p ‖ q) of two softmax laws, nats.
template <class S>
double divergence(ConstVecView<S> p, ConstVecView<S> q) {
  const double log_p = log_sum_exp(p), log_q = log_sum_exp(q);
  double sum = 0;
  for (Index i = 0; i < p.size(); ++i) {
    const double a = double(p[i]) - log_p;
    sum += std::exp(a) * (a - (double(q[i]) - log_q));
  }
  return sum;
}

template <class S>
ConstVecView<S> row_of(const Matrix<S>& logits, Index row) {
  return ConstVecView<S>(logits.data() + row * logits.cols(), logits.cols());
}

/// Decodes all windows and calls read(window, position, logits, target) for each of their tokens.
template <class S, class Read>
void for_each_prediction(const DecodingVariant<S>& variant, const TokenBatch& windows, Read&& read) {
  EXPECTS(windows.sequences >= 1 && windows.positions >= 1, "decoding {} windows of {} tokens", windows.sequences,
          windows.positions);
  for (Index first = 0; first < windows.sequences; first += windows_at_once) {
    const Index count = std::min(windows_at_once, windows.sequences - first);
    Decoder<S> decoder(variant.weights, variant.options, count);
    const auto window = [&](Index b) { return windows.tokens.data() + (first + b) * (windows.positions + 1); };
    std::vector<std::uint16_t> inputs;
    for (Index b = 0; b < count; ++b) inputs.insert(inputs.end(), window(b), window(b) + windows.positions);
    decoder.feed(inputs, [&](Index b, Index position, ConstVecView<S> logits) {
      read(first + b, position, logits, window(b)[position + 1]);
    });
  }
}

std::vector<double> row_means(const Matrix<double>& values, Index first, Index last) {
  std::vector<double> means;
  for (Index w = 0; w < values.rows(); ++w) {
    double sum = 0;
    for (Index t = first; t < last; ++t) sum += values(w, t);
    means.push_back(sum / double(last - first));
  }
  return means;
}

/// One decoder that generates: the logits of its next token and the tokens so far.
template <class S>
struct Run {
  Run(const DecodingVariant<S>& variant, const TokenBatch& prompts)
      : decoder(variant.weights, variant.options, prompts.sequences), logits(decoder.prefill(prompts.tokens)) {}

  void step(const std::vector<std::uint16_t>& tokens) { logits = decoder.step(tokens); }
  std::vector<std::uint16_t> choose(const Sampling& sampling, Index position) const {
    std::vector<std::uint16_t> tokens;
    for (Index b = 0; b < logits.rows(); ++b) {
      const ConstVecView<S> row = row_of(logits, b);
      const Stream stream{sampling.seed, Domain::sampling, std::uint32_t(b)};
      tokens.push_back(std::uint16_t(sampling.temperature > 0
                                         ? sampled(row, sampling.temperature, uniform(stream, std::uint64_t(position)))
                                         : likeliest(row)));
    }
    return tokens;
  }

  Decoder<S> decoder;
  Matrix<S> logits;
};

/// Fills what follows from the tokens alone.
void compare_tokens(FreeRunning& result) {
  const Index prompts = result.reference.rows(), count = result.reference.cols();
  result.first_difference.assign(size_t(prompts), count);
  for (Index t = count - 1; t >= 0; --t) {
    std::vector<double> equal;
    for (Index b = 0; b < prompts; ++b) {
      equal.push_back(result.reference(b, t) == result.changed(b, t));
      if (equal.back() == 0) result.first_difference[size_t(b)] = t;
    }
    result.agreement.insert(result.agreement.begin(), mean_with_error(equal));
  }
}

}  // namespace

std::vector<Index> octave_edges(Index length) {
  EXPECTS(length >= 1, "octaves of {} positions", length);
  std::vector<Index> edges{0};
  for (Index edge = 1; edge < length; edge *= 2) edges.push_back(edge);
  edges.push_back(length);
  return edges;
}

template <class S>
double next_token_loss(ConstVecView<S> logits, Index target) {
  return log_sum_exp(logits) - double(logits[target]);
}

template <class S>
Matrix<double> decoded_losses(const DecodingVariant<S>& variant, const TokenBatch& windows) {
  Matrix<double> losses(windows.sequences, windows.positions);
  for_each_prediction(variant, windows, [&](Index w, Index t, ConstVecView<S> logits, std::uint16_t target) {
    losses(w, t) = next_token_loss<S>(logits, target);
  });
  return losses;
}

template <class S>
Predictions decoded_predictions(const DecodingVariant<S>& variant, const TokenBatch& windows) {
  Predictions found{Matrix<double>(windows.sequences, windows.positions),
                    Matrix<double>(windows.sequences, windows.positions)};
  for_each_prediction(variant, windows, [&](Index w, Index t, ConstVecView<S> logits, std::uint16_t target) {
    found.loss(w, t) = next_token_loss<S>(logits, target);
    found.hit(w, t) = likeliest(logits) == target;
  });
  return found;
}

std::vector<BucketComparison> compare_by_position(const Matrix<double>& changed, const Matrix<double>& reference,
                                                  const std::vector<Index>& edges) {
  EXPECTS(changed.rows() == reference.rows() && changed.cols() == reference.cols() && reference.rows() >= 1,
          "comparing {} x {} losses with {} x {}", changed.rows(), changed.cols(), reference.rows(), reference.cols());
  EXPECTS(edges.size() >= 2 && edges.front() >= 0 && edges.back() <= reference.cols(), "{} edges for {} positions",
          edges.size(), reference.cols());
  std::vector<BucketComparison> buckets;
  for (size_t i = 0; i + 1 < edges.size(); ++i) {
    EXPECTS(edges[i] < edges[i + 1], "edge {} after edge {}", edges[i + 1], edges[i]);
    const auto now = row_means(changed, edges[i], edges[i + 1]), before = row_means(reference, edges[i], edges[i + 1]);
    buckets.push_back(
        {edges[i], edges[i + 1], mean_with_error(before), mean_with_error(now), paired_difference(now, before)});
  }
  return buckets;
}

TokenBatch copy_windows(const CopyTask& task, Index vocabulary, Index windows, std::uint64_t seed) {
  if (task.block < 2 || task.distance < task.block)
    throw OptionError(
        fmt::format("copy task: block = {}, distance = {}; take a block of 2 or more tokens and a "
                    "distance of at least the block",
                    task.block, task.distance));
  return stacked_windows(windows, task.positions(), [&](Index w) {
    const Stream stream{seed, Domain::copy_task, std::uint32_t(w)};
    std::vector<std::uint16_t> tokens;
    for (Index t = 0; t < task.distance; ++t)
      tokens.push_back(std::uint16_t(below(stream, std::uint64_t(t), std::uint64_t(vocabulary))));
    for (Index t = 0; t < task.block; ++t) tokens.push_back(tokens[size_t(t)]);
    return tokens;
  });
}

template <class S>
CopyScore copy_score(const DecodingVariant<S>& changed, const DecodingVariant<S>& reference, const CopyTask& task,
                     Index windows, std::uint64_t seed) {
  const TokenBatch batch = copy_windows(task, reference.weights->options().vocabulary, windows, seed);
  const Predictions before = decoded_predictions(reference, batch), now = decoded_predictions(changed, batch);
  // Position t predicts token t+1: the second to last tokens of an occurrence that starts at s are s … s + block - 2.
  const auto second = [&](const Matrix<double>& m) {
    return row_means(m, task.distance, task.distance + task.block - 1);
  };
  return {.distance = task.distance,
          .first_loss = mean_with_error(row_means(before.loss, 0, task.block - 1)),
          .reference_loss = mean_with_error(second(before.loss)),
          .changed_loss = mean_with_error(second(now.loss)),
          .loss_difference = paired_difference(second(now.loss), second(before.loss)),
          .reference_accuracy = mean_with_error(second(before.hit)),
          .changed_accuracy = mean_with_error(second(now.hit)),
          .accuracy_difference = paired_difference(second(now.hit), second(before.hit))};
}

template <class S>
FreeRunning free_running(const DecodingVariant<S>& changed, const DecodingVariant<S>& reference,
                         const TokenBatch& prompts, Index count, const Sampling& sampling) {
  EXPECTS(count >= 1, "free running: {} tokens", count);
  if (!(sampling.temperature >= 0))
    throw OptionError(fmt::format("sampling.temperature = {}; use 0 for the likeliest token or a positive number",
                                  sampling.temperature));
  Run<S> lead(reference, prompts), forced(changed, prompts), free(changed, prompts);
  FreeRunning result;
  result.reference.resize(prompts.sequences, count);
  result.changed.resize(prompts.sequences, count);
  for (Index t = 0; t < count; ++t) {
    std::vector<double> kl;
    for (Index b = 0; b < prompts.sequences; ++b)
      kl.push_back(divergence(row_of(lead.logits, b), row_of(forced.logits, b)));
    result.kl.push_back(mean_with_error(kl));
    const std::vector<std::uint16_t> next = lead.choose(sampling, t), own = free.choose(sampling, t);
    for (Index b = 0; b < prompts.sequences; ++b) {
      result.reference(b, t) = next[size_t(b)];
      result.changed(b, t) = own[size_t(b)];
    }
    if (t + 1 == count) break;
    lead.step(next), forced.step(next), free.step(own);
  }
  compare_tokens(result);
  return result;
}

HONE_LONG_CONTEXT_INSTANCES(, float)
HONE_LONG_CONTEXT_INSTANCES(, double)

}  // namespace hone
