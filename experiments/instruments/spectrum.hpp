// The certified spectrum of one operator: eigenpairs at both ends, density with the pairs as atoms, and weighted traces
// with the pairs deflated. A small operator is formed as a matrix; a large one is used through products. Every number has
// the certificates of sim/curvature.
#pragma once

#include <string>
#include <vector>

#include "experiments/study/study.hpp"
#include "sim/curvature/density.hpp"
#include "sim/curvature/trace.hpp"

namespace hone::experiments {

struct Spectrum {
  Eigenpairs pairs;
  SpectralDensity density;
  std::vector<TraceEstimate> traces;  ///< one per weight; the first is 1 everywhere
  TraceEstimate second_trace;         ///< of an independent estimator
  TraceEstimate norm2;                ///< ‖H‖_F²
  std::vector<Certificate> certificates;

  /// Vectors and values of the upper end only.
  Basis top_vectors() const { return pairs.vectors.leftCols(pairs.largest); }
  Vector<double> top_values() const { return pairs.values.head(pairs.largest); }
};

/// units    noise_floor: relative rounding of the products, 0 for float64
/// expects  the first weight is 1 everywhere
/// cost     dense: op.size products; otherwise lanczos_steps (up to 4 times that), completeness_steps,
///          slq_probes·slq_steps and trace_probes products
Spectrum measure_spectrum(const LinearOperator& op, const MeasureSpec& spec, std::uint64_t seed, double noise_floor,
                          const std::vector<DiagonalWeight>& weights);

/// Most products that measure_spectrum takes without the dense route, for plans and progress.
double spectrum_products(const MeasureSpec& spec);
/// Peak bytes of measure_spectrum beside the operator's own.
std::int64_t spectrum_bytes(const MeasureSpec& spec, Index size);

/// The worst certificate of each kind, in a fixed order: a failed one before a passed one, then
/// the largest share of its limit. A kind that was not measured has the value NaN and an empty claim.
std::vector<Certificate> worst_of_each_kind(const std::vector<Certificate>& certificates);

/// Rows of one checkpoint: eigenvalues, density, trace, certificates.
void add_spectrum_rows(const Spectrum& spectrum, const MeasureSpec& spec, Dataset& group);

}  // namespace hone::experiments
