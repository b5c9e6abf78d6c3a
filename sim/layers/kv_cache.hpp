// The keys and values of one layer for one sequence that grows token by token, held as a quantizer leaves them: per
// token, or keys per channel over closed groups of tokens. A quantized entry depends on tokens that are already there
// and on no others, so what a token reads can never depend on the tokens after it.
//   source  residual window, keys per channel, values per token: Liu et al. 2024 (KIVI); keys before RoPE and first
//           tokens in full precision: Hooper et al. 2024 (KVQuant)
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/formats/quantizer.hpp"

namespace hone {

enum class KeyAxis {
  token,    ///< one step per token and head, or per `key.group` channels of a token
  channel,  ///< one step per channel over `key_group` tokens in a row
};

/// What a cache does to what is written to it. The defaults quantize nothing; with `key` and `value` alone they are the
/// rule of the one-pass forward: after RoPE, per token and head, the token's own key and value too.
struct KvCacheOptions {
  Quantizer key = {}, value = {};  ///< granularity row: per token and head; group: per `group` channels of a token;
                                   ///< bits, format and rule (clipping, for one) of each its own
  KeyAxis key_axis = KeyAxis::token;
  Index key_group = 0;    ///< tokens that share the steps of a channel, only for KeyAxis::channel
  Index residual = 0;     ///< newest tokens kept in full precision, the token itself counted
  Index sinks = 0;        ///< first tokens kept in full precision
  bool pre_rope = false;  ///< keys are quantized before RoPE and turned when read

  bool is_on() const { return key.is_on() || value.is_on(); }
  /// Tokens that per-channel keys wait for before they are quantized together.
  Index key_block() const { return std::max(residual, key_group); }
  /// Refuses what cannot be decoded token by token.
  /// errors  OptionError listing every wrong field with its value and the fix
  void validate() const;
};

/// Why a quantizer cannot act on tokens one at a time, "" when it can: its grid for one token must not depend on others.
std::string causality_problem(const Quantizer& q, std::string_view where);

/// KIVI: keys per channel over groups of tokens, values per token over groups of as many channels.
KvCacheOptions kivi_cache(int bits, Index group = 32, Index residual = 128);

/// How many tokens of a cache are quantized: tokens sinks … sinks + count - 1.
struct QuantizedCounts {
  Index keys = 0, values = 0;
};
QuantizedCounts quantized_counts(const KvCacheOptions& options, Index length);

/// Mean storage of a cached number, with 16-bit steps, zero points and the tokens kept at 16 bits.
struct KvBits {
  double key = 16, value = 16;

  double mean() const { return (key + value) / 2; }
};

/// Storage of a cache of `length` tokens.
/// units    bits
/// expects  length ≥ 1
KvBits bits_per_cached_value(const KvCacheOptions& options, Index kv_heads, Index head_width, Index length);

/// The cache of one layer and sequence.
/// shapes   a key or a value: kv_heads·head_width numbers, head after head
template <class S>
class KvCache {
 public:
  /// Turns one key of all heads, in place, to its position: RoPE and whatever follows it.
  using TurnKey = std::function<void(S* key, Index position)>;

  /// errors   OptionError from KvCacheOptions::validate
  KvCache(const KvCacheOptions& options, Index kv_heads, Index head_width, Index capacity);

  /// Writes the key (before RoPE) and the value of the next token, then quantizes what became old enough.
  /// expects  length < capacity
  /// errors   ContractError naming position and channel when a number to be quantized is not finite
  void append(const S* key, const S* value, const TurnKey& turn);

  /// Attention of the newest token over the whole cache: o = softmax(q k'/√hd) v for each query head.
  /// shapes   out, query (heads·head_width); scratch (padded capacity), aligned as every scratch of this call
  /// expects  length ≥ 1; heads a multiple of kv_heads
  /// cost     4·heads·head_width·length flops
  void attend(S* out, const S* query, Index heads, S* scratch) const;

  void clear() { length_ = 0; }
  Index length() const { return length_; }
  Index capacity() const { return capacity_; }
  /// Rows of scratch that attend needs: the capacity, rounded up.
  Index padded_capacity() const { return padded_; }
  /// The key and the value as they are read now, after RoPE.
  std::vector<S> key(Index position) const;
  std::vector<S> value(Index position) const;

 private:
  S* waiting(Index position);
  void write_key(const S* key, Index position);
  void close_keys(const TurnKey& turn);
  void close_key_block(Index first, const TurnKey& turn);

  KvCacheOptions options_;
  Index heads_, head_width_, width_, capacity_, padded_, length_ = 0;
  AlignedVector<S> keys_;     // (width, padded): transposed, as the scores read it
  AlignedVector<S> values_;   // (capacity, width)
  AlignedVector<S> waiting_;  // keys that are still to be quantized, in a ring of rows
  AlignedVector<S> row_;
};

extern template class KvCache<float>;
extern template class KvCache<double>;

}  // namespace hone
