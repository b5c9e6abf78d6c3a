// Shapes in bits for Q23: the power of the bits removed and its rivals, for the damage and for the parameters it is worth.
#pragma once

#include "theory/questions/selection.hpp"
#include "theory/questions/verdict.hpp"

namespace hone::theory {

/// Bits that a model has where nothing is removed, as the published laws count them.
inline constexpr double bits_whole = 16;

/// Held-out errors, within checkpoints, of (16 - P)^delta, of an exponential in P and of the squared step.
/// math    findings WHAT.held_out.SHAPE and WHAT.held_out_difference.SHAPE: squared error of the power minus that of SHAPE
///         (they hold together), and WHAT.best_rival_difference, that of the rival with the least error
/// expects p.log_delta holds the logarithm of what is fitted
void add_removed_shapes(Verdict& verdict, const std::string& what, const std::string& words, const PredictionRows& p,
                        const Thresholds& thresholds);

/// Exponent and shapes of the parameters that quantization costs.
/// math    lost = 1 - N(L + delta)/N(L), N(L) the size that the Chinchilla law of the study's losses gives a loss L at equal
///         tokens (`inference_parameters`); lost.exponent is the slope of ln lost on ln (16 - P) within checkpoints, its
///         interval holds the error of the law; those of the shapes hold the law fixed
/// ensures nothing but a control where the losses do not determine what a size is worth
void add_lost_parameters(Verdict& verdict, const Table& table, const PredictionRows& p, const Thresholds& thresholds);

}  // namespace hone::theory
