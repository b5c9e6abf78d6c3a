#include "sim/import/greedy.hpp"

#include "sim/base/error.hpp"
#include "sim/layers/next_token.hpp"
#include "sim/model/decoder.hpp"

namespace hone {

template <class S>
std::vector<std::uint16_t> greedy_continue(const Transformer<S>& model, const S* theta,
                                           std::span<const std::uint16_t> prompt, Index count) {
  const Index positions = model.options().positions;
  EXPECTS(!prompt.empty() && count >= 0 && Index(prompt.size()) + count <= positions + 1,
          "greedy_continue: prompt of {} and {} tokens more in a context of {}", prompt.size(), count, positions);
  std::vector<std::uint16_t> continuation;
  if (count == 0) return continuation;
  const auto next = [](ConstMatView<S> logits) {
    return std::uint16_t(likeliest<S>(ConstVecView<S>(logits.data(), logits.size())));
  };
  Decoder<S> decoder(model, theta, {});
  continuation.push_back(next(decoder.prefill(prompt)));
  while (Index(continuation.size()) < count)
    continuation.push_back(next(decoder.step(std::span(continuation).last(1))));
  return continuation;
}

template std::vector<std::uint16_t> greedy_continue<float>(const Transformer<float>&, const float*,
                                                           std::span<const std::uint16_t>, Index);
template std::vector<std::uint16_t> greedy_continue<double>(const Transformer<double>&, const double*,
                                                            std::span<const std::uint16_t>, Index);

}  // namespace hone
