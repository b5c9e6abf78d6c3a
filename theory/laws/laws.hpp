// Scaling laws as values: each law has a name, bounded parameters with units, a source, and one
// formula (formulas.hpp) that serves prediction, derivatives and linear fits alike.
//   N quantizable parameters   D training tokens   P bits per weight after training
//   P_w, P_a, P_kv bits of weights, activations and KV cache during training
//   L loss and delta loss rise, in nats per token
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sim/base/grid.hpp"

namespace hone::theory {

/// What a law is a function of; each law reads some of these. Infinite bits mean full precision.
struct Point {
  double N = 0;
  double D = 0;
  double P = 0;
  double P_w = std::numeric_limits<double>::infinity();
  double P_a = std::numeric_limits<double>::infinity();
  double P_kv = std::numeric_limits<double>::infinity();
  double group = 0;  ///< weights per scale; 0: not given
  double exponent_bits = 0;
  double mantissa_bits = 0;
  Grid grid = Grid::restricted;
  std::int64_t model = 0;  ///< which model; laws of one model each are fitted by groups of it
};

enum class LawKind {
  ptq_exponential,              ///< ln delta = ln C + gD ln D - gN ln N - kappa P, kappa = 1/gamma_post
  ptq_bit_power,                ///< ln delta = ln C + gD ln D - gN ln N - gP ln P
  ptq_step,                     ///< ln delta = ln C + gD ln D - gN ln N - 2 ln(M/Delta), Point::grid says the step
  ptq_saturating,               ///< ln delta = ln C - gN ln N + ln(1 - exp(-(D/N/r)^g)) - kappa P
  sharpness_power,              ///< ln s = c + gD ln D - gN ln N
  sharpness_saturating,         ///< ln s = c - gN ln N + ln(1 - exp(-(D/N/r)^g))
  ptq_saturating_tokens,        ///< ptq_saturating with a place r of the tokens D in place of D/N
  sharpness_saturating_tokens,  ///< sharpness_saturating with a place r of the tokens D in place of D/N
  chinchilla,                   ///< ln L = ln(E + A N^-alpha + B D^-beta)
  ptq_broken,                   ///< slope g1 in ln(D/N) below ln r, g2 above, bend of width 1/4
  ptq_step_saturating,          ///< ptq_saturating with -2 ln(M/Delta) in place of -kappa P
  ptq_step_broken,              ///< ptq_broken with -2 ln(M/Delta) in place of -kappa P
  ptq_rate,                     ///< ln delta = ln C + gD ln D - gN ln N - 2 P ln 2
  ptq_bit_difference,           ///< ln delta = ln eta + beta ln(D/N) + d ln(P_w - P)
  ptq_calibration,              ///< ln delta = c - kappa P: no law over models; by_group over Point::model
  ptq_robust,                   ///< delta = C D^gD/N_eff^gN e^(-kappa P) prod_x (1 - exp(-C_x (P_x - P)))
  qat_group,                    ///< ln delta = ln k + gD ln D - gN ln N + gG ln log2 G
  total_bits,                   ///< ln y = c - a ln(N bits per weight); by_group over P for a line per precision
  train_exponential,            ///< L = A N_eff^-alpha + B D^-beta + E, N_eff = N prod (1 - e^(-P_x/gamma_x + n_x))
  train_additive,               ///< the same with N_eff = N (1 - sum e^(-P_x/gamma_x + n_x))
  train_logistic,               ///< the same with N_eff = N prod 1/(1 + e^(-P_x/gamma_x + n_x))
  train_tail,                   ///< the same with N_eff = N prod (1 - (1 + t_x P_x/gamma_x)^(-1/t_x))
  unified,                      ///< train_exponential + ptq_robust with one N_eff
  capybara,                     ///< L = n/N^a + d/D^b + eps + D^b/N^a log2 G / (g (E + ½)^delta (M + ½)^nu)
  shannon,                      ///< 1/L = a N^alpha log2(1 + D^beta/(c (DN)^gamma + d D^delta + e))
};
inline constexpr std::size_t law_count = 25;

/// One parameter of a law: the closed interval a fit may search and the unit of its value.
struct Parameter {
  std::string name;
  double low = 0;
  double high = 0;
  std::string unit;
};

/// How a law can be fitted.
enum class Form {
  log_linear,  ///< ln prediction is affine in the parameters, the first is its constant
  nonlinear,
};

/// What the residuals of a fit are made of.
enum class Scale {
  log,  ///< ln y - ln prediction
  raw,  ///< y - prediction, for laws that may predict zero
};

struct Law {
  LawKind kind = LawKind::ptq_exponential;
  std::string key;   ///< stable, for programs
  std::string name;  ///< for people
  Form form = Form::log_linear;
  std::vector<Parameter> parameters;
  std::string source;
  Scale scale = Scale::log;
};

/// Description of a law.
/// math    see LawKind. The saturating rivals are a plateau in D/N, or in D, that starts as a power:
///         far below r they are the power law with gD = g, so the power law is nested and held-out
///         error decides. At r itself they have 1 - 1/e of their plateau. The form 1 - exp(-x^g) was chosen over x^g/(1 + x^g) since its plateau is
///         reached within one decade: it is the stronger alternative to a straight line on a short
///         grid. The tail 1 - (1 + t P/gamma)^(-1/t) is a power of P that becomes 1 - e^(-P/gamma)
///         at t = 0. In ptq_robust a part with P_x ≤ P makes delta 0.
/// source  Law::source
const Law& law(LawKind kind);

/// Predicted value (not its log) at a point; NaN where the law is not defined (P ≤ 1 for ptq_step,
/// N_eff ≤ 0 in training laws).
/// expects  one value per parameter of the law
double predict(LawKind kind, const std::vector<double>& parameters, const Point& point);

/// Derivatives of `predict` by each parameter, by automatic differentiation.
/// expects  one value per parameter of the law
std::vector<double> gradient(LawKind kind, const std::vector<double>& parameters, const Point& point);

/// Bits stored per weight: P, and a scale of 16 bits per group where Point::group is given.
double bits_per_weight(const Point& point);

/// Parameters of LawKind::ptq_exponential from Kumar et al. 2411.04330 Table 2, a documented
/// example: they hold for their models and tokens, not for ours.
/// units   raw parameters, raw tokens; ln C contains the offset b of their text
std::vector<double> kumar_ptq_parameters();

/// Parameters of LawKind::chinchilla from Kumar et al. 2411.04330 Table 2 (alpha and beta tied).
std::vector<double> kumar_chinchilla_parameters();

/// Parameters of LawKind::train_exponential from Kumar et al. 2411.04330 Table 2, with offsets.
std::vector<double> kumar_training_parameters();

/// Parameters of LawKind::ptq_bit_power: Ouyang et al. 2411.17691.
std::vector<double> ouyang_parameters();

/// Parameters of LawKind::capybara: Sun et al. 2501.02423; they give the published D_crit of 0.4T,
/// 27T and 1730T tokens at N = 1e9.
std::vector<double> capybara_parameters();

/// The quantized tensors of the fits of Chen et al.
enum class ChenFit { w4a4, w4a16, w16a4, w4a4_fc2_w8 };

/// Parameters of LawKind::qat_group: Chen et al. 2505.14302.
std::vector<double> chen_parameters(ChenFit fit);

/// D beyond which the precision term of LawKind::capybara outgrows the gain from data.
/// math    (d g N^a (E + ½)^delta (M + ½)^nu / log2 G)^(1/(2b))
/// expects group > 1
/// source  Sun et al. 2501.02423
double capybara_critical_tokens(const std::vector<double>& parameters, const Point& point);

}  // namespace hone::theory
