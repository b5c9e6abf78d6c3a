#include "theory/laws.hpp"

#include <array>

#include "sim/base/error.hpp"
#include "theory/law_forms.hpp"

namespace hone::theory {
namespace {

const Parameter log_c{"ln C", -60, 60, "ln nats/token"};
const Parameter log_s{"c", -60, 60, "ln of the sharpness unit"};
const Parameter gamma_d{"gamma_D", -3, 5, "1"};
const Parameter gamma_n{"gamma_N", -3, 5, "1"};
const Parameter kappa{"1/gamma_post", 0, 10, "1/bit"};
const Parameter log_r{"ln r", -7, 16, "ln tokens/parameter"};
const Parameter growth{"g", 0.01, 5, "1"};

Law make_law(LawKind kind) {
  switch (kind) {
    case LawKind::ptq_exponential:
      return {kind, "exponential in bits", Form::log_linear, {log_c, gamma_d, gamma_n, kappa}};
    case LawKind::ptq_bit_power:
      return {kind, "power of bits", Form::log_linear, {log_c, gamma_d, gamma_n, {"gamma_P", 0, 30, "1"}}};
    case LawKind::ptq_step: return {kind, "squared step", Form::log_linear, {log_c, gamma_d, gamma_n}};
    case LawKind::ptq_saturating:
      return {kind, "saturating in D/N", Form::nonlinear, {log_c, gamma_n, log_r, growth, kappa}};
    case LawKind::sharpness_power: return {kind, "power law of sharpness", Form::log_linear, {log_s, gamma_d, gamma_n}};
    case LawKind::sharpness_saturating:
      return {kind, "sharpness saturating in D/N", Form::nonlinear, {log_s, gamma_n, log_r, growth}};
    case LawKind::chinchilla:
      return {kind,
              "Chinchilla loss",
              Form::nonlinear,
              {{"ln A", -5, 25, "ln nats/token"},
               {"alpha", 0, 2, "1"},
               {"ln B", -5, 25, "ln nats/token"},
               {"beta", 0, 2, "1"},
               {"E", 0, 20, "nats/token"}}};
  }
  return {};
}

}  // namespace

const Law& law(LawKind kind) {
  static const std::array<Law, 7> laws = [] {
    std::array<Law, 7> all;
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = make_law(static_cast<LawKind>(i));
    return all;
  }();
  return laws[static_cast<std::size_t>(kind)];
}

double predict(LawKind kind, const std::vector<double>& parameters, const Point& point) {
  const std::size_t wanted = law(kind).parameters.size();
  EXPECTS(parameters.size() == wanted, "predict: {} has {} parameters, {} given", law(kind).name, wanted,
          parameters.size());
  return std::exp(log_value(kind, parameters.data(), point));
}

std::vector<double> kumar_ptq_parameters() { return {std::log(0.0598) + 1.1277, 0.5068, 0.3439, 1 / 0.5907}; }

std::vector<double> kumar_chinchilla_parameters() {
  return {std::log(4.299e3), 0.4965, std::log(1.806e4), 0.4965, 2.7648};
}

}  // namespace hone::theory
