#include "theory/noise/rounding.hpp"

#include <algorithm>
#include <boost/math/quadrature/gauss.hpp>
#include <boost/math/quadrature/gauss_kronrod.hpp>
#include <cmath>
#include <numbers>
#include <vector>

#include "sim/base/error.hpp"
#include "theory/laws/formulas.hpp"
#include "theory/noise/normal.hpp"

namespace hone::theory {
namespace {

using std::numbers::pi;
constexpr double far = 40;  // the tail beyond is below 1e-300 for any int n

/// ∫ f over x > 0, for f that is gone at `far`.
template <class F>
double integral(const F& f, double tolerance = 1e-12) {
  return boost::math::quadrature::gauss_kronrod<double, 31>::integrate(f, 0.0, far, 15, tolerance);
}

/// Moments of a positive variable from its tail P(X > x).
template <class Tail>
Moments moments_of(const Tail& tail) {
  return {integral(tail), integral([&](double x) { return 2 * x * tail(x); })};
}

/// 1 - (1 - p)^n without cancellation.
double at_least_one(double p, int n) { return -std::expm1(n * std::log1p(-p)); }

Moments scaled(const Moments& m, double factor) { return {factor * m.mean, factor * factor * m.mean_square}; }

struct Node {
  double x, weight;
};

/// Gauss-Legendre on unit cells from 0 to 12, where the tails of normals are gone.
std::vector<Node> unit_cell_nodes() {
  using Rule = boost::math::quadrature::gauss<double, 14>;
  std::vector<Node> nodes;
  for (int cell = 0; cell < 12; ++cell)
    for (std::size_t i = 0; i < Rule::abscissa().size(); ++i)
      for (const double sign : {-1.0, 1.0})
        nodes.push_back({cell + 0.5 + 0.5 * sign * Rule::abscissa()[i], 0.5 * Rule::weights()[i]});
  return nodes;
}

/// Moments of (A + B)/steps, A and B the extent of n normals below and above 0.
Moments range_moments(int n, double steps) {
  const Moments side = moments_of([n](double x) { return at_least_one(normal_tail(x), n); });
  const std::vector<Node> nodes = unit_cell_nodes();
  std::vector<double> tails, above;
  for (const Node& node : nodes) tails.push_back(normal_tail(node.x)), above.push_back(at_least_one(tails.back(), n));
  double product = 0;  // ∫∫ P(A > a, B > b) da db
  for (std::size_t i = 0; i < nodes.size(); ++i)
    for (std::size_t j = 0; j < nodes.size(); ++j)
      product += nodes[i].weight * nodes[j].weight * (above[i] + above[j] - at_least_one(tails[i] + tails[j], n));
  return scaled({2 * side.mean, 2 * side.mean_square + 2 * product}, 1 / steps);
}

/// The step follows from the largest and the least of the weights alone, and the range holds zero.
bool is_of_extremes(Grid grid) {
  return grid != Grid::float_min && grid != Grid::llm_qat && grid != Grid::llm_qat_asymmetric;
}

void check_bits(const char* what, int bits) {
  EXPECTS(bits >= 2 && bits <= 30, "{}: {} bits, expected 2..30", what, bits);
}

/// M/Delta.
double steps_of(Grid grid, int bits) {
  Point point;
  point.P = bits;
  point.grid = grid;
  return std::exp(log_steps(point));
}

/// Σ over the cells inside ±m of ∫ e² φ and ∫ x e φ, the step being m/Qp.
RtnNoise error_inside(double m, int top) {
  const double step = m / top;
  RtnNoise sum;
  for (int k = 0; k <= top; ++k) {
    const double left = k == 0 ? 0 : (k - 0.5) * step, right = std::min((k + 0.5) * step, m), level = k * step;
    const double mass = normal_mass(left, right), first = normal_density(left) - normal_density(right);
    const double second = mass + left * normal_density(left) - right * normal_density(right);
    sum.relative_mse += 2 * (second - 2 * level * first + level * level * mass);
    sum.shrinkage += 2 * (level * first - second);
  }
  return sum;
}

/// Σ_k sign^k k^-power exp(-2 pi² x² k²).
double theta_series(double x, double sign, int power) {
  EXPECTS(x >= 1e-3, "rounding noise of a Gaussian: s/Delta = {}, expected ≥ 0.001", x);
  const double exponent = 2 * pi * pi * x * x;
  double sum = 0, factor = sign;
  for (double k = 1; exponent * k * k < 40; ++k, factor *= sign)
    sum += factor * std::exp(-exponent * k * k) / std::pow(k, power);
  return sum;
}

}  // namespace

Moments absmax_moments(int n) {
  EXPECTS(n >= 1, "absmax_moments: n = {}, expected ≥ 1", n);
  return moments_of([n](double x) { return at_least_one(2 * normal_tail(x), n); });
}

Moments step_moments(Grid grid, int bits, int n) {
  check_bits("step_moments", bits);
  EXPECTS(n >= 1, "step_moments: n = {}, expected ≥ 1", n);
  EXPECTS(is_of_extremes(grid), "step_moments: the step of this grid does not follow from the extremes alone");
  if (grid == Grid::asymmetric) return range_moments(n, std::exp2(bits) - 1);
  if (grid != Grid::no_clip) return scaled(absmax_moments(n), 1 / steps_of(grid, bits));
  // In units of Qp Delta, so that the tail falls where that of the extremes does.
  const double top = std::exp2(bits - 1) - 1, bottom = top + 1;
  const auto tail = [&](double x) { return at_least_one(normal_tail(x) + normal_tail(x * bottom / top), n); };
  return scaled(moments_of(tail), 1 / top);
}

double rtn_relative_mse(int bits, int n, Grid grid) { return step_moments(grid, bits, n).mean_square / 12; }

RtnNoise rtn_noise(int bits, int n) {
  EXPECTS(bits >= 2 && bits <= 12, "rtn_noise: {} bits, expected 2..12", bits);
  EXPECTS(n >= 2, "rtn_noise: n = {}, expected ≥ 2", n);
  const int top = (1 << (bits - 1)) - 1;
  // f(m) (1 - 1/n) / mass(m) = 2 (n - 1) φ(m) mass(m)^(n-2)
  const auto weight = [n](double m) {
    return 2.0 * (n - 1) * normal_density(m) * std::exp((n - 2) * std::log1p(-2 * normal_tail(m)));
  };
  const auto mse = [&](double m) { return weight(m) * error_inside(m, top).relative_mse; };
  const auto cross = [&](double m) { return weight(m) * error_inside(m, top).shrinkage; };
  return {integral(mse, 1e-9), integral(cross, 1e-9)};
}

UniformNoise uniform_noise(double sigma_over_step) {
  return {1 + 12 / (pi * pi) * theta_series(sigma_over_step, -1, 2), 2 * theta_series(sigma_over_step, -1, 0)};
}

double stochastic_rounding_gaussian_mse(double sigma_over_step) {
  return 1.0 / 6 - theta_series(sigma_over_step, 1, 2) / (pi * pi);
}

double step2_ratio(int bits, Grid grid) {
  check_bits("step2_ratio", bits);
  const double root = steps_of(grid, bits + 1) / steps_of(grid, bits);
  return root * root;
}

double equivalent_gamma_post(int low, int high, Grid grid) {
  EXPECTS(low < high, "equivalent_gamma_post: {} to {} bits, expected rising", low, high);
  double log_ratio = 0;
  for (int bits = low; bits < high; ++bits) log_ratio += std::log(step2_ratio(bits, grid));
  return (high - low) / log_ratio;
}

double rotated_step2(double row_norm2, int n, int bits, Grid grid) {
  EXPECTS(row_norm2 >= 0, "rotated_step2: row_norm2 = {}, expected ≥ 0", row_norm2);
  return row_norm2 / n * step_moments(grid, bits, n).mean_square;
}

}  // namespace hone::theory
