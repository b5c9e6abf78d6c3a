#include "sim/data/preference.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace hone {

double reward_of(const PreferenceRule& rule, std::span<const std::uint16_t> answer) {
  return double(std::count(answer.begin(), answer.end(), rule.token));
}

TokenBatch preference_pairs(const PreferenceRule& rule, const TokenBatch& windows, std::uint64_t seed,
                            std::int64_t step) {
  EXPECTS(windows.sequences >= 2 && rule.prompt >= 1 && rule.prompt <= windows.positions,
          "preference: {} windows of {} tokens with a prompt of {}", windows.sequences, windows.positions, rule.prompt);
  const Index width = windows.positions + 1;
  const Stream stream{seed, Domain::label, std::uint32_t(step)};
  TokenBatch pairs{2 * windows.sequences, windows.positions, {}};
  for (Index b = 0; b < windows.sequences; ++b) {
    const auto prompt = windows.tokens.begin() + b * width;
    const auto answered = [&](Index by) {
      std::vector<std::uint16_t> window(prompt, prompt + rule.prompt);
      const auto other = windows.tokens.begin() + by * width;
      window.insert(window.end(), other + rule.prompt, other + width);
      return window;
    };
    const auto reward = [&](const std::vector<std::uint16_t>& window) {
      return reward_of(rule, std::span(window).subspan(size_t(rule.prompt)));
    };
    std::vector<std::uint16_t> first = answered(b), second = answered((b + 1) % windows.sequences);
    const double likes_first = 1 / (1 + std::exp(reward(second) - reward(first)));
    if (uniform(stream, std::uint64_t(b)) >= likes_first) std::swap(first, second);
    pairs.tokens.insert(pairs.tokens.end(), first.begin(), first.end());
    pairs.tokens.insert(pairs.tokens.end(), second.begin(), second.end());
  }
  return pairs;
}

}  // namespace hone
