// The likeliest continuation of a prompt: a check that an imported model and its tokenizer belong together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/model/transformer.hpp"

namespace hone {

/// The `count` tokens after the prompt, each the argmax of the logits, the smallest id among equals.
/// expects  a prompt of at least one token; prompt and continuation fit in the context
/// cost     a copy of theta; one decoding step per token
template <class S>
std::vector<std::uint16_t> greedy_continue(const Transformer<S>& model, const S* theta,
                                           std::span<const std::uint16_t> prompt, Index count);

extern template std::vector<std::uint16_t> greedy_continue<float>(const Transformer<float>&, const float*,
                                                                  std::span<const std::uint16_t>, Index);
extern template std::vector<std::uint16_t> greedy_continue<double>(const Transformer<double>&, const double*,
                                                                   std::span<const std::uint16_t>, Index);

}  // namespace hone
