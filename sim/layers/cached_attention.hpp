// Attention of one query over the keys and values that a cache holds, for one head.
//   shapes  q, out (hd)   keys (hd, key_stride), position after position   values (length, value_stride)
#pragma once

#include "sim/layers/softmax.hpp"

namespace hone {

/// Positions whose scores are summed together in registers; rows of keys hold a multiple of it.
inline constexpr Index score_block = 32;

/// Channels whose outputs are summed together in registers.
inline constexpr Index output_block = 16;

namespace HONE_CLASS {

/// scores = q'k of every cached position, up to the end of the last block.
template <class S>
inline __attribute__((always_inline)) void cached_scores(S* scores, const S* q, const S* keys, Index key_stride,
                                                         Index head_width, Index length) {
  for (Index first = 0; first < length; first += score_block) {
    S sums[score_block] = {};
    for (Index c = 0; c < head_width; ++c) {
      const S* k = keys + c * key_stride + first;
      for (Index j = 0; j < score_block; ++j) sums[j] = madd(q[c], k[j], sums[j]);
    }
    for (Index j = 0; j < score_block; ++j) scores[first + j] = sums[j];
  }
}

/// out = Σ_j p_j v_j of `count` channels, positions in order.
template <class S>
inline __attribute__((always_inline)) void cached_output(S* out, const S* p, const S* v, Index value_stride,
                                                         Index count, Index length) {
  S sums[output_block] = {};
  for (Index j = 0; j < length; ++j, v += value_stride)
    for (Index c = 0; c < count; ++c) sums[c] = madd(p[j], v[c], sums[c]);
  for (Index c = 0; c < count; ++c) out[c] = sums[c];
}

/// out = Σ_j softmax(scale·q'k)_j v_j.
/// expects  scratch for `length` rounded up to score_block
/// cost     4·hd·length flops
template <class S>
void attend_cached(S* out, const S* q, const S* keys, Index key_stride, const S* values, Index value_stride,
                   Index head_width, Index length, S scale, S* scratch) {
  cached_scores(scratch, q, keys, key_stride, head_width, length);
  S top(0), total(0);
  softmax_row(scratch, scratch, length, scale, &top, &total);
  for (Index first = 0; first < head_width; first += output_block) {
    const Index count = head_width - first < output_block ? head_width - first : output_block;
    if (count == output_block)
      cached_output(out + first, scratch, values + first, value_stride, output_block, length);
    else
      cached_output(out + first, scratch, values + first, value_stride, count, length);
  }
}

}  // namespace HONE_CLASS

#define HONE_CACHED_ATTENTION_KERNELS(K) K(CachedAttentionKernels, attend_cached)
HONE_KERNEL_TABLE(CachedAttentionKernels, HONE_CACHED_ATTENTION_KERNELS)

}  // namespace hone
