// AWQ on matrices: channel scales that make the weights of strong inputs be rounded more finely, and clipping of the
// weights' range, both by search over a short list for the least change of the outputs on the calibration inputs.
//   shapes  every W (·,C)  gram H (C,C) = (2/n) XᵀX  mean_abs (C)
//   source  Lin et al. 2024 (arXiv:2306.00978)
#pragma once

#include <vector>

#include "sim/formats/quantizer.hpp"

namespace hone {

/// Scales for the weights that share one input: W' = W diag(s), X' = X diag(1/s).
struct AwqScales {
  std::vector<double> scales;  ///< (C)
  double exponent = 0;         ///< r of the best; 0 = rounding to nearest, all scales 1
  double error = 0;            ///< Σ_W tr(D H Dᵀ), D = Q(W diag s) diag(1/s) - W
  double rtn_error = 0;        ///< the same at r = 0
};

/// The best of r = 0, 0.05, …, 0.95.
/// math     s_j = max(mean_abs_j^r, 1e-4)/√(max·min)
/// expects  at least one weight; finite values, mean_abs ≥ 0; a quantizer that is on
/// ensures  error ≤ rtn_error; of equal errors the least r
/// cost     20 products D H
AwqScales awq_scales(const std::vector<Matrix<double>>& weights, ConstMatRef<double> gram,
                     const std::vector<double>& mean_abs, const Quantizer& quantizer);

/// A matrix whose groups were clipped to ± a share of their absmax.
struct AwqClip {
  Matrix<double> clipped;      ///< W with every value inside its group's limit
  std::vector<double> shares;  ///< of each group in the order of for_each_group; 1 = not clipped
  double error = 0;            ///< Σ over groups of tr(D_g H_gg D_gᵀ), D = Q(clipped) - W
  double rtn_error = 0;        ///< the same without clipping
};

/// The best limit of each group among 1, 0.95, …, 0.55 of its absmax, each group by its own part of the outputs. The
/// published search also bounds asymmetric groups on both sides alike.
/// ensures  error ≤ rtn_error, group by group; of equal errors the widest limit
/// cost     10 products D_g H_gg of each group of columns
AwqClip awq_clip(ConstMatRef<double> w, ConstMatRef<double> gram, const Quantizer& quantizer);

}  // namespace hone
