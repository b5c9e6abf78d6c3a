#include "sim/model/decoder.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/parallel.hpp"
#include "sim/layers/embedding.hpp"
#include "sim/layers/norm.hpp"

namespace hone {

/// Rows that all start at 64 bytes.
template <class S>
class AlignedRows {
 public:
  AlignedRows(Index rows, Index width)
      : width_(width), stride_((width + 64 - 1) / 64 * 64), memory_(size_t(rows * stride_)) {}

  S* row(Index m) { return memory_.data() + m * stride_; }
  MatView<S> row_view(Index m) { return MatView<S>(row(m), 1, width_); }
  Block<S> block(Index m) { return {row(m), 1, width_}; }
  StridedView<S> top(Index rows) { return StridedView<S>(memory_.data(), rows, width_, Eigen::OuterStride<>(stride_)); }
  Index width() const { return width_; }

 private:
  Index width_, stride_;
  AlignedVector<S> memory_;
};

namespace {

/// Sequences that one thread decodes together, and rows of one product: fixed, so that no bit depends on the threads.
constexpr Index lane_sequences = 4, lane_rows = 32;

template <class S>
void multiply(AlignedRows<S>& y, AlignedRows<S>& x, Index rows, const typename DecoderWeights<S>::Linear& linear) {
  auto out = y.top(rows);
  gemm_right<S>(out, x.top(rows), linear.factor);
  if (!linear.bias.empty())
    out.rowwise() += Eigen::Map<const Eigen::Matrix<S, 1, Eigen::Dynamic>>(linear.bias.data(), out.cols());
}

/// The same for one row of x and of y.
template <class S>
void multiply_row(Block<S> y, Block<S> x, const typename DecoderWeights<S>::Linear& linear) {
  gemm_right<S>(y, x, linear.factor);
  if (!linear.bias.empty()) y.view() += ConstMatView<S>(linear.bias.data(), 1, y.cols);
}

template <class S>
void normalize(AlignedRows<S>& y, AlignedRows<S>& x, Index rows, const typename DecoderWeights<S>::NormPair& norm,
               const TransformerOptions& o) {
  S mean, r;
  for (Index m = 0; m < rows; ++m) {
    const S* in = x.row(m);
    const ConstMatView<S> from(in, 1, x.width());
    if (o.norm == Norm::rms)
      rmsnorm_forward<S>(y.row_view(m), &r, from, norm.weight.data(), o.norm_eps);
    else
      layernorm_forward<S>(y.row_view(m), &mean, &r, from, norm.weight.data(), norm.bias.data(), o.norm_eps);
  }
}

}  // namespace

/// Up to lane_sequences sequences, decoded by one thread at a time, with the memory they need.
template <class S>
struct Decoder<S>::Lane {
  Lane(const TransformerOptions& o, const KvCacheOptions& cache, Index first_sequence, Index count, Index capacity)
      : first(first_sequence),
        sequences(count),
        x(lane_rows, o.width),
        normed(lane_rows, o.width),
        q(lane_rows, o.heads * o.head_width()),
        k(lane_rows, o.kv_heads * o.head_width()),
        v(lane_rows, o.kv_heads * o.head_width()),
        attended(lane_rows, o.heads * o.head_width()),
        mid(lane_rows, o.width),
        gate(lane_rows, o.mlp_width),
        up(lane_rows, o.mlp_width),
        act(lane_rows, o.mlp_width),
        logits(lane_rows, o.vocabulary),
        part(1, o.width),
        router(1, std::max<Index>(o.experts, 1)),
        probs(1, std::max<Index>(o.experts, 1)),
        gates(1, o.experts_per_token),
        routing(1, 1, o.experts, o.experts_per_token) {
    for (Index i = 0; i < count * o.layers; ++i) caches.emplace_back(cache, o.kv_heads, o.head_width(), capacity);
    scores.resize(size_t(caches.front().padded_capacity()));
  }

