// Widths by matrix, or by quarters of a matrix's rows, under a budget of bits; rounding itself is to nearest.
#pragma once

#include "experiments/instruments/schemes.hpp"

namespace hone::experiments {

/// The widths a mixed rule chooses from.
inline constexpr int mixed_widths[] = {2, 3, 4, 5, 6, 7, 8};

/// A mixed rule at an average of `bits` per weight, scales included.
QuantizedModel quantize_mixed(AllocationScore score, int bits, const TransformerOptions& options,
                              const AlignedVector<float>& reference, const SchemeInput& input,
                              const BlockTraces& block_traces);

}  // namespace hone::experiments
