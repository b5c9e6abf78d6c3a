#include "sim/data/batch.hpp"

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/data/permutation.hpp"

namespace hone {
namespace {

// Substream 0 places the windows; epoch e is ordered by substream 2 + e.
constexpr std::uint32_t offset_substream = 0;
constexpr std::uint32_t evaluation_substream = 1;
constexpr std::uint32_t first_epoch_substream = 2;

}  // namespace

TokenBatch stacked_windows(Index sequences, Index positions,
                           const std::function<std::vector<std::uint16_t>(Index)>& window) {
  EXPECTS(sequences >= 1 && positions >= 1, "batch of {} sequences of {} positions", sequences, positions);
  TokenBatch out{sequences, positions, {}};
  out.tokens.reserve(static_cast<size_t>(sequences * (positions + 1)));
  for (Index b = 0; b < sequences; ++b) {
    const std::vector<std::uint16_t> tokens = window(b);
    EXPECTS(static_cast<Index>(tokens.size()) == positions + 1, "window of {} tokens", tokens.size());
    out.tokens.insert(out.tokens.end(), tokens.begin(), tokens.end());
  }
  return out;
}

TextBatches::TextBatches(const TokenStream& stream, Index sequences, Index positions, std::uint64_t seed)
    : tokens_(stream.train), sequences_(sequences), positions_(positions), seed_(seed) {
  EXPECTS(sequences >= 1 && positions >= 1, "batch of {} sequences of {} positions", sequences, positions);
  const Index window = positions + 1, available = static_cast<Index>(tokens_.size());
  if (available / window < sequences)
    throw OptionError(
        fmt::format("corpus {} has {} tokens of training text, one batch needs {}; give a longer "
                    "corpus or smaller batch/context",
                    stream.name, available, sequences * window));
  const Index spare = std::min(positions, available - sequences * window);
  offset_ =
      static_cast<Index>(below({seed, Domain::batch, offset_substream}, 0, static_cast<std::uint64_t>(spare) + 1));
  windows_ = (available - offset_) / window;
}

TokenBatch TextBatches::batch(std::int64_t step) const {
  EXPECTS(step >= 0, "batch of step {}", step);
  const Index window = positions_ + 1;
  TokenBatch out{sequences_, positions_, {}};
  out.tokens.resize(static_cast<size_t>(sequences_ * window));
  for (Index b = 0; b < sequences_; ++b) {
    const std::int64_t visit = step * sequences_ + b;
    const auto epoch = static_cast<std::uint32_t>(visit / windows_);
    const Stream order{seed_, Domain::batch, first_epoch_substream + epoch};
    const Index place = permuted(visit % windows_, windows_, order);
    std::copy_n(tokens_.begin() + offset_ + place * window, window, out.tokens.begin() + b * window);
  }
  return out;
}

std::int64_t TextBatches::epoch_of(std::int64_t step) const {
  EXPECTS(step >= 0, "epoch of step {}", step);
  return (step * sequences_ + sequences_ - 1) / windows_;
}

TokenBatch evaluation_windows(const TokenStream& stream, Index positions, Index count, std::uint64_t seed) {
  EXPECTS(count >= 1 && positions >= 1, "{} evaluation windows of {} positions", count, positions);
  const Index window = positions + 1, available = static_cast<Index>(stream.validation.size());
  if (available / window < count)
    throw OptionError(
        fmt::format("corpus {} has {} tokens of validation text, {} windows of {} need {}; give a "
                    "longer text, or ask for fewer or shorter windows",
                    stream.name, available, count, window, count * window));
  const Index spacing = available / count;
  const Index last_start = available - window - (count - 1) * spacing;
  const Index phase = static_cast<Index>(
      below({seed, Domain::batch, evaluation_substream}, 0, static_cast<std::uint64_t>(last_start) + 1));
  TokenBatch out{count, positions, {}};
  out.tokens.reserve(static_cast<size_t>(count * window));
  for (Index k = 0; k < count; ++k) {
    const auto begin = stream.validation.begin() + phase + k * spacing;
    out.tokens.insert(out.tokens.end(), begin, begin + window);
  }
  return out;
}

}  // namespace hone