  Index first, sequences;
  AlignedRows<S> x, normed, q, k, v, attended, mid, gate, up, act, logits;
  AlignedRows<S> part, router, probs, gates;  ///< of one token, with experts
  Routing routing;
  std::vector<KvCache<S>> caches;  ///< sequence after sequence, layers of each
  AlignedVector<S> scores;

  Index layers() const { return Index(caches.size()) / sequences; }
  KvCache<S>& cache(Index sequence, Index layer) { return caches[size_t(sequence * layers() + layer)]; }
};

template <class S>
Decoder<S>::Decoder(std::shared_ptr<const DecoderWeights<S>> weights, const DecoderOptions& options, Index sequences)
    : weights_(std::move(weights)),
      activation_(options.activation),
      sequences_(sequences),
      max_length_(options.max_length > 0 ? options.max_length : weights_->options().positions),
      threads_(options.threads) {
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
  if (o.position != Positions::learned)
    rope_.emplace(max_length_, o.head_width(), o.rope_base,
                  o.position == Positions::rope_half ? RopePairing::half : RopePairing::interleaved, o.rotary_width,
                  o.rope_scaling);
  if (o.rotations.heads) heads_table_.emplace(o.heads);
  if (o.rotations.mlp) mlp_table_.emplace(o.mlp_width);
  if (o.rotations.qk) qk_table_.emplace(o.head_width());
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
    for (int l = 0; l < int(weights_->options().layers); ++l) {
      attention_branch(lane, l, count);
      mlp_branch(lane, l, lane.sequences * count);
    }
    if (wanted == Wanted::all || start + count == total) read_out(lane, start, count, wanted, read);
  }
}

template <class S>
void Decoder<S>::embed(Lane& lane, std::span<const std::uint16_t> tokens, Index start, Index count) const {
  const Index total = Index(tokens.size()) / sequences_;
  for (Index s = 0; s < lane.sequences; ++s)
    for (Index i = 0; i < count; ++i) {
      MatView<S> row = lane.x.row_view(s * count + i);
      row = weights_->embedding().row(tokens[size_t((lane.first + s) * total + start + i)]);
      if (!rope_) row += weights_->positions().row(length_ + start + i);
    }
}

template <class S>
void Decoder<S>::quantize_input(AlignedRows<S>& rows, Index count) const {
  fake_quantize<S>(rows.top(count), activation_, 1);
}

template <class S>
void Decoder<S>::attention_branch(Lane& lane, int layer, Index count) const {
  const auto& p = weights_->layers()[size_t(layer)];
  const TransformerOptions& o = weights_->options();
  const Index rows = lane.sequences * count;
  normalize(lane.normed, lane.x, rows, p.norm1, o);
  quantize_input(lane.normed, rows);
  multiply(lane.q, lane.normed, rows, p.q);
  multiply(lane.k, lane.normed, rows, p.k);
  multiply(lane.v, lane.normed, rows, p.v);
  const auto turn = [&](S* row, Index width, Index position) {
    if (rope_) rope_rotate_row<S>(row, width, *rope_, position, Turn::forward);
    if (qk_table_) hadamard_rotate<S>(MatView<S>(row, 1, width), *qk_table_, 1, Turn::forward);
  };
  const auto turn_key = [&](S* key, Index position) { turn(key, lane.k.width(), position); };
  for (Index s = 0; s < lane.sequences; ++s) {
    KvCache<S>& cache = lane.cache(s, layer);
    for (Index m = s * count; m < (s + 1) * count; ++m) {
      turn(lane.q.row(m), lane.q.width(), cache.length());
      cache.append(lane.k.row(m), lane.v.row(m), turn_key);
      cache.attend(lane.attended.row(m), lane.q.row(m), o.heads, lane.scores.data());
      if (heads_table_) hadamard_rotate<S>(lane.attended.row_view(m), *heads_table_, o.head_width(), Turn::forward);
    }
  }
  if (!p.sub_o.weight.empty()) normalize(lane.attended, lane.attended, rows, p.sub_o, o);
  quantize_input(lane.attended, rows);
  multiply(lane.mid, lane.attended, rows, p.o);
  lane.mid.top(rows) += lane.x.top(rows);
}

