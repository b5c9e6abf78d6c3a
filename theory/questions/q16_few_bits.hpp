// Q16: does training at one to two bits follow the law of effective parameters fitted at more bits, and does the scale of
// that law depend on the procedure?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q16: N (1 - exp(-P/gamma_w)), fitted to straight-through training at q16_bits_min bits and more, held against models
/// trained at fewer bits by any procedure.
/// math    ln (N_eff/N) - ln (1 - exp(-P/gamma_w)) of models of one procedure and width, averaged; N_eff from the rise of
///         the loss over full precision of equal size, tokens, seed and recipe, by a Chinchilla law of the study's own
///         losses. Ternary weights count log2(3) bits, signs 1 bit. gamma_w of a procedure is fitted alike to its models
///         at q16_bits_min bits and more, and apart to those below ("_low")
/// ensures the intervals of all procedures and widths that decide hold together (few_bits_rule), and those of all scales
///         over that of straight-through training too (procedure_rule). Findings of a procedure at a width, here bitnet:
///         "q16.fraction.bitnet_1_58" beside "q16.law.bitnet_1_58", "q16.residual.bitnet_1_58" in ln and
///         "q16.excess.bitnet_1_58" in nats beyond the law; "q16.residual" over all models below q16_bits_min.
///         "q16.scale.lsq", "q16.scale.bitnet_low" in bits, "q16.gap.lsq" and the like in ln; "q16.one_scale" is 1 where
///         no procedure departs, 0 where one does, NaN where that is open; "q16.gap" is that of the procedure that decides.
///         Models with experts are left to Q18. What it costs to quantize further stands beside (q16_further.hpp)
Verdict judge_few_bits(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
