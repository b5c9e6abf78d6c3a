// Traces by random low-rank approximation, Hutch++ and XTrace, for operators whose spectrum decays and whose top pairs
// are not known; and the certified trace, which sets the default estimator against one of these.
#pragma once

#include "sim/curvature/trace.hpp"

namespace hone {

struct SketchOptions {
  int products = 48;       ///< at most
  std::uint64_t seed = 1;  ///< of sketch and probes
};

/// Hutch++: the trace on the range of a sketch exactly, Hutchinson on the rest.
/// math     s = products/3, Q = orth(AS), S (n,s) signs:  tr Q'AQ + mean of g'(I-QQ')A(I-QQ')g over s signs g;
///          unbiased for any Q that is independent of g, also when AS has not full rank
/// ensures  standard error over the s samples of the rest, given Q
/// expects  products ≥ 3; s ≤ n, a larger s is cut to n
/// cost     at most 3s products (2s + rank), memory 4·n·s·8 bytes
/// source   Meyer, Musco, Musco & Woodruff 2021 (arXiv:2010.09649), algorithm 1
TraceEstimate hutch_plus_plus(const LinearOperator& op, const SketchOptions& options);

/// XTrace: s = products/2 vectors, each of them a test vector against the range of all the others.
/// math     Q R = Y = AΩ, Ω (n,s) normal; without column i the range is Q(I - s_i s_i')Q', s_i ⟂ r_j for j ≠ i;
///          t_i = tr on that range + (n - its rank)·e'Ae/‖e‖², e = ω_i minus its part in that range
/// ensures  standard error over the t_i, which share all but one vector: too small for fast decay, so confirm it.
///          A column that the others span, up to 100ε‖R‖, leaves the range as it is: low rank and A = 0 are exact.
/// expects  products ≥ 4; s ≤ n, a larger s is cut to n
/// cost     at most 2s products (s + rank), memory 4·n·s·8 bytes, and 2·s⁴ flops for the s_i by least squares in place
///          of R⁻¹, which does not exist at low rank
/// source   Epperly, Tropp & Webber 2024 (arXiv:2301.07825), algorithm 2 and section 2.1.2 (normalization)
TraceEstimate xtrace(const LinearOperator& op, const SketchOptions& options);

/// A trace with a second opinion.
struct CertifiedTrace {
  TraceEstimate estimate;  ///< deflated Hutchinson
  TraceEstimate check;     ///< Hutch++ with other draws, blind to the known pairs
  double half_width = 0;   ///< t interval of the estimate at 95 %
  std::vector<Certificate> certificates;
};

/// C4: estimate and check differ by at most 3 combined standard errors (and 1e-12 √n‖A‖_F, a bound of Σ|λ|, which
/// decides when both errors are rounding); at least 8 samples; the relative half width is published without a limit.
/// cost     probes + 3·max(8, probes/3) products, memory of Hutch++
CertifiedTrace certified_trace(const LinearOperator& op, const TraceOptions& options,
                               const Eigenpairs* known = nullptr);

}  // namespace hone
