#include "sim/model/decoder.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/parallel.hpp"

namespace hone {

namespace {

/// Sequences that one thread decodes together, and rows of one product: fixed, so that no bit depends on the threads.
constexpr Index lane_sequences = 4, lane_rows = 32;

/// Row m alone.
template <class S>
Block<S> row(const Block<S>& block, Index m) {
  return {block.data + m * block.cols, 1, block.cols};
}

/// The visitor of the blocks: rounds the inputs of linears token by token.
template <class S>
struct RoundedInputs {
  const Quantizer& activation;

  void input(LinearInput, const Block<S>& x) const { fake_quantize<S>(x, activation, 1); }
};

}  // namespace

/// Up to lane_sequences sequences, decoded by one thread at a time, with the memory they need. Rows of the activations
/// are sequence after sequence.
template <class S>
struct Decoder<S>::Lane {
  Lane(const TransformerOptions& o, const KvCacheOptions& cache, Index first_sequence, Index count, Index capacity)
      : first(first_sequence), sequences(count) {
    Index need = 0;
    visit_blocks(o, [&](Block<S>&, Index rows, Index cols) { need += Workspace<S>::padded(rows * cols); });
    memory = std::make_unique<Workspace<S>>(need);
    visit_blocks(o, [&](Block<S>& b, Index rows, Index cols) { b = {memory->take(rows, cols).data(), rows, cols}; });
    if (o.experts > 0) acts.routing = Routing(1, 1, o.experts, o.experts_per_token);
    for (Index i = 0; i < count * o.layers; ++i) caches.emplace_back(cache, o.kv_heads, o.head_width(), capacity);
    scores.resize(size_t(caches.front().padded_capacity()));
    set_rows(o, lane_rows);
  }

  template <class Visit>
  void visit_blocks(const TransformerOptions& o, Visit&& visit) {
    const Index query = o.heads * o.head_width(), kv = o.kv_heads * o.head_width();
    visit(stream, lane_rows, o.width), visit(mid, lane_rows, o.width), visit(logits, lane_rows, o.vocabulary);
    visit(acts.norm1, lane_rows, o.width), visit(acts.stat1, 2, lane_rows);
    visit(acts.q, lane_rows, query), visit(acts.k, lane_rows, kv), visit(acts.v, lane_rows, kv);
    visit(acts.o, lane_rows, query);
    const Index slots = o.experts > 0 ? o.experts_per_token : lane_rows;
    visit(acts.gate, slots, o.mlp_width), visit(acts.up, slots, o.mlp_width), visit(acts.act, slots, o.mlp_width);
    if (o.experts == 0) return;
    visit(acts.router_logits, 1, o.experts), visit(acts.router_probs, 1, o.experts);
    visit(acts.expert_gates, 1, o.experts_per_token);
    visit(acts.routed, slots, o.width), visit(acts.expert_out, slots, o.width);
  }

  /// The activations of `rows` tokens. One memory serves both norms, and norms before a linear act in place.
  void set_rows(const TransformerOptions& o, Index rows) {
    stream.rows = mid.rows = logits.rows = rows;
    for (Block<S>* block : {&acts.norm1, &acts.q, &acts.k, &acts.v, &acts.o}) block->rows = rows;
    if (o.experts == 0) acts.gate.rows = acts.up.rows = acts.act.rows = rows;
    acts.in = acts.out = stream, acts.mid = mid;
    acts.norm2 = acts.norm1, acts.stat2 = acts.stat1;
    if (!o.sub_norms) return;
    acts.o_norm = acts.o, acts.act_norm = acts.act;
    acts.o_stat = acts.act_stat = acts.stat1;
  }
  /// What the second branch reads and writes of token m, with experts.
  void set_token(Index m) {
    acts.in = acts.out = row(stream, m), acts.mid = row(mid, m), acts.norm2 = row(acts.norm1, m);
  }

  Index first, sequences;
  LayerActs<S> acts;
  Block<S> stream, mid, logits;
  std::unique_ptr<Workspace<S>> memory;
  std::vector<KvCache<S>> caches;  ///< sequence after sequence, layers of each
  AlignedVector<S> scores;

