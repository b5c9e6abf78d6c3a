#include "sim/curvature/trace.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/curvature/probe.hpp"

namespace hone {
namespace {

constexpr int fewest_probes = 8;

constexpr int probes_per_call = 8;  ///< for operators that multiply many columns at once

/// The sample of probe z with product Az, given the diagonal of the known part.
void read_sample(const Vector<double>& z, Vector<double> product, const Vector<double>& exact, const Eigenpairs* known,
                 DiagonalSample& sample) {
  sample.squared_norm = 0;
  if (known) {
    const Vector<double> known_part = known->vectors * known->values.cwiseProduct(known->vectors.transpose() * z);
    product -= known_part;
    sample.squared_norm = 2 * product.dot(known_part) + known->values.squaredNorm();
  }
  sample.diagonal = z.cwiseProduct(product) + exact;
  sample.squared_norm += product.squaredNorm();
}

/// Samples of the probes [first, last).
void sample_range(const LinearOperator& op, std::uint64_t seed, int first, int last, const Eigenpairs* known,
                  const std::function<void(const DiagonalSample&)>& visit) {
  if (known) check_known(*known, op.size);
  Vector<double> exact = Vector<double>::Zero(op.size);
  if (known)
    for (Index k = 0; k < known->values.size(); ++k) exact += known->values[k] * known->vectors.col(k).cwiseAbs2();
  const int width = op.apply_many ? probes_per_call : 1;
  Basis probes, products;
  DiagonalSample sample;
  for (int p = first; p < last; p += width) {
    probes.resize(op.size, std::min(width, last - p));
    for (Index j = 0; j < probes.cols(); ++j)
      probes.col(j) = sign_probe(seed, ProbeUse::trace, std::uint32_t(p + j), op.size);
    multiply(op, probes, products);
    for (Index j = 0; j < probes.cols(); ++j) {
      read_sample(probes.col(j), products.col(j), exact, known, sample);
      visit(sample);
    }
  }
}

TraceEstimate estimate_of(const std::vector<double>& samples) {
  return {mean_with_error(samples), std::int64_t(samples.size())};
}

std::vector<TraceEstimate> estimates_of(const std::vector<std::vector<double>>& samples) {
  std::vector<TraceEstimate> estimates;
  estimates.reserve(samples.size());
  for (const auto& s : samples) estimates.push_back(estimate_of(s));
  return estimates;
}

}  // namespace

double weighted_sum(const DiagonalWeight& w, const Vector<double>& diagonal) {
  const auto part = diagonal.segment(w.first, w.count);
  return w.values.size() > 0 ? w.values.dot(part) : part.sum();
}

void for_each_sample(const LinearOperator& op, const TraceOptions& o, const Eigenpairs* known,
                     const std::function<void(const DiagonalSample&)>& visit) {
  EXPECTS(o.probes >= 1, "trace: {} probes", o.probes);
  sample_range(op, o.seed, 0, o.probes, known, visit);
}

std::vector<TraceEstimate> weighted_traces(const LinearOperator& op, const std::vector<DiagonalWeight>& weights,
                                           const TraceOptions& o, const Eigenpairs* known) {
  for (const DiagonalWeight& w : weights) {
    EXPECTS(w.first >= 0 && w.count >= 0 && w.first + w.count <= op.size,
            "trace: weights of entries {} to {} for size {}", w.first, w.first + w.count, op.size);
    EXPECTS(w.values.size() == 0 || w.values.size() == w.count, "trace: {} weights for {} entries", w.values.size(),
            w.count);
  }
  std::vector<std::vector<double>> samples(weights.size());
  for_each_sample(op, o, known, [&](const DiagonalSample& s) {
    for (size_t j = 0; j < weights.size(); ++j) samples[j].push_back(weighted_sum(weights[j], s.diagonal));
  });
  return estimates_of(samples);
}

TraceEstimate hutchinson_trace(const LinearOperator& op, const TraceOptions& o, const Eigenpairs* known) {
  std::vector<double> samples;
  for_each_sample(op, o, known, [&](const DiagonalSample& s) { samples.push_back(s.diagonal.sum()); });
  return estimate_of(samples);
}

std::vector<TraceEstimate> segment_traces(const LinearOperator& op, const Segments& segments,
                                          const Vector<double>& weights, const TraceOptions& o,
                                          const Eigenpairs* known) {
  EXPECTS(Index(segments.ids.size()) == op.size, "segments: {} ids for size {}", segments.ids.size(), op.size);
  EXPECTS(weights.size() == 0 || weights.size() == op.size, "segments: {} weights for size {}", weights.size(),
          op.size);
  for (int id : segments.ids)
    EXPECTS(id >= 0 && id < segments.count, "segments: id {} of {} segments", id, segments.count);
  std::vector<std::vector<double>> samples(static_cast<size_t>(segments.count));
  for_each_sample(op, o, known, [&](const DiagonalSample& s) {
    for (auto& list : samples) list.push_back(0);
    for (Index i = 0; i < op.size; ++i)
      samples[size_t(segments.ids[size_t(i)])].back() += (weights.size() ? weights[i] : 1.0) * s.diagonal[i];
  });
  return estimates_of(samples);
}

DiagonalEstimate diagonal_estimate(const LinearOperator& op, const TraceOptions& o, const Eigenpairs* known) {
  DiagonalEstimate d;
  Vector<double> squares = Vector<double>::Zero(op.size), step(op.size);
  d.mean.setZero(op.size);
  for_each_sample(op, o, known, [&](const DiagonalSample& s) {  // Welford: no entry is squared before centring
    step = s.diagonal - d.mean;
    d.mean += step / double(++d.products);
    squares.array() += step.array() * (s.diagonal - d.mean).array();
  });
  const double count = double(d.products);
  if (d.products < 2)
    d.standard_error = Vector<double>::Constant(op.size, std::numeric_limits<double>::infinity());
  else
    d.standard_error = (squares / (count - 1) / count).cwiseMax(0).cwiseSqrt();
  return d;
}

TraceEstimate frobenius_norm2(const LinearOperator& op, const TraceOptions& o, const Eigenpairs* known) {
  std::vector<double> samples;
  for_each_sample(op, o, known, [&](const DiagonalSample& s) { samples.push_back(s.squared_norm); });
  return estimate_of(samples);
}

AdaptiveTrace adaptive_trace(const LinearOperator& op, const AdaptiveTraceOptions& o, const Eigenpairs* known) {
  EXPECTS(o.relative_half_width > 0, "adaptive trace: relative half width {}", o.relative_half_width);
  EXPECTS(o.probes_max >= fewest_probes, "adaptive trace: at most {} probes, at least {} are needed", o.probes_max,
          fewest_probes);
  std::vector<double> samples;
  AdaptiveTrace trace;
  for (int target = fewest_probes;; target = std::min(o.probes_max, target + target / 2)) {
    sample_range(op, o.seed, int(samples.size()), target, known,
                 [&](const DiagonalSample& s) { samples.push_back(s.diagonal.sum()); });
    trace.estimate = estimate_of(samples);
    trace.half_width = half_width(trace.estimate, o.coverage);
    if (trace.half_width <= o.relative_half_width * std::abs(trace.estimate.mean)) trace.stop = TraceStop::target_met;
    if (trace.stop == TraceStop::target_met || target == o.probes_max) return trace;
  }
}

WindowSpread between_windows(Index count, const std::function<MeanEstimate(Index window)>& measure) {
  EXPECTS(count >= 4, "between windows: {} windows, at least 4 are needed", count);
  WindowSpread spread;
  std::vector<double> means;
  double variance = 0;
  for (Index w = 0; w < count; ++w) {
    spread.windows.push_back(measure(w));
    means.push_back(spread.windows.back().mean);
    variance += std::pow(spread.windows.back().standard_error, 2) / double(count);
  }
  const MeanEstimate all = mean_with_error(means);
  spread.mean = all.mean;
  spread.standard_deviation = all.standard_error * std::sqrt(double(count));
  spread.probe_error = std::sqrt(variance);
  return spread;
}

std::vector<Certificate> certify_windows(const WindowSpread& s) {
  const double none = std::numeric_limits<double>::infinity();
  const auto ratio = [](double part, double whole) { return part == 0 ? 0 : part / whole; };
  return {certify("C5", "standard deviation between token windows over |mean|",
                  ratio(s.standard_deviation, std::abs(s.mean)), none),
          certify("C5", "standard error over probes within a window over the standard deviation between windows",
                  ratio(s.probe_error, s.standard_deviation), 1)};
}

}  // namespace hone
