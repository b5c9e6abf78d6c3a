// Q6: do weight, activation and KV precision act independently, in the damage or in the effective size, and where does
// that break?
#pragma once

#include "theory/questions/thresholds.hpp"
#include "theory/questions/verdict.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Q6: do weight, activation and KV precision act independently?
/// math    I = Σ_S (-1)^(k-|S|) delta(S) over the sets S of quantized sites below a cell of k = 2 or 3 sites, relative
///         to Σ delta(x) of the single sites, averaged with inverse variances; the same in ln N_eff by Kumar et al.
///         Eq 30 with a Chinchilla law fitted to the main trunk's losses, and as independent noise
///         (1+nu) = Π (1+nu_x) and a product of N_eff would have it
/// ensures of weights x activations from ptq_bits_min bits on: supported when the interval is inside ± q6_tolerance, refuted when disjoint from
///         it. A finding "q6.breaks_down.…" of given bits is 1 when their interval is disjoint from ± q6_breakdown, 0 when
///         inside, NaN otherwise
Verdict judge_composition(const Table& table, const Thresholds& thresholds);

}  // namespace hone::theory
