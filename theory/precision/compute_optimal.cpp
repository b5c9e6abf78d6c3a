#include "theory/precision/compute_optimal.hpp"

#include <math.h>  // the pchip of Boost 1.74 calls isnan without a namespace

#include <algorithm>
#include <boost/math/interpolators/pchip.hpp>
#include <boost/math/tools/minima.hpp>
#include <boost/math/tools/toms748_solve.hpp>
#include <cmath>

#include "sim/base/error.hpp"
#include "theory/laws/formulas.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double bits_most = 64;

/// Root of f between two places of different sign.
template <class F>
double root_between(const F& f, double low, double high) {
  std::uintmax_t steps = 200;
  const boost::math::tools::eps_tolerance<double> close(50);
  const auto [left, right] = boost::math::tools::toms748_solve(f, low, high, close, steps);
  return 0.5 * (left + right);
}

/// P d ln f/dP over all parts.
double elasticity(const TrainingLaw& law, double bits) {
  double sum = 0;
  for (const PartScale& part : law.parts) {
    const double lost = std::exp(-bits / part.gamma + part.offset);
    sum += lost / (1 - lost) * bits / part.gamma;
  }
  return sum;
}

/// Bits above which every part has f > 0.
double least_bits(const TrainingLaw& law) {
  double least = 0;
  for (const PartScale& part : law.parts) least = std::max(least, zero_bits(part));
  return least;
}

/// Tokens that a budget pays at given size and bits.
double tokens_of(double budget, double N, double bits) { return 16 * budget / (6 * N * bits); }

double& coordinate(Point& x, Unknown unknown) {
  switch (unknown) {
    case Unknown::size: return x.N;
    case Unknown::tokens: return x.D;
    default: return x.P;
  }
}

Point with(Point x, Unknown unknown, double value) {
  if (unknown == Unknown::training_bits) {
    x.P_w = x.P_a = x.P_kv = value;
    return x;
  }
  coordinate(x, unknown) = value;
  return x;
}

/// Logarithmic grid over an unknown's range, with D_crit among the tokens.
std::vector<double> search_grid(const TotalLaw& law, const Point& point, Unknown unknown) {
  constexpr int steps = 600;
  const bool is_size = unknown == Unknown::size, is_tokens = unknown == Unknown::tokens;
  const double low = is_size || is_tokens ? 1e3 : 1, high = is_size ? 1e15 : is_tokens ? 1e20 : 32;
  std::vector<double> grid;
  for (int i = 0; i <= steps; ++i) grid.push_back(low * std::pow(high / low, static_cast<double>(i) / steps));
  const double turn = is_tokens ? critical_tokens(law, point) : infinity;
  if (turn > low && turn < high) grid.insert(std::lower_bound(grid.begin(), grid.end(), turn), turn);
  return grid;
}

/// The damage at D = 1 token, which the tokens multiply by D^gD.
double damage_strength(const TotalLaw& law, const Point& x) {
  EXPECTS(law.damage.size() == 4, "total_loss: {} damage parameters, expected those of {}", law.damage.size(),
          theory::law(LawKind::ptq_exponential).name);
  if (std::isinf(x.P)) return 0;
  Point one_token = x;
  one_token.D = 1;
  const double log_n_eff = std::log(x.N * effective_fraction(law.training, x));
  return damage_value(law.damage.data(), law.robustness.data(), log_n_eff, one_token);
}

}  // namespace

double optimal_bits_closed(double gamma, int parts) {
  EXPECTS(gamma > 0, "optimal_bits_closed: gamma {}, expected > 0", gamma);
  EXPECTS(parts >= 2, "optimal_bits_closed: {} parts, expected ≥ 2", parts);
  const auto excess = [parts](double u) { return std::expm1(u) - parts * u; };
  const double turn = std::log(parts);  // least excess; the root lies above it
  return gamma * root_between(excess, turn, 2 * turn + 2);
}

double optimal_bits(const TrainingLaw& law) {
  const double least = std::max(least_bits(law), 1e-6);
  const auto excess = [&](double bits) { return elasticity(law, bits) - 1; };
  double above = bits_most;
  if (!(excess(above) < 0)) return nan;
  constexpr int steps = 2000;
  for (int i = steps - 1; i > 0; --i) {
    const double bits = least + (bits_most - least) * i / steps;
    if (excess(bits) >= 0) return root_between(excess, bits, above);
    above = bits;
  }
  return nan;
}

double measured_optimum(const std::vector<std::map<double, double>>& curves) {
  std::vector<boost::math::interpolators::pchip<std::vector<double>>> fractions;
  double least = 1;
  for (const auto& points : curves) {
    std::vector<double> bits, fraction;
    for (const auto& [b, share] : points)
      if (b < 16) bits.push_back(b), fraction.push_back(std::min(1.0, share));
    if (bits.size() < 3) continue;
    bits.push_back(16), fraction.push_back(1);
    least = std::max(least, bits.front());
    fractions.emplace_back(std::move(bits), std::move(fraction));
  }
  double best = -1, optimum = nan;
  for (double bits = least; !fractions.empty() && bits <= 16; bits += 0.05) {
    double product = 1;
    for (const auto& fraction : fractions) product *= fraction(bits);
    if (product / bits > best) best = product / bits, optimum = bits;
  }
  return optimum;
}

