// A synthetic preference of known reward: which of two answers to one prompt would be preferred by somebody who likes a
// token.
#pragma once

#include <cstdint>
#include <span>

#include "sim/data/batch.hpp"

namespace hone {

struct PreferenceRule {
  std::uint16_t token = 'e';  ///< that is liked
  Index prompt = 1;           ///< tokens of a window before the answer
};

/// How often the liked token stands in an answer.
double reward_of(const PreferenceRule& rule, std::span<const std::uint16_t> answer);

/// Pairs of windows with one prompt: the beginning of each window, followed by its own end and by that of the next window
/// (of the first after the last). Which of the two is preferred is drawn by the rewards.
/// math     P(w preferred over l) = σ(r(w) - r(l)), Bradley & Terry 1952
/// shapes   windows (B, T+1); result (2B, T+1), the preferred window of each pair first
/// expects  B ≥ 2, 1 ≤ prompt ≤ T
TokenBatch preference_pairs(const PreferenceRule& rule, const TokenBatch& windows, std::uint64_t seed,
                            std::int64_t step);

}  // namespace hone
