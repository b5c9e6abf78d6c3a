// What it costs to quantize weights further that were trained at few bits, beside models trained in full precision.
// Internal to Q16.
#pragma once

#include "theory/questions/findings.hpp"

namespace hone::theory {

/// Adds what quantization below the bits of training costs: of trunks with weights trained below 16 bits at P bits, fewer
/// than those, beside full precision of equal size, tokens, seed and recipe at the same P.
/// math    cost = loss at P bits - loss at the precision of training
/// ensures "q16.further" is the mean of cost minus that of full precision in nats, negative where training at few bits
///         helps, and "q16.further.w4_to_w3" that of 4 bits of training and 3 after it. "q16.further.exponent_gap" is the
///         exponent of D of the cost of models trained below 4 bits minus that of full precision at the same P. Nothing is
///         added without such rows
void add_further_quantization(Verdict& verdict, const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
