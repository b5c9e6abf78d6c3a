#include "sim/curvature/trace.hpp"

#include <cmath>
#include <limits>

namespace hone {
namespace {

/// Mean and standard error of x with the sum and the sum of squared deviations taken in order.
TraceEstimate summarize(const std::vector<double>& x) {
  double mean = 0, squares = 0;
  for (double value : x) mean += value;
  mean /= double(x.size());
  for (double value : x) squares += (value - mean) * (value - mean);
  if (x.size() < 2) return {mean, std::numeric_limits<double>::infinity()};
  return {mean, std::sqrt(squares / double(x.size() - 1) / double(x.size()))};
}

}  // namespace

std::vector<TraceEstimate> weighted_traces(const LinearOperator& op, const std::vector<Vector<double>>& weights,
                                           const TraceOptions& o, const Eigenpairs* known) {
  EXPECTS(o.probes >= 1, "trace: {} probes", o.probes);
  for (const auto& w : weights) EXPECTS(w.size() == op.size, "trace: {} weights for size {}", w.size(), op.size);
  std::vector<std::vector<double>> samples(weights.size());
  Vector<double> z(op.size), product, diagonal(op.size);
  Vector<double> exact = Vector<double>::Zero(op.size);
  if (known)
    for (Index k = 0; k < known->values.size(); ++k) exact += known->values[k] * known->vectors.col(k).cwiseAbs2();
  for (int p = 0; p < o.probes; ++p) {
    const Stream stream{o.seed, Domain::probe, static_cast<std::uint32_t>(0x10000 + p)};
    for (Index i = 0; i < op.size; ++i) z[i] = rademacher(stream, std::uint64_t(i));
    op.apply(z, product);
    if (known) product -= known->vectors * known->values.cwiseProduct(known->vectors.transpose() * z);
    diagonal = z.cwiseProduct(product) + exact;
    for (size_t j = 0; j < weights.size(); ++j) samples[j].push_back(weights[j].dot(diagonal));
  }
  std::vector<TraceEstimate> estimates;
  for (const auto& s : samples) estimates.push_back(summarize(s));
  return estimates;
}

}  // namespace hone
