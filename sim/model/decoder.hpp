// Decoding token by token with a cache of keys and values: the forward pass of the transformer for sequences that grow,
// each token reading the cache as it is when the token is written. In full precision, and with keys and values per
// token, it is the one-pass forward up to rounding; with a residual window or closed groups it computes what an
// inference engine does, which a one-pass forward cannot.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "sim/layers/kv_cache.hpp"
#include "sim/model/decoder_weights.hpp"

namespace hone {

struct DecoderOptions {
  KvCacheOptions cache = {};
  Quantizer activation = {};  ///< of the inputs of the linears
  Index max_length = 0;       ///< tokens of a sequence; 0: the model's context
  int threads = 1;            ///< over sequences; results do not depend on it
};

/// B sequences of equal length, decoded in step. The bits of a sequence depend neither on the others nor on how its
/// tokens are cut into calls.
template <class S>
class Decoder {
 public:
  /// What reads the logits of one token. Called from several threads, for different sequences at a time.
  using ReadLogits = std::function<void(Index sequence, Index position, ConstVecView<S> logits)>;

  /// errors   OptionError for a cache or an activation quantizer that is not causal, and for learned positions with
  ///          max_length beyond the model's context
  Decoder(std::shared_ptr<const DecoderWeights<S>> weights, const DecoderOptions& options, Index sequences = 1);
  Decoder(const Transformer<S>& model, const S* theta, const DecoderOptions& options, Index sequences = 1)
      : Decoder(std::make_shared<DecoderWeights<S>>(model, theta), options, sequences) {}
  Decoder(Decoder&&) noexcept;
  ~Decoder();

  /// Appends one token to every sequence. After an exception of this or the next two, reset before going on.
  /// shapes   tokens (B); the logits of the next tokens (B, V), valid until the next call
  /// errors   OptionError for a token outside the vocabulary; ContractError beyond max_length
  ConstMatView<S> step(std::span<const std::uint16_t> tokens);

  /// Appends `tokens.size()/B` tokens to every sequence; the logits after the last one.
  /// shapes   tokens (B, count), count ≥ 1; logits (B, V)
  ConstMatView<S> prefill(std::span<const std::uint16_t> tokens);

  /// Appends tokens as prefill does and hands the logits after each of them to `read`.
  void feed(std::span<const std::uint16_t> tokens, const ReadLogits& read);

  /// Uses other weights from the next token on; what is cached stays.
  /// expects  every option of their architecture is that of the weights before
  void use(std::shared_ptr<const DecoderWeights<S>> weights);

  /// Forgets all tokens.
  void reset();

  Index length() const { return length_; }
  Index max_length() const { return max_length_; }
  Index sequences() const { return sequences_; }
  const KvCache<S>& cache(Index sequence, Index layer) const;

 private:
  struct Lane;
  struct CachedAttention;
  enum class Wanted { last, all };
  void advance(std::span<const std::uint16_t> tokens, Wanted wanted, const ReadLogits& read);
  void run(Lane& lane, std::span<const std::uint16_t> tokens, Wanted wanted, const ReadLogits& read) const;
  void embed(Lane& lane, std::span<const std::uint16_t> tokens, Index start, Index count) const;
  void layer_forward(Lane& lane, size_t layer, Index count) const;
  void read_out(Lane& lane, Index start, Index count, Wanted wanted, const ReadLogits& read) const;

  std::shared_ptr<const DecoderWeights<S>> weights_;
  Quantizer activation_;
  Index sequences_, max_length_, length_ = 0;
  int threads_;
  Turns<S> turns_;
  std::vector<Lane> lanes_;
  Matrix<S> logits_;
};

extern template class Decoder<float>;
extern template class Decoder<double>;

}  // namespace hone
