#include "sim/quantize/distillation.hpp"

#include <cmath>

#include "sim/layers/next_token.hpp"
#include "sim/model/decoder.hpp"
#include "sim/quantize/output_change.hpp"

namespace hone {
namespace {

/// Sequences decoded at a time.
constexpr Index sequences_at_once = 64;

/// Draws of a sequence's stream: the first token, the number of greedy ones, then one per position. Substreams from
/// first_substream on, so that none is that of a continuation elsewhere.
constexpr std::uint64_t first_token_draw = 0, greedy_draw = 1, sampling_draw = 2;
constexpr std::uint32_t first_substream = 0x80000000;

/// Sequences first … first + decoder.sequences() - 1, written over `out`.
template <class S>
void generate_group(Decoder<S>& decoder, Index first, Index vocabulary, const GenerationOptions& options,
                    std::uint16_t* out) {
  const Index count = decoder.sequences(), positions = decoder.max_length();
  const auto stream = [&](Index s) {
    return Stream{options.seed, Domain::sampling, first_substream + static_cast<std::uint32_t>(first + s)};
  };
  std::vector<std::uint16_t> tokens(static_cast<size_t>(count));
  std::vector<Index> greedy(tokens.size());
  const std::uint64_t choices = std::uint64_t(options.most_greedy - options.least_greedy + 1);
  for (Index s = 0; s < count; ++s) {
    tokens[size_t(s)] = static_cast<std::uint16_t>(below(stream(s), first_token_draw, std::uint64_t(vocabulary)));
    greedy[size_t(s)] = options.least_greedy + Index(below(stream(s), greedy_draw, choices));
    out[s * (positions + 1)] = tokens[size_t(s)];
  }
  decoder.reset();
  for (Index t = 0; t < positions; ++t) {
    const ConstMatView<S> logits = decoder.step(tokens);
    for (Index s = 0; s < count; ++s) {
      const ConstVecView<S> row(logits.data() + s * logits.cols(), logits.cols());
      tokens[size_t(s)] = std::uint16_t(t < greedy[size_t(s)]
                                            ? likeliest<S>(row)
                                            : sampled<S>(row, 1, uniform(stream(s), sampling_draw + std::uint64_t(t))));
      out[s * (positions + 1) + t + 1] = tokens[size_t(s)];
    }
  }
}

}  // namespace

template <class S>
TokenBatch generate_sequences(const Transformer<S>& model, const S* theta, const GenerationOptions& options) {
  EXPECTS(options.sequences >= 1 && options.least_greedy >= 0 && options.most_greedy >= options.least_greedy,
          "generate_sequences: {} sequences with {} to {} greedy tokens", options.sequences, options.least_greedy,
          options.most_greedy);
  const Index positions = model.options().positions;
  TokenBatch batch{options.sequences, positions, {}};
  batch.tokens.resize(size_t(options.sequences * (positions + 1)));
  const auto weights = std::make_shared<DecoderWeights<S>>(model, theta);
  for (Index first = 0; first < options.sequences; first += sequences_at_once) {
    const Index count = std::min(sequences_at_once, options.sequences - first);
    Decoder<S> decoder(weights, {.max_length = positions, .threads = options.threads}, count);
    generate_group(decoder, first, model.options().vocabulary, options, batch.tokens.data() + first * (positions + 1));
  }
  return batch;
}

template <class S>
DistillationObjective<S>::DistillationObjective(const Transformer<S>& model, const S* teacher, ChunkOptions chunks,
                                                const QatOptions& options)
    : objective_(model, chunks),
      options_(options),
      weights_(model.layout(), options, chunks.threads),
      teacher_(teacher, teacher + model.layout().size()),
      teacher_values_(size_t(chunks.threads)) {}

template <class S>
double DistillationObjective<S>::gradient(const S* theta, const Data& data, S* gradient) {
  using Acts = TransformerActs<S>;
  const Transformer<S>& student = model();
  const S* rounded = weights_.quantize(theta);
  const S weight = S(1 / double(data.sequences * student.rows_per_example()));
  const auto pass = [&](Index first, Acts& x, Acts& dx, S* part, int worker) {
    Acts& teacher = teacher_values_[size_t(worker)].get(student, x.sequences);
    student.forward(teacher_.data(), data, first, teacher, {});
    student.forward(rounded, data, first, x, options_.precision);
    dx.logits.view() = (x.probs.view() - teacher.probs.view()) * weight;
    student.backward_from_logits(rounded, x, dx, part);
    double sum = 0;
    for (Index row = 0; row < x.logits.rows; ++row) sum += row_divergence<S>(teacher, x, row);
    return sum;
  };
  const double loss = objective_.sum_over_chunks(data, gradient, pass);
  weights_.backward(theta, gradient);
  return loss;
}

HONE_DISTILLATION_INSTANCES(, float)
HONE_DISTILLATION_INSTANCES(, double)

}  // namespace hone
