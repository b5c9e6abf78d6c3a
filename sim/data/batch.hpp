// Batches of text as a pure function of (seed, step): no reader, no position, nothing to store at a
// checkpoint. A window is T+1 tokens in a row: its first T are the inputs, its last T the targets.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/data/corpus.hpp"

namespace hone {

/// Windows of tokens.
/// shapes   tokens (sequences, positions+1), row-major
struct TokenBatch {
  Index sequences = 0, positions = 0;
  std::vector<std::uint16_t> tokens;
};

/// Windows 0 … sequences-1 of a batch, one below the other.
/// expects  window(b) has positions+1 tokens
TokenBatch stacked_windows(Index sequences, Index positions,
                           const std::function<std::vector<std::uint16_t>(Index)>& window);

/// Training batches that repeat no window within an epoch: the text is cut into windows without
/// overlap, starting at an offset that depends on the seed, and each epoch visits all of them in
/// its own random order. A batch may hold the end of one epoch and the beginning of the next.
class TextBatches {
 public:
  /// expects  `stream` outlives this object
  /// errors   OptionError when the training text is shorter than one batch
  TextBatches(const TokenStream& stream, Index sequences, Index positions, std::uint64_t seed);

  /// Batch of training step 0, 1, …
  /// cost     about 0.2 µs per sequence and a copy
  TokenBatch batch(std::int64_t step) const;

  /// Epoch of the last window of this step's batch: 0 as long as no window was seen twice.
  std::int64_t epoch_of(std::int64_t step) const;

  /// Windows in an epoch.
  Index windows() const { return windows_; }

 private:
  std::span<const std::uint16_t> tokens_;
  Index sequences_, positions_, offset_, windows_;
  std::uint64_t seed_;
};

/// `count` windows of the validation text, evenly spaced and without overlap: the same for every
/// model and step.
/// errors   OptionError when the validation text is too short
TokenBatch evaluation_windows(const TokenStream& stream, Index positions, Index count, std::uint64_t seed);

}  // namespace hone
