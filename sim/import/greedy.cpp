#include "sim/import/greedy.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace hone {

template <class S>
std::vector<std::uint16_t> greedy_continue(const Transformer<S>& model, const S* theta,
                                           std::span<const std::uint16_t> prompt, Index count) {
  const Index positions = model.options().positions;
  EXPECTS(!prompt.empty() && count >= 0 && Index(prompt.size()) + count <= positions + 1,
          "greedy_continue: prompt of {} and {} tokens more in a context of {}", prompt.size(), count, positions);
  // Later positions cannot change earlier logits, so what fills the rest of the window does not matter.
  TokenBatch window{1, positions, std::vector<std::uint16_t>(size_t(positions) + 1)};
  std::copy(prompt.begin(), prompt.end(), window.tokens.begin());
  model.check(window);
  auto acts = model.make_acts(1);
  std::vector<std::uint16_t> continuation;
  for (Index at = Index(prompt.size()) - 1; Index(continuation.size()) < count; ++at) {
    model.forward(theta, window, 0, acts, Precision{});
    const S* row = acts.logits.data + at * acts.logits.cols;
    continuation.push_back(std::uint16_t(std::max_element(row, row + acts.logits.cols) - row));
    window.tokens[size_t(at) + 1] = continuation.back();
  }
  return continuation;
}

template std::vector<std::uint16_t> greedy_continue<float>(const Transformer<float>&, const float*,
                                                           std::span<const std::uint16_t>, Index);
template std::vector<std::uint16_t> greedy_continue<double>(const Transformer<double>&, const double*,
                                                            std::span<const std::uint16_t>, Index);

}  // namespace hone
