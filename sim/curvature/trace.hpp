// Traces by Hutchinson's estimator with signs, several weightings of the diagonal from the same products.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/curvature/extremes.hpp"

namespace hone {

struct TraceOptions {
  int probes = 16;
  std::uint64_t seed = 1;
};

/// Mean over probes and its standard error, √(variance/probes); the error is +inf for one probe.
struct TraceEstimate {
  double mean = 0;
  double standard_error = 0;
};

/// tr(D_j A) for diagonal weights D_j, all from the same products.
/// math     E[Σ_i w_i z_i (Az)_i] = Σ_i w_i A_ii for signs z. With known pairs (U, Λ) the part U Λ U' is taken out of
///          the noise and put back exactly: z∘(A - UΛU')z + Σ_k λ_k u_k²; unbiased whatever the pairs are.
/// shapes   each weight vector (n); w = 1 gives the trace, an indicator a block trace, step²/24 the zero-parameter
///          prediction of the quantization damage
/// cost     `probes` products
/// source   Hutchinson 1990; deflation: Girard 1989, Meyer et al. 2021 (Hutch++)
std::vector<TraceEstimate> weighted_traces(const LinearOperator& op, const std::vector<Vector<double>>& weights,
                                           const TraceOptions& options, const Eigenpairs* known = nullptr);

}  // namespace hone
