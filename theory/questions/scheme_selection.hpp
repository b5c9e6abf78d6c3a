// Rows of schemes of quantization as the questions on them read them.
#pragma once

#include "theory/questions/selection.hpp"

namespace hone::theory {

/// A scheme on a transformer's main trunk with activations and cache at full precision: the second order is that of the
/// weights alone.
bool is_scheme_of_weights(const SchemeRow& row);

/// Bits of a ladder within the study's range; a format, whose width is its own, always.
bool is_within_bits(const SchemeRow& row, const Thresholds& thresholds);

/// e'He/2 in nats, with H on windows other than those of the damage where it was recorded.
double second_order(const SchemeRow& row);

/// Damage less its first-order term g'e, in nats.
double remainder(const SchemeRow& row);

/// Its standard error; that of the whole damage, an upper bound, where it was not recorded.
double remainder_error(const SchemeRow& row);

}  // namespace hone::theory
