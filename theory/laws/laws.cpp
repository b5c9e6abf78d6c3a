#include "theory/laws/laws.hpp"

#include <array>
#include <cmath>

#include "sim/base/error.hpp"
#include "theory/laws/formulas.hpp"

namespace hone::theory {
namespace {

using Parameters = std::vector<Parameter>;

const Parameter log_c{"ln C", -60, 60, "ln nats/token"};
const Parameter log_s{"c", -60, 60, "ln of the sharpness unit"};
const Parameter gamma_d{"gamma_D", -3, 5, "1"};
const Parameter gamma_n{"gamma_N", -3, 5, "1"};
const Parameter kappa{"1/gamma_post", 0, 10, "1/bit"};
const Parameter log_r{"ln r", -7, 16, "ln tokens/parameter"};
const Parameter log_tokens{"ln r", 0, 40, "ln tokens"};
const Parameter growth{"g", 0.01, 5, "1"};
const Parameter log_a{"ln A", -5, 25, "ln nats/token"};
const Parameter alpha{"alpha", 0, 2, "1"};
const Parameter log_b{"ln B", -5, 25, "ln nats/token"};
const Parameter beta{"beta", 0, 2, "1"};
const Parameter floor_loss{"E", 0, 20, "nats/token"};
const char* const kumar = "Kumar et al. 2411.04330";

Parameters operator+(Parameters left, const Parameters& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Parameters loss_parameters() { return {log_a, alpha, log_b, beta, floor_loss}; }

Parameters ptq_parameters() { return {log_c, gamma_d, gamma_n, kappa}; }

/// A scale and a second parameter for each of weights, activations and KV cache.
Parameters part_parameters(const std::string& second, double low, double high) {
  Parameters all;
  for (const std::string part : {"w", "a", "kv"}) {
    all.push_back({"gamma_" + part, 0.2, 10, "bits"});
    all.push_back({second + "_" + part, low, high, "1"});
  }
  return all;
}

Parameters robustness_parameters() {
  Parameters all;
  for (const std::string part : {"w", "a", "kv"}) all.push_back({"C_" + part, 0, 20, "1/bit"});
  return all;
}

/// Damage that is no single power of the tokens.
Law make_bent_law(LawKind kind) {
  const Form curved = Form::nonlinear;
  switch (kind) {
    case LawKind::ptq_saturating:
      return {
          kind, "saturating", "saturating in D/N", curved, {log_c, gamma_n, log_r, growth, kappa}, "own rival of Eq 2"};
    case LawKind::ptq_saturating_tokens:
      return {kind,
              "saturating_tokens",
              "saturating in D",
              curved,
              {log_c, gamma_n, log_tokens, growth, kappa},
              "own rival of Eq 2"};
    case LawKind::ptq_broken:
      return {kind,
              "broken",
              "broken power of D/N",
              curved,
              {log_c, gamma_n, log_r, {"g_1", -3, 5, "1"}, {"g_2", -3, 5, "1"}, kappa},
              "own rival of Eq 2, smooth break as in Caballero et al. 2210.14891"};
    case LawKind::ptq_step_saturating:
      return {kind,
              "step_saturating",
              "squared step, saturating in D/N",
              curved,
              {log_c, gamma_n, log_r, growth},
              "own rival of ptq_step"};
    case LawKind::ptq_step_broken:
      return {kind,
              "step_broken",
              "squared step, broken power of D/N",
              curved,
              {log_c, gamma_n, log_r, {"g_1", -3, 5, "1"}, {"g_2", -3, 5, "1"}},
              "own rival of ptq_step, smooth break as in Caballero et al. 2210.14891"};
    default: return {};
  }
}

Law make_damage_law(LawKind kind) {
  const Form linear = Form::log_linear, curved = Form::nonlinear;
  switch (kind) {
    case LawKind::ptq_exponential:
      return {kind, "exponential", "exponential in bits", linear, ptq_parameters(), std::string(kumar) + " Eq 2"};
    case LawKind::ptq_bit_power:
      return {kind,
              "bit_power",
              "power of bits",
              linear,
              {log_c, gamma_d, gamma_n, {"gamma_P", 0, 30, "1"}},
              "Ouyang et al. 2411.17691"};
    case LawKind::ptq_step:
      return {kind, "step", "squared step", linear, {log_c, gamma_d, gamma_n}, "uniform rounding noise Delta^2/12"};
    case LawKind::ptq_rate:
      return {kind,
              "rate",
              "four per bit",
              linear,
              {log_c, gamma_d, gamma_n},
              "rate-distortion bound 2^(-2P) of a Gaussian, Shannon 1959"};
    case LawKind::ptq_bit_difference:
      return {kind,
              "bit_difference",
              "power of the bits removed",
              linear,
              {{"ln eta", -60, 60, "ln nats/token"}, {"beta", -3, 5, "1"}, {"delta", -5, 30, "1"}},
              "a web page on precision scaling; not in Kumar et al."};
    case LawKind::ptq_calibration:
      return {kind,
              "calibration",
              "one model's own bits",
              linear,
              {{"c", -60, 60, "ln nats/token"}, kappa},
              "calibration per model"};
    case LawKind::ptq_robust:
      return {kind,
              "robust",
              "robustified damage",
              curved,
              ptq_parameters() + robustness_parameters() + part_parameters("n", -2, 4),
              std::string(kumar) + " Eq 9",
              Scale::raw};
    case LawKind::qat_group:
      return {kind,
              "qat_group",
              "QAT with groups",
              linear,
              {{"ln k", -60, 60, "ln nats/token"}, gamma_d, gamma_n, {"gamma_G", -3, 5, "1"}},
              "Chen et al. 2505.14302"};
    case LawKind::total_bits:
      return {kind,
              "total_bits",
              "power of total bits",
              linear,
              {{"c", -60, 60, "ln of the measured unit"}, {"a", -3, 5, "1"}},
              "after Dettmers & Zettlemoyer 2212.09720, one line per precision"};
    default: return {};
  }
}

/// Losses of training at low precision.
Law make_training_law(LawKind kind) {
  const Form curved = Form::nonlinear;
  switch (kind) {
    case LawKind::train_exponential:
      return {kind,
              "train_exponential",
              "training precision, exponential",
              curved,
              loss_parameters() + part_parameters("n", -2, 4),
              std::string(kumar) + " Eq 4, offsets of Appendix K"};
    case LawKind::train_additive:
      return {kind,
              "train_additive",
              "training precision, additive",
              curved,
              loss_parameters() + part_parameters("n", -2, 4),
              "first-order rival of Kumar et al. Eq 4"};
    case LawKind::train_logistic:
      return {kind,
              "train_logistic",
              "training precision, logistic",
              curved,
              loss_parameters() + part_parameters("n", -3, 6),
              "saturation rival of Kumar et al. Eq 4"};
    case LawKind::train_tail:
      return {kind,
              "train_tail",
              "training precision, power tail",
              curved,
              loss_parameters() + part_parameters("t", 0, 3),
              "saturation rival of Kumar et al. Eq 4"};
    default: return {};
  }
}

Law make_loss_law(LawKind kind) {
  const Form curved = Form::nonlinear;
  switch (kind) {
    case LawKind::chinchilla:
      return {kind, "chinchilla", "Chinchilla loss", curved, loss_parameters(), "Hoffmann et al. 2203.15556 Eq 2"};
    case LawKind::unified:
      return {kind,
              "unified",
              "unified loss",
              curved,
              loss_parameters() + part_parameters("n", -2, 4) + ptq_parameters() + robustness_parameters(),
              std::string(kumar) + " Eqs 1 and 9"};
    case LawKind::capybara:
      return {kind,
              "capybara",
              "floating-point training loss",
              curved,
              {{"ln n", -5, 25, "ln nats/token"},
               alpha,
               {"ln d", -5, 25, "ln nats/token"},
               beta,
               floor_loss,
               {"ln g", -20, 40, "ln token/nat"},
               {"delta", 0, 10, "1"},
               {"nu", 0, 10, "1"}},
              "Sun et al. 2501.02423"};
    case LawKind::shannon:
      return {kind,
              "shannon",
              "Shannon capacity",
              curved,
              {{"ln a", -20, 20, "ln tokens/nat"},
               alpha,
               beta,
               {"ln c", -60, 60, "1"},
               {"gamma", 0, 3, "1"},
               {"ln d", -60, 60, "1"},
               {"delta", 0, 3, "1"},
               {"ln e", -60, 60, "1"}},
              "Ouyang et al. 2605.23901, the redundant constant b = 1"};
    default: return {};
  }
}

Law make_law(LawKind kind) {
  if (kind == LawKind::sharpness_power)
    return {kind, "sharpness_power", "power law of sharpness", Form::log_linear, {log_s, gamma_d, gamma_n}, "own"};
  if (kind == LawKind::sharpness_saturating)
    return {kind,
            "sharpness_saturating",
            "sharpness saturating in D/N",
            Form::nonlinear,
            {log_s, gamma_n, log_r, growth},
            "own rival"};
  if (kind == LawKind::sharpness_saturating_tokens)
    return {kind,
            "sharpness_saturating_tokens",
            "sharpness saturating in D",
            Form::nonlinear,
            {log_s, gamma_n, log_tokens, growth},
            "own rival"};
  for (const auto make : {make_damage_law, make_bent_law, make_training_law})
    if (Law found = make(kind); !found.parameters.empty()) return found;
  return make_loss_law(kind);
}

}  // namespace

const Law& law(LawKind kind) {
  static const std::array<Law, law_count> laws = [] {
    std::array<Law, law_count> all;
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = make_law(static_cast<LawKind>(i));
    return all;
  }();
  return laws[static_cast<std::size_t>(kind)];
}

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
