// Norm folding: gains and biases of the norms move into the linear maps that read them, and LayerNorm becomes RMSNorm.
// What is left between the linears is x/rms(x), which commutes with every rotation of the residual stream.
#pragma once

#include <string>
#include <vector>

#include "sim/model/transformer.hpp"

namespace hone {

/// A model as a point: the same function can be written with several options and parameters.
struct Parametrization {
  TransformerOptions options;
  AlignedVector<double> theta;  ///< of options.layout()

  AlignedVector<float> rounded_to_float() const { return {theta.begin(), theta.end()}; }
};

/// A linear map y = W x + b by its blocks; `bias` may be absent from a layout.
struct LinearNames {
  std::string weight, bias;
};

/// A norm and the linears that read its output.
struct NormSite {
  std::string norm;  ///< prefix of norm.weight and norm.bias
  std::vector<LinearNames> readers;
};

/// attn_norm and mlp_norm of every layer in order, then final_norm, which the head reads.
std::vector<NormSite> norm_sites(const TransformerOptions& options);

/// The linears that write to the residual stream: wo and w_down of every layer.
std::vector<LinearNames> stream_writers(const TransformerOptions& options);

/// The same function with norms whose gain is 1 and that have no bias.
/// math     W' = W diag(γ), b' = b + W β for the readers of a norm; for LayerNorm also E' = E - (row means), the same
///          for positions, and W' = (I - 11'/C) W, b' = b - mean b for the writers, after which Norm::rms is exact
/// shapes   theta (options.layout().size())
/// ensures  options: norm = rms, head untied (a tied head is copied first); where the norm was LayerNorm, bias and
///          head_bias are on; folding twice changes nothing
/// errors   OptionError when a LayerNorm with bias feeds w_gate, which has none to take it
/// source   Ashkboos et al. 2024 (SliceGPT, arXiv:2401.15024). For RMSNorm no mean may be subtracted: it is not
///          invariant to it
Parametrization fold_norms(const TransformerOptions& options, const double* theta);

}  // namespace hone
