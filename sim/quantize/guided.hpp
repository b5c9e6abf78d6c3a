// Guided Gram matrices: the inputs of a linear weighted by how much the loss reacts to its outputs. With them the
// error that GPTQ and codebooks minimize is that of the loss to second order, not that of the layer's output.
//   shapes  X (n,I) inputs  G (n,O) = ∂ℓ/∂Z, Z = X Wᵀ  D = Q - W (O,I)
//   source  Kim et al. 2025 (arXiv:2505.07004)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/quantize/calibration.hpp"
#include "sim/quantize/gptq.hpp"

namespace hone {

/// First row of group k of `groups` nearly equal groups of `rows` rows; row_group(rows, groups, groups) is `rows`.
Index row_group(Index rows, Index groups, Index k);

/// GPTQ with one H for each group of rows; the dead columns and the damping of the worst group are reported.
/// errors  OptionError as gptq, and for tensor granularity: its step would be shared by rows that are worked apart
GptqResult gptq_guided(ConstMatRef<double> w, const std::vector<Matrix<double>>& grams, const GptqOptions& options);

struct GuidedOptions {
  Index groups = 4;  ///< of output channels, per weight; fewer when it has fewer rows
  ChunkOptions chunks = {};
  /// Seed of labels drawn from the model; the labels of the data when empty. At a minimum that fits every label the
  /// gradients at the data's labels vanish and F with them: use drawn labels or a held-out set there.
  std::optional<std::uint64_t> sampled_labels = std::nullopt;
};

/// The guided Gram matrices of one weight.
/// math     F_k = (1/n) Σ_t mean_{j in k}(G_tj²) x_t x_tᵀ for groups k of consecutive outputs; with a group for each
///          output Σ_j d_jᵀ F_j d_j = ‖G ⊙ (X Dᵀ)‖²/n
struct GuidedStatistics {
  std::string block;
  std::vector<Matrix<double>> grams;
  Index tokens = 0;  ///< that they are sums over: those with a gradient at the outputs, which an expert shares
};

/// Of all quantizable blocks in layout order, at full precision; ℓ is the sum of the tokens' losses in nats.
/// ensures  bits depend on the chunk size, never on the threads
/// cost     one forward and one backward pass, groups·channels² flops per token and weight;
///          4 times the memory of the result
template <class S>
std::vector<GuidedStatistics> guided_statistics(const Transformer<S>& model, const S* theta, const TokenBatch& data,
                                                const GuidedOptions& options);

extern template std::vector<GuidedStatistics> guided_statistics(const Transformer<float>&, const float*,
                                                                const TokenBatch&, const GuidedOptions&);
extern template std::vector<GuidedStatistics> guided_statistics(const Transformer<double>&, const double*,
                                                                const TokenBatch&, const GuidedOptions&);

}  // namespace hone
