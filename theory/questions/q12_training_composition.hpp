// Q12: do weight, activation and KV precision compose independently in training, at which bits, and where does that break?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q12: is N_eff of models trained with several sites at few bits the product of the single sites'? Q6 asks the like of
/// quantization after training.
/// math    ln f(joint) - Σ ln f(site) of models of equal size, tokens and seed; f = N_eff/N from the rise of the loss over
///         full precision by a Chinchilla law of the study's own losses (Kumar et al. Eq 30), averaged over the models of
///         a cell of training bits. A product of N_eff gives 0; rises of the loss that add up give
///         (1/alpha) ln(Π(1 + x)/(1 + Σ x)), x = f^-alpha - 1; independent noise multiplies their sum by
///         (Π(1 + nu) - 1)/Σ nu. Intervals hold the error of the law (interval_with_law)
/// ensures the intervals of all cells that decide hold together (training_composition_rule). Findings of a cell, here W3A4:
///         "q12.fraction.w3a4" beside "q12.product.w3a4"; "q12.interaction.w3a4" beside "q12.additive.w3a4" and
///         "q12.independent.w3a4"; "q12.agrees.product.w3a4", "….additive.…" and "….independent.…" are 1 where the
///         interval holds the prediction, 0 where it excludes it, NaN where unknown; "q12.breaks_down.w3a4" is 1 outside
///         ± q12_tolerance, 0 inside, NaN otherwise. "q12.fraction.w3" is that of one site, "q12.third_order.w4a4kv4" what
///         no pair explains. Of sites: "q12.below_product.wxa", "q12.above_product.wxa" count the cells of each sign,
///         "q12.holds_from.wxa" is the fewest bits from which on every cell is inside the band.
///         "q12.joint_optimal_bits" is the P of most f/P with P bits in all sites lowered together, absent without a
///         ladder of three such P or where f/P still rises at its fewest bits
Verdict judge_training_composition(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
