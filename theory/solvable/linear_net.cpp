#include "theory/solvable/linear_net.hpp"

#include <cmath>

#include "sim/base/error.hpp"

namespace hone::theory {

double linear_net_mode(double time, double start, double target) {
  EXPECTS(start > 0 && start <= target, "linear_net_mode: start {}, target {}", start, target);
  return target / (1 + (target / start - 1) * std::exp(-2 * target * time));
}

Vector<double> LinearNet::modes(double time) const {
  return target.unaryExpr([&](double s) { return linear_net_mode(time, start * s, s); });
}

double LinearNet::loss(double time) const { return 0.5 * (modes(time) - target).squaredNorm(); }

double LinearNet::gn_trace(double time) const { return static_cast<double>(d_in + d_out) * modes(time).sum(); }

Vector<double> LinearNet::gn_spectrum(double time) const {
  EXPECTS(target.size() <= std::min(d_in, d_out), "LinearNet: {} modes in {} inputs and {} outputs", target.size(),
          d_in, d_out);
  Vector<double> of_input = Vector<double>::Zero(d_in), of_output = Vector<double>::Zero(d_out);
  of_input.head(target.size()) = of_output.head(target.size()) = modes(time);
  Vector<double> sums(d_in * d_out);
  for (Index i = 0; i < d_out; ++i)
    for (Index j = 0; j < d_in; ++j) sums(i * d_in + j) = of_output(i) + of_input(j);
  return sums;
}

LinearNetExponents linear_net_exponents(double alpha) {
  EXPECTS(alpha > 0.5 && alpha < 1, "linear_net_exponents: alpha {}, expected in (1/2, 1)", alpha);
  const double gamma = 1 / alpha - 1;
  return {gamma, 2 - 1 / alpha, 2 * gamma};
}

LinearNetDamage linear_net_damage(double first_norm2, double second_norm2, Index hidden, double nu_first,
                                  double nu_second) {
  EXPECTS(hidden >= 1 && first_norm2 >= 0 && second_norm2 >= 0 && nu_first >= 0 && nu_second >= 0,
          "linear_net_damage: squared norms {} and {}, hidden {}, noise {} and {}", first_norm2, second_norm2, hidden,
          nu_first, nu_second);
  const double k0 = first_norm2 * second_norm2 / (2 * static_cast<double>(hidden));
  return {k0 * nu_first, k0 * nu_second, k0 * (nu_first + nu_second + nu_first * nu_second)};
}

double chain_sharpness(int depth, double product) {
  EXPECTS(depth >= 1 && product > 0, "chain_sharpness: depth {}, product {}", depth, product);
  return depth * std::pow(product, 2 - 2.0 / depth);
}

}  // namespace hone::theory
