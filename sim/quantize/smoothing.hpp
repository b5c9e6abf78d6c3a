// SmoothQuant: channel scales that move the outliers of a linear's input into its weights. The scales 1/s are folded in
// the gain and bias of the norm in front, s in the columns of all its readers, so the function at full precision stays.
// Inputs of wo and w_down have no norm in front and are not smoothed.
//   source  Xiao et al. 2023 (arXiv:2211.10438); one s for all readers of a norm and the clamps as in its smooth.py
#pragma once

#include <vector>

#include "sim/formats/quantizer.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

/// Least scale, and least weight maximum, of a channel.
inline constexpr double smoothing_floor = 1e-5;

/// math     s_j = max|X_j|^α / max_i|W_ij|^(1-α), the weight maximum over all rows of all `weights`; both it and s_j are
///          clamped to ≥ 1e-5. α = 0 is not "off" but s = 1/max|W|; α = 1 makes all max|X_j/s_j| equal
/// shapes   max_abs (C); every weight (·, C)
/// expects  0 ≤ α ≤ 1, at least one weight, max_abs finite and ≥ 0
/// errors   OptionError when α is outside [0, 1]
std::vector<double> smoothing_scales(const std::vector<double>& max_abs,
                                     const std::vector<ConstMatView<double>>& weights, double alpha);

/// The same function with smoothed inputs at the norm sites, in the order of norm_sites without the final norm:
/// attn_norm and mlp_norm of each layer.
/// math     γ' = γ/s, β' = β/s, W' = W diag(s)
/// shapes   theta (options.layout().size()); max_abs (2·layers, C), of the values the norms give; alpha (2·layers)
/// errors   OptionError when α is outside [0, 1]
AlignedVector<double> smooth(const TransformerOptions& options, const double* theta,
                             const std::vector<std::vector<double>>& max_abs, const std::vector<double>& alpha);

/// What a choice of α reads of one site: its input's statistics and the weights that share it.
struct SmoothingSite {
  std::vector<double> max_abs;                ///< (C)
  Matrix<double> gram;                        ///< (C,C) X'X/n
  std::vector<ConstMatView<double>> weights;  ///< (·,C) each
};

/// Quantizers the model will run with, and the grid α = 0, 1/steps, …, 1.
struct AlphaSearch {
  Quantizer weight = {}, activation = {};
  int steps = 20;
};

struct AlphaChoice {
  double alpha = 0;
  double output_mse = 0;  ///< predicted, of y = X W' over all outputs of the site
};

/// Predicted mean squared error of the site's outputs after smoothing with `scales` and quantizing.
/// math     1/O·Σ_W [tr(D G_s D') + Σ_j Δ_j²/12·‖Ŵ_j‖²],  Ŵ = Q(W diag s),  D = Ŵ - W diag s,  G_s = G/(s s')
///          Δ_j is the activation step at column j: for Granularity::tensor over ±max_j(max|X_j|/s_j); for tokens and
///          groups over ±√E[max²] of independent normals with the variances of G_s. Errors of weights and inputs are
///          taken as uncorrelated
double smoothed_output_mse(const SmoothingSite& site, const std::vector<double>& scales, const Quantizer& weight,
                           const Quantizer& activation);

/// The α of the grid with the least smoothed_output_mse; of equals the least α.
/// errors   OptionError when steps < 1; those of Quantizer::validate
AlphaChoice choose_alpha(const SmoothingSite& site, const AlphaSearch& search);

}  // namespace hone
