// Q6: do weight, activation and KV precision act independently when they are quantized after training, at which bits, and
// where does that break?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q6: do weight, activation and KV precision act independently when they are quantized after training?
/// math    I = Σ_S (-1)^(k-|S|) delta(S) over the sets S of quantized sites below a combination of bits of k = 2 or 3
///         sites, relative to Σ delta(x) of the single sites, averaged with inverse variances over the checkpoints at each
///         combination; against 0, against independent noise (1+nu) = Π (1+nu_x), which gives Π nu/Σ nu, and against a
///         product of N_eff by Kumar et al. Eq 30 with a Chinchilla law fitted to the main trunk's losses
/// ensures the intervals of a map hold together. The rule reads weights x activations from ptq_bits_min bits on
///         (composition_rule). Findings of a combination, here W3A4:
///         "q6.interaction.w3a4" with "q6.independent.w3a4" and "q6.product.w3a4"; "q6.agrees.additive.w3a4",
///         "….independent.…" and "….product.…" are 1 where the interval holds the prediction, 0 where it excludes it, NaN
///         where unknown; "q6.breaks_down.w3a4" is 1 where the interval is disjoint from ± the larger of q6_tolerance and
///         its band, 0 inside, NaN otherwise; "q6.dominated.w3a8" is the interaction relative to the smaller damage where
///         one site dominates the sum, "q6.unbalanced.w3a8" the number of such pairs. Of a map: "q6.super_additive.wxa",
///         "q6.sub_additive.wxa", "q6.above_band.wxa", "q6.below_band.wxa" count combinations, "q6.holds_from.wxa" is the
///         fewest bits from which on none fails to add up, "q6.farthest.wxa" the interval that reaches farthest from 0,
///         "q6.overall.wxa" the mean, which decides nothing
Verdict judge_composition(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
