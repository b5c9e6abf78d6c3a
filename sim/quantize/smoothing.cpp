#include "sim/quantize/smoothing.hpp"

#include <algorithm>
#include <cmath>

#include "sim/formats/range_choice.hpp"
#include "sim/quantize/folding.hpp"

namespace hone {
namespace {

Eigen::Map<const Eigen::RowVectorXd> row_of(const std::vector<double>& values) {
  return {values.data(), static_cast<Index>(values.size())};
}

/// √E[max_j x_j²] of independent normals, none above `top` in size.
/// math    ∫ 2u·(1 - Π_j erf(u/√(2 v_j))) du over (0, top), midpoint rule
double rms_of_largest(const Eigen::RowVectorXd& variances, double top) {
  constexpr int points = 256;
  double integral = 0;
  for (int i = 0; i < points; ++i) {
    const double u = top * (i + 0.5) / points;
    double below = 1;
    for (const double v : variances) below *= v > 0 ? std::erf(u / std::sqrt(2 * v)) : 1;
    integral += 2 * u * (1 - below) * top / points;
  }
  return std::sqrt(integral);
}

/// Squared step that the activation quantizer is expected to take at each column of a token.
Eigen::RowVectorXd expected_step2(const Eigen::RowVectorXd& maxima, const Eigen::RowVectorXd& variances,
                                  const Quantizer& q) {
  Eigen::RowVectorXd step2 = Eigen::RowVectorXd::Zero(maxima.size());
  if (!q.is_on()) return step2;
  for_each_group(q, 1, maxima.size(), 1, [&](const StepGroup& g) {
    const double top = maxima.segment(g.col, g.cols).maxCoeff();
    const bool is_static = q.granularity == Granularity::tensor;
    const double range = is_static ? top : rms_of_largest(variances.segment(g.col, g.cols), top);
    const double both[] = {range, -range};
    Quantizer alone = q;
    alone.granularity = Granularity::row;
    const double step = step_range<double>(both, 1, 2, 2, alone).step;
    step2.segment(g.col, g.cols).setConstant(step * step);
  });
  return step2;
}

}  // namespace

std::vector<double> smoothing_scales(const std::vector<double>& max_abs,
                                     const std::vector<ConstMatView<double>>& weights, double alpha) {
  if (!(alpha >= 0 && alpha <= 1)) throw OptionError(fmt::format("smoothing: alpha = {} (expected 0 to 1)", alpha));
  EXPECTS(!weights.empty(), "smoothing: no weights share the input");
  std::vector<double> scales(max_abs.size());
  for (const auto& w : weights)
    EXPECTS(w.cols() == Index(scales.size()), "smoothing: {} columns for {} channels", w.cols(), scales.size());
  for (size_t j = 0; j < scales.size(); ++j) {
    EXPECTS(std::isfinite(max_abs[j]) && max_abs[j] >= 0, "smoothing: max|X| of channel {} is {}", j, max_abs[j]);
    double top = smoothing_floor;
    for (const auto& w : weights) top = std::max(top, w.col(static_cast<Index>(j)).cwiseAbs().maxCoeff());
    scales[j] = std::max(smoothing_floor, std::pow(max_abs[j], alpha) / std::pow(top, 1 - alpha));
  }
  return scales;
}

AlignedVector<double> smooth(const TransformerOptions& options, const double* theta,
                             const std::vector<std::vector<double>>& max_abs, const std::vector<double>& alpha) {
  const ParamLayout layout = options.layout();
  const std::vector<NormSite> sites = norm_sites(options);
  EXPECTS(max_abs.size() + 1 == sites.size() && alpha.size() == max_abs.size(),
          "smoothing: {} maxima and {} alphas for {} norms", max_abs.size(), alpha.size(), sites.size() - 1);
  AlignedVector<double> result(theta, theta + layout.size());
  for (size_t i = 0; i < max_abs.size(); ++i) {
    std::vector<ConstMatView<double>> weights;
    for (const LinearNames& reader : sites[i].readers) weights.push_back(view(theta, layout.at(reader.weight)));
    const std::vector<double> scales = smoothing_scales(max_abs[i], weights, alpha[i]);
    const auto s = row_of(scales).array();
    for (const LinearNames& reader : sites[i].readers)
      view(result.data(), layout.at(reader.weight)).array().rowwise() *= s;
    view(result.data(), layout.at(sites[i].norm + ".weight")).row(0).array() /= s;
    if (options.norm == Norm::layer) view(result.data(), layout.at(sites[i].norm + ".bias")).row(0).array() /= s;
  }
  return result;
}

double smoothed_output_mse(const SmoothingSite& site, const std::vector<double>& scales, const Quantizer& weight,
                           const Quantizer& activation) {
  const auto s = row_of(scales);
  const Matrix<double> gram = s.cwiseInverse().asDiagonal() * site.gram * s.cwiseInverse().asDiagonal();
  const Eigen::RowVectorXd maxima = row_of(site.max_abs).cwiseQuotient(s), variances = gram.diagonal();
  const Eigen::RowVectorXd step2 = expected_step2(maxima, variances, activation);
  double error = 0;
  Index outputs = 0;
  for (const ConstMatView<double>& w : site.weights) {
    const Matrix<double> smoothed = w * s.asDiagonal();
    Matrix<double> rounded = smoothed, product(w.rows(), w.cols());
    fake_quantize<double>(rounded, weight, w.rows());
    const Matrix<double> difference = rounded - smoothed;
    gemm_nn<double>(product, difference, gram);
    error += difference.cwiseProduct(product).sum() + rounded.colwise().squaredNorm().dot(step2) / 12;
    outputs += w.rows();
  }
  return error / static_cast<double>(outputs);
}

AlphaChoice choose_alpha(const SmoothingSite& site, const AlphaSearch& search) {
  if (search.steps < 1) throw OptionError(fmt::format("smoothing: steps = {} (expected at least 1)", search.steps));
  search.weight.validate("smoothing.weight");
  search.activation.validate("smoothing.activation");
  AlphaChoice best;
  for (int i = 0; i <= search.steps; ++i) {
    const double alpha = double(i) / search.steps;
    const std::vector<double> scales = smoothing_scales(site.max_abs, site.weights, alpha);
    const double mse = smoothed_output_mse(site, scales, search.weight, search.activation);
    if (i == 0 || mse < best.output_mse) best = {alpha, mse};
  }
  return best;
}

}  // namespace hone