double optimal_bits_at_size(const TrainingLaw& law, double N, double budget) {
  EXPECTS(N > 0 && budget > 0, "optimal_bits_at_size: N = {}, budget {}, expected > 0", N, budget);
  const auto loss = [&](double bits) { return training_loss(law, trained_at(N, tokens_of(budget, N, bits), bits)); };
  const double least = std::max(least_bits(law), 1e-3);
  return boost::math::tools::brent_find_minima(loss, least * (1 + 1e-9), bits_most, 40).first;
}

Allocation optimal_allocation(const TrainingLaw& law, double budget, double bits) {
  EXPECTS(budget > 0, "optimal_allocation: budget {}, expected > 0", budget);
  const double fraction = effective_fraction(law, trained_at(1, 1, bits));
  EXPECTS(fraction > 0, "optimal_allocation: no effective parameters at {} bits, expected more than {}", bits,
          least_bits(law));
  const double sum = law.alpha + law.beta;
  const double paid = tokens_of(budget, 1, bits);
  const double balance = law.alpha * law.A * std::pow(fraction, -law.alpha) / (law.beta * law.B);
  const double N = std::pow(balance, 1 / sum) * std::pow(paid, law.beta / sum);
  return {bits, N, paid / N, training_loss(law, trained_at(N, paid / N, bits))};
}

Allocation optimal_allocation(const TrainingLaw& law, double budget) {
  return optimal_allocation(law, budget, optimal_bits(law));
}

double total_loss(const TotalLaw& law, const Point& x) {
  const double strength = damage_strength(law, x);
  return training_loss(law.training, x) + (strength > 0 ? strength * std::pow(x.D, law.damage[1]) : strength);
}

double critical_tokens(const TotalLaw& law, const Point& x) {
  const double strength = damage_strength(law, x), growth = law.damage[1];
  if (strength == 0 || !(growth > 0)) return infinity;
  return std::pow(law.training.beta * law.training.B / (growth * strength), 1 / (growth + law.training.beta));
}

std::vector<double> solve_iso_loss(const TotalLaw& law, const Point& point, Unknown unknown, double loss) {
  const std::vector<double> grid = search_grid(law, point, unknown);
  const auto excess = [&](double value) { return total_loss(law, with(point, unknown, value)) - loss; };
  std::vector<double> roots;
  // The damage jumps to 0 where training was no finer than P; a jump across the loss is no solution.
  const auto add = [&](double root) {
    if (std::abs(excess(root)) <= 1e-9 * std::abs(loss)) roots.push_back(root);
  };
  double before = nan;
  for (std::size_t i = 0; i < grid.size(); ++i) {
    const double here = excess(grid[i]);
    if (here == 0) add(grid[i]);
    if (before * here < 0) add(root_between(excess, grid[i - 1], grid[i]));
    before = here;
  }
  return roots;
}

std::vector<double> iso_loss_bits(const TotalLaw& law, const std::vector<double>& sizes,
                                  const std::vector<double>& tokens, double loss) {
  std::vector<double> surface;
  for (const double N : sizes)
    for (const double D : tokens) {
      Point x;
      x.N = N;
      x.D = D;
      const std::vector<double> roots = solve_iso_loss(law, x, Unknown::bits, loss);
      Point fewest = x;
      fewest.P = 1;
      const bool always = total_loss(law, fewest) <= loss;
      surface.push_back(always ? 1 : roots.empty() ? nan : roots.front());
    }
  return surface;
}

PrecisionDrift precision_drift(const std::vector<BudgetFit>& fits) {
  EXPECTS(fits.size() >= 2, "precision_drift: {} fits, expected at least 2", fits.size());
  PrecisionDrift drift;
  double w = 0, wx = 0, wy = 0;
  for (const BudgetFit& fit : fits) {
    EXPECTS(fit.budget > 0 && fit.bits_error > 0, "precision_drift: budget {}, standard error {}, expected > 0",
            fit.budget, fit.bits_error);
    drift.bits.push_back(optimal_bits(fit.law));
    if (std::isnan(drift.bits.back())) continue;
    const double weight = 1 / (fit.bits_error * fit.bits_error);
    w += weight, wx += weight * std::log10(fit.budget), wy += weight * drift.bits.back();
  }
  double xx = 0, xy = 0;
  for (std::size_t i = 0; i < fits.size(); ++i) {
    if (std::isnan(drift.bits[i])) continue;
    const double weight = 1 / (fits[i].bits_error * fits[i].bits_error);
    const double x = std::log10(fits[i].budget) - wx / w;
    xx += weight * x * x, xy += weight * x * (drift.bits[i] - wy / w);
  }
  drift.slope = xy / xx;
  drift.standard_error = 1 / std::sqrt(xx);
  return drift;
}

}  // namespace hone::theory
