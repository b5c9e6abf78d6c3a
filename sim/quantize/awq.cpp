#include "sim/quantize/awq.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/quantize/gptq.hpp"

namespace hone {
namespace {

constexpr int search_points = 20, clip_points = 10;
constexpr double least_scale = 1e-4;

Vector<double> scales_of(const std::vector<double>& mean_abs, double exponent) {
  Vector<double> s(static_cast<Index>(mean_abs.size()));
  for (Index j = 0; j < s.size(); ++j)
    s[j] = std::max(std::pow(mean_abs[static_cast<size_t>(j)], exponent), least_scale);
  return s / std::sqrt(s.maxCoeff() * s.minCoeff());
}

double error_with(const std::vector<Matrix<double>>& weights, ConstMatRef<double> gram, const Vector<double>& s,
                  const Quantizer& quantizer) {
  double error = 0;
  for (const Matrix<double>& w : weights) {
    Matrix<double> rounded = w * s.asDiagonal();
    fake_quantize<double>(rounded, quantizer, rounded.rows());
    rounded = rounded * s.cwiseInverse().asDiagonal() - w;
    error += gram_error(rounded, gram);
  }
  return error;
}

/// Tries one share on all groups and keeps it where it is better than what `best` holds.
void try_share(double share, ConstMatRef<double> w, ConstMatRef<double> gram, const Quantizer& quantizer, AwqClip& best,
               std::vector<double>& errors) {
  Matrix<double> clipped = w;
  const auto limited = [&](const StepGroup& g) {
    auto window = clipped.block(g.row, g.col, g.rows, g.cols);
    const double limit = share * window.cwiseAbs().maxCoeff();
    window = window.cwiseMin(limit).cwiseMax(-limit);
  };
  if (share < 1) for_each_group(quantizer, w.rows(), w.cols(), w.rows(), limited);
  Matrix<double> d = clipped;
  fake_quantize<double>(d, quantizer, d.rows());
  d -= w;
  Matrix<double> product(d.rows(), d.cols());
  const Index width = quantizer.granularity == Granularity::group ? quantizer.group : d.cols();
  for (Index c = 0; c < d.cols(); c += width) {
    const Index here = std::min(width, d.cols() - c);
    gemm_nn<double>(product.middleCols(c, here), d.middleCols(c, here), gram.block(c, c, here, here));
  }
  size_t group = 0;
  for_each_group(quantizer, w.rows(), w.cols(), w.rows(), [&](const StepGroup& g) {
    const double error =
        product.block(g.row, g.col, g.rows, g.cols).cwiseProduct(d.block(g.row, g.col, g.rows, g.cols)).sum();
    if (group == errors.size()) errors.push_back(INFINITY), best.shares.push_back(1);
    if (error < errors[group]) {
      errors[group] = error, best.shares[group] = share;
      best.clipped.block(g.row, g.col, g.rows, g.cols) = clipped.block(g.row, g.col, g.rows, g.cols);
    }
    ++group;
  });
}

double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

}  // namespace

AwqScales awq_scales(const std::vector<Matrix<double>>& weights, ConstMatRef<double> gram,
                     const std::vector<double>& mean_abs, const Quantizer& quantizer) {
  EXPECTS(!weights.empty() && quantizer.is_on(), "awq: {} weights, {} bits", weights.size(), quantizer.bits);
  AwqScales best;
  for (int i = 0; i < search_points; ++i) {
    const double exponent = i / double(search_points);
    const Vector<double> s = scales_of(mean_abs, exponent);
    const double error = error_with(weights, gram, s, quantizer);
    if (i == 0) best.rtn_error = error;
    if (i > 0 && !(error < best.error)) continue;
    best.error = error, best.exponent = exponent;
    best.scales.assign(s.begin(), s.end());
  }
  return best;
}

AwqClip awq_clip(ConstMatRef<double> w, ConstMatRef<double> gram, const Quantizer& quantizer) {
  EXPECTS(quantizer.is_on() && gram.rows() == w.cols(), "awq: {} bits, W {} x {}, H {} x {}", quantizer.bits, w.rows(),
          w.cols(), gram.rows(), gram.cols());
  AwqClip best{.clipped = w, .shares = {}};
  std::vector<double> errors;
  for (int i = 0; i < clip_points; ++i) {
    try_share(1 - i / double(search_points), w, gram, quantizer, best, errors);
    if (i == 0) best.rtn_error = sum_of(errors);
  }
  best.error = sum_of(errors);
  return best;
}

}  // namespace hone
