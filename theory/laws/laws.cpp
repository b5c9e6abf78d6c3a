#include "theory/laws/laws.hpp"

#include <cmath>

#include "sim/base/error.hpp"
#include "theory/laws/formulas.hpp"

namespace hone::theory {

double predict(LawKind kind, const std::vector<double>& parameters, const Point& point) {
  const std::size_t wanted = law(kind).parameters.size();
  EXPECTS(parameters.size() == wanted, "predict: {} has {} parameters, {} given", law(kind).name, wanted,
          parameters.size());
  return value(kind, parameters.data(), point);
}

double bits_per_weight(const Point& point) { return point.P + (point.group > 0 ? 16 / point.group : 0); }

std::vector<double> kumar_ptq_parameters() { return {std::log(0.0598) + 1.1277, 0.5068, 0.3439, 1 / 0.5907}; }

std::vector<double> kumar_chinchilla_parameters() {
  return {std::log(4.299e3), 0.4965, std::log(1.806e4), 0.4965, 2.7648};
}

std::vector<double> kumar_training_parameters() {
  std::vector<double> p = kumar_chinchilla_parameters();
  p.insert(p.end(), {2.6745, 0.3037, 2.2102, 1.4072, 0.9578, 2.4185});
  return p;
}

std::vector<double> ouyang_parameters() { return {std::log(0.017), 0.5251, 0.2261, 5.4967}; }

std::vector<double> capybara_parameters() {
  return {std::log(69.23), 0.2368, std::log(68973.0), 0.5162, 1.906, std::log(11334.5), 3.1926, 2.9543};
}

std::vector<double> chen_parameters(ChenFit fit) {
  switch (fit) {
    case ChenFit::w4a4: return {std::log(0.1582), 0.0745, 0.2186, 0.7779};
    case ChenFit::w4a16: return {std::log(0.2522), 0.1610, 0.3589, 0.3533};
    case ChenFit::w16a4: return {std::log(0.1004), 0.0331, 0.1816, 0.9812};
    case ChenFit::w4a4_fc2_w8: return {std::log(0.3519), 0.0964, 0.2637, 0.3407};
  }
  return {};
}

double capybara_critical_tokens(const std::vector<double>& p, const Point& x) {
  EXPECTS(p.size() == law(LawKind::capybara).parameters.size(), "capybara_critical_tokens: {} parameters, expected 8",
          p.size());
  EXPECTS(x.group > 1, "capybara_critical_tokens: group {}, expected > 1", x.group);
  const double log_strength = p[5] + p[6] * std::log(x.exponent_bits + 0.5) + p[7] * std::log(x.mantissa_bits + 0.5) -
                              std::log(std::log2(x.group));
  return std::exp((p[2] + p[1] * std::log(x.N) + log_strength) / (2 * p[3]));
}

}  // namespace hone::theory
