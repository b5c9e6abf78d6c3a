// Traces, block traces, the diagonal and the Frobenius norm by Hutchinson's estimator with signs: everything that one
// set of probes gives, each with its standard error. Known eigenpairs are deflated and put back exactly.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/base/mean.hpp"
#include "sim/curvature/certificate.hpp"
#include "sim/curvature/extremes.hpp"

namespace hone {

struct TraceOptions {
  int probes = 16;         ///< at least 8 advised: a t interval from fewer is wide and its error poorly known
  std::uint64_t seed = 1;  ///< probe p draws from its own substream
};

/// Mean over probes with its standard error, and what it cost.
struct TraceEstimate : MeanEstimate {
  std::int64_t products = 0;
};

/// Estimates of one probe; each is unbiased for any known pairs.
struct DiagonalSample {
  Vector<double> diagonal;  ///< (n) of A
  double squared_norm = 0;  ///< ‖A‖_F²
};

/// Calls visit(sample) for each probe in order; every estimator below is a visitor, and several may share the probes.
/// math     A = R + UΛU', z signs, y = Rz:  z∘y + Σ_k λ_k u_k²,  ‖y‖² + 2 y'UΛU'z + Σ λ_k²
/// cost     `probes` products and 6·n·k flops each
/// source   Hutchinson 1990; deflation: Girard 1989, Meyer et al. 2021 (arXiv:2010.09649)
void for_each_sample(const LinearOperator& op, const TraceOptions& options, const Eigenpairs* known,
                     const std::function<void(const DiagonalSample&)>& visit);

/// A diagonal that is 0 outside entries [first, first+count).
struct DiagonalWeight {
  Index first = 0, count = 0;
  Vector<double> values = {};  ///< (count), or empty: all 1
};

/// Σ_i w_i d_i.
/// shapes  diagonal (n)
double weighted_sum(const DiagonalWeight& weight, const Vector<double>& diagonal);

/// tr(D_j A) for diagonal weights D_j, all from the same products.
/// math     E[Σ_i w_i z_i (Az)_i] = Σ_i w_i A_ii for signs z; ones give the trace of a block, step²/24 everywhere the
///          zero-parameter prediction of the quantization damage
/// cost     `probes` products
std::vector<TraceEstimate> weighted_traces(const LinearOperator& op, const std::vector<DiagonalWeight>& weights,
                                           const TraceOptions& options, const Eigenpairs* known = nullptr);

/// tr A.
TraceEstimate hutchinson_trace(const LinearOperator& op, const TraceOptions& options,
                               const Eigenpairs* known = nullptr);

/// A partition of the parameters, one id per parameter: layers, output channels.
struct Segments {
  std::vector<int> ids;  ///< (n), each in [0, count)
  int count = 0;
};

/// Σ_{i in segment s} w_i A_ii for every segment, all from the same products; an empty `weights` means 1.
/// cost     `probes` products, 8·probes·count bytes
std::vector<TraceEstimate> segment_traces(const LinearOperator& op, const Segments& segments,
                                          const Vector<double>& weights, const TraceOptions& options,
                                          const Eigenpairs* known = nullptr);

/// Every A_ii with its standard error over probes; +inf for one probe.
struct DiagonalEstimate {
  Vector<double> mean, standard_error;  ///< (n)
  std::int64_t products = 0;
};

/// cost     `probes` products, memory 3·n·8 bytes
/// source   Bekas, Kokiopoulou & Saad 2007, equation 5: for signs the denominator is the number of probes
DiagonalEstimate diagonal_estimate(const LinearOperator& op, const TraceOptions& options,
                                   const Eigenpairs* known = nullptr);

/// ‖A‖_F² = E‖Az‖².
TraceEstimate frobenius_norm2(const LinearOperator& op, const TraceOptions& options, const Eigenpairs* known = nullptr);

enum class TraceStop {
  target_met,        ///< half width of the t interval ≤ target·|mean|
  probes_exhausted,  ///< probes_max reached before that
};

struct AdaptiveTraceOptions {
  double relative_half_width = 0.05;
  double coverage = 0.95;
  int probes_max = 256;
  std::uint64_t seed = 1;
};

struct AdaptiveTrace {
  TraceEstimate estimate;
  double half_width = 0;  ///< of the t interval at `coverage`
  TraceStop stop = TraceStop::probes_exhausted;
};

/// tr A to a relative accuracy. The interval is checked after 8, 12, 18, 27, … probes and never before 8. A rule that
/// checks after every probe, or how far the running mean moved, stops too early by chance.
/// expects  relative_half_width > 0, probes_max ≥ 8
AdaptiveTrace adaptive_trace(const LinearOperator& op, const AdaptiveTraceOptions& options,
                             const Eigenpairs* known = nullptr);

/// Spread between token windows, apart from the error of the probes within each.
struct WindowSpread {
  std::vector<MeanEstimate> windows;
  double mean = 0;
  double standard_deviation = 0;  ///< between windows, as observed; the mean's error is this over √K
  double probe_error = 0;         ///< root mean square of the windows' own standard errors
};

/// C5: one scalar of `count` operators, built from disjoint token windows; measure(w) is that of the w-th.
/// expects  count ≥ 4
WindowSpread between_windows(Index count, const std::function<MeanEstimate(Index window)>& measure);

/// The spread as a record for a reader: sd over windows relative to |mean|, no limit; and the probes' share of it,
/// which must stay below 1 for the spread to be the windows'.
std::vector<Certificate> certify_windows(const WindowSpread& spread);

}  // namespace hone