template <class S>
void Decoder<S>::mlp_branch(Lane& lane, int layer, Index rows) const {
  const auto& p = weights_->layers()[size_t(layer)];
  const TransformerOptions& o = weights_->options();
  normalize(lane.normed, o.residual == Residual::parallel ? lane.x : lane.mid, rows, p.norm2, o);
  if (o.experts > 0) return experts_branch(lane, layer, rows);
  quantize_input(lane.normed, rows);
  multiply(lane.up, lane.normed, rows, p.up);
  if (o.mlp == MlpKind::swiglu) multiply(lane.gate, lane.normed, rows, p.gate);
  for (Index m = 0; m < rows; ++m) {
    if (o.mlp == MlpKind::swiglu)
      swiglu_forward<S>(lane.act.row(m), lane.gate.row(m), lane.up.row(m), o.mlp_width);
    else
      activation_forward<S>(lane.act.row(m), lane.up.row(m), o.mlp_width, activation_of(o.mlp));
    if (mlp_table_) hadamard_rotate<S>(lane.act.row_view(m), *mlp_table_, 1, Turn::forward);
  }
  if (!p.sub_down.weight.empty()) normalize(lane.act, lane.act, rows, p.sub_down, o);
  quantize_input(lane.act, rows);
  multiply(lane.x, lane.act, rows, p.down);
  lane.x.top(rows) += lane.mid.top(rows);
}

/// Token by token, so that no token's bits depend on who shares its experts.
template <class S>
void Decoder<S>::experts_branch(Lane& lane, int layer, Index rows) const {
  const auto& p = weights_->layers()[size_t(layer)];
  const TransformerOptions& o = weights_->options();
  for (Index m = 0; m < rows; ++m) {
    const Block<S> normed = lane.normed.block(m), act = lane.act.block(m), part = lane.part.block(0);
    multiply_row<S>(lane.router.block(0), normed, p.router);
    router_forward<S>(lane.probs.block(0), lane.gates.block(0), lane.routing, lane.router.block(0), o.gates);
    fake_quantize<S>(normed, activation_, 1);
    lane.x.row_view(m) = lane.mid.row_view(m);
    for (Index j = 0; j < o.experts_per_token; ++j) {
      const auto& expert = p.experts[size_t(lane.routing.expert[size_t(j)])];
      multiply_row<S>(lane.gate.block(m), normed, expert.gate);
      multiply_row<S>(lane.up.block(m), normed, expert.up);
      swiglu_forward<S>(act.data, lane.gate.row(m), lane.up.row(m), o.mlp_width);
      if (mlp_table_) hadamard_rotate<S>(act, *mlp_table_, 1, Turn::forward);
      fake_quantize<S>(act, activation_, 1);
      multiply_row<S>(part, act, expert.down);
      lane.x.row_view(m) += lane.gates.row(0)[j] * part.view();
    }
  }
}

template <class S>
void Decoder<S>::read_out(Lane& lane, Index start, Index count, Wanted wanted, const ReadLogits& read) const {
  const Index skipped = wanted == Wanted::all ? 0 : count - 1, kept = count - skipped;
  if (skipped > 0)
    for (Index s = 0; s < lane.sequences; ++s) lane.x.row_view(s) = lane.x.row_view(s * count + skipped);
  const Index rows = lane.sequences * kept;
  normalize(lane.normed, lane.x, rows, weights_->norm(), weights_->options());
  multiply(lane.logits, lane.normed, rows, weights_->head());
  for (Index m = 0; m < rows; ++m)
    read(lane.first + m / kept, length_ + start + skipped + m % kept,
         ConstVecView<S>(lane.logits.row(m), lane.logits.width()));
}

template class Decoder<float>;
template class Decoder<double>;

}  // namespace hone