  Index layers() const { return Index(caches.size()) / sequences; }
  KvCache<S>& cache(Index sequence, Index layer) { return caches[size_t(sequence * layers() + layer)]; }
};

/// The core of an attention branch: each of `count` new tokens of a sequence reads the cache as it is when the token is
/// written.
template <class S>
struct Decoder<S>::CachedAttention {
  Lane& lane;
  Index layer, count, heads;
  const Turns<S>& turns;

  template <class Visit>
  void forward(const LayerActs<S>& a, const Visit&) const {
    const auto turn_key = [&](S* key, Index position) { turns.query_or_key(key, a.k.cols, position); };
    for (Index s = 0; s < lane.sequences; ++s) {
      KvCache<S>& cache = lane.cache(s, layer);
      for (Index m = s * count; m < (s + 1) * count; ++m) {
        S* query = row(a.q, m).data;
        turns.query_or_key(query, a.q.cols, cache.length());
        cache.append(row(a.k, m).data, row(a.v, m).data, turn_key);
        cache.attend(row(a.o, m).data, query, heads, lane.scores.data());
      }
    }
    turns.heads(a.o, Turn::forward);
  }
};

template <class S>
Decoder<S>::Decoder(std::shared_ptr<const DecoderWeights<S>> weights, const DecoderOptions& options, Index sequences)
    : weights_(std::move(weights)),
      activation_(options.activation),
      sequences_(sequences),
      max_length_(options.max_length > 0 ? options.max_length : weights_->options().positions),
      threads_(options.threads),
      turns_(weights_->options(), max_length_) {
  const TransformerOptions& o = weights_->options();
  EXPECTS(sequences >= 1 && options.max_length >= 0, "decoder: {} sequences of up to {} tokens", sequences,
          options.max_length);
  options.cache.validate();
  activation_.validate("activation");
  const std::string problem = causality_problem(activation_, "activation");
  if (!problem.empty()) throw OptionError("decoder: " + problem);
  if (o.position == Positions::learned && max_length_ > o.positions)
    throw OptionError(
        fmt::format("decoder: max_length = {} with learned positions, of which the model has {}; use at most {}, or a "
                    "model with rotary positions",
                    max_length_, o.positions, o.positions));
  if (o.rope_scaling.rule == RopeScalingRule::dynamic && double(max_length_) > o.rope_scaling.original_positions)
    throw OptionError(
        fmt::format("decoder: max_length = {} with dynamic rope_scaling, whose angles change beyond {} tokens; use at "
                    "most that",
                    max_length_, o.rope_scaling.original_positions));
  for (Index first = 0; first < sequences; first += lane_sequences)
    lanes_.emplace_back(o, options.cache, first, std::min(lane_sequences, sequences - first), max_length_);
  logits_.resize(sequences, o.vocabulary);
}

template <class S>
Decoder<S>::Decoder(Decoder&&) noexcept = default;
template <class S>
Decoder<S>::~Decoder() = default;

template <class S>
ConstMatView<S> Decoder<S>::step(std::span<const std::uint16_t> tokens) {
  EXPECTS(Index(tokens.size()) == sequences_, "decoder: a step of {} tokens for {} sequences", tokens.size(),
          sequences_);
  return prefill(tokens);
}

template <class S>
ConstMatView<S> Decoder<S>::prefill(std::span<const std::uint16_t> tokens) {
  advance(tokens, Wanted::last, [&](Index sequence, Index, ConstVecView<S> logits) {
    std::copy_n(logits.data(), logits.size(), logits_.data() + sequence * logits_.cols());
  });
  return ConstMatView<S>(logits_.data(), logits_.rows(), logits_.cols());
}

template <class S>
void Decoder<S>::feed(std::span<const std::uint16_t> tokens, const ReadLogits& read) {
  advance(tokens, Wanted::all, read);
}

template <class S>
void Decoder<S>::advance(std::span<const std::uint16_t> tokens, Wanted wanted, const ReadLogits& read) {
  const Index count = Index(tokens.size()) / sequences_, vocabulary = weights_->options().vocabulary;
  EXPECTS(count >= 1 && count * sequences_ == Index(tokens.size()), "decoder: {} tokens for {} sequences",
          tokens.size(), sequences_);
  EXPECTS(length_ + count <= max_length_, "decoder: {} tokens after {} exceed max_length = {}", count, length_,
          max_length_);
  for (const std::uint16_t token : tokens)
    if (token >= vocabulary)
      throw OptionError(
          fmt::format("decoder: token {} with a vocabulary of {}; use the model's tokenizer", token, vocabulary));
  parallel_for(Index(lanes_.size()), threads_,
               [&](Index lane, int) { run(lanes_[size_t(lane)], tokens, wanted, read); });
  length_ += count;
}

template <class S>
void Decoder<S>::use(std::shared_ptr<const DecoderWeights<S>> weights) {
  EXPECTS(weights_->options() == weights->options(), "decoder: weights of another architecture");
  weights_ = std::move(weights);
}

template <class S>
void Decoder<S>::reset() {
  length_ = 0;
  for (Lane& lane : lanes_)
    for (KvCache<S>& cache : lane.caches) cache.clear();
}

template <class S>
const KvCache<S>& Decoder<S>::cache(Index sequence, Index layer) const {
  EXPECTS(sequence >= 0 && sequence < sequences_ && layer >= 0 && layer < weights_->options().layers,
          "decoder: cache of sequence {}, layer {}", sequence, layer);
  const Lane& lane = lanes_[size_t(sequence / lane_sequences)];
  return lane.caches[size_t(sequence % lane_sequences * weights_->options().layers + layer)];
}

/// The forward pass of one lane; rows are sequence after sequence, `count` new tokens of each.
template <class S>
void Decoder<S>::run(Lane& lane, std::span<const std::uint16_t> tokens, Wanted wanted, const ReadLogits& read) const {
  const Index total = Index(tokens.size()) / sequences_, chunk = lane_rows / lane.sequences;
  for (Index start = 0; start < total; start += chunk) {
    const Index count = std::min(chunk, total - start);
    embed(lane, tokens, start, count);
    for (size_t l = 0; l < weights_->layers().size(); ++l) layer_forward(lane, l, count);
    if (wanted == Wanted::all || start + count == total) read_out(lane, start, count, wanted, read);
  }
}

template <class S>
void Decoder<S>::embed(Lane& lane, std::span<const std::uint16_t> tokens, Index start, Index count) const {
  const Index total = Index(tokens.size()) / sequences_;
  for (Index s = 0; s < lane.sequences; ++s)
    for (Index i = 0; i < count; ++i) {
      MatView<S> x = row(lane.stream, s * count + i);
      x = weights_->embedding().row(tokens[size_t((lane.first + s) * total + start + i)]);
      if (!turns_.rope) x += weights_->positions().row(length_ + start + i);
    }
}

/// Experts token by token, so that no token's bits depend on who shares its experts.
template <class S>
void Decoder<S>::layer_forward(Lane& lane, size_t layer, Index count) const {
  using Layer = typename DecoderWeights<S>::Layer;
  const Layer& blocks = weights_->layers()[layer];
  const RoundedInputs<S> visit{activation_};
  const PackedParams p;
  const Index rows = lane.sequences * count;
  lane.set_rows(weights_->options(), rows);
  blocks.attention.forward(p, lane.acts, CachedAttention{lane, Index(layer), count, weights_->options().heads, turns_},
                           visit);
  if (const auto* gated = std::get_if<typename Layer::Gated>(&blocks.mlp))
    return gated->forward(p, lane.acts, turns_, visit);
  for (Index m = 0; m < rows; ++m) {
    lane.set_token(m);
    std::get<typename Layer::Experts>(blocks.mlp).forward(p, lane.acts, turns_, visit);
  }
}

template <class S>
void Decoder<S>::read_out(Lane& lane, Index start, Index count, Wanted wanted, const ReadLogits& read) const {
  const Index skipped = wanted == Wanted::all ? 0 : count - 1, kept = count - skipped;
  if (skipped > 0)
    for (Index s = 0; s < lane.sequences; ++s)
      row(lane.stream, s).view() = row(lane.stream, s * count + skipped).view();
  const Index rows = lane.sequences * kept;
  lane.set_rows(weights_->options(), rows);
  weights_->norm().forward(PackedParams{}, lane.acts.norm1, lane.acts.stat1, lane.stream);
  weights_->head().forward(PackedParams{}, lane.logits, lane.acts.norm1);
  for (Index m = 0; m < rows; ++m)
    read(lane.first + m / kept, length_ + start + skipped + m % kept,
         ConstVecView<S>(row(lane.logits, m).data, lane.logits.cols));
}

template class Decoder<float>;
template class Decoder<double>;

}  // namespace hone
