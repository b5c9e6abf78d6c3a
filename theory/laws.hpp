// Scaling laws as values: each law has a name, bounded parameters with units, and one formula
// (law_forms.hpp) that serves prediction, automatic derivatives and linear fits alike.
//   N quantizable parameters   D training tokens   P bits per weight
//   delta loss rise in nats per token
#pragma once

#include <string>
#include <vector>

namespace hone::theory {

/// What a law is a function of. Laws without a bit parameter ignore P.
struct Point {
  double N = 0;
  double D = 0;
  double P = 0;
};

enum class LawKind {
  ptq_exponential,       ///< ln delta = ln C + gD ln D - gN ln N - kappa P, kappa = 1/gamma_post
  ptq_bit_power,         ///< ln delta = ln C + gD ln D - gN ln N - gP ln P
  ptq_step,              ///< ln delta = ln C + gD ln D - gN ln N - 2 ln Qp, Qp = 2^(P-1) - 1
  ptq_saturating,        ///< ln delta = ln C - gN ln N + ln(1 - exp(-(D/N/r)^g)) - kappa P
  sharpness_power,       ///< ln s = c + gD ln D - gN ln N
  sharpness_saturating,  ///< ln s = c - gN ln N + ln(1 - exp(-(D/N/r)^g))
  chinchilla,            ///< ln L = ln(E + A N^-alpha + B D^-beta)
};

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

struct Law {
  LawKind kind = LawKind::ptq_exponential;
  std::string name;
  Form form = Form::log_linear;
  std::vector<Parameter> parameters;
};

/// Description of a law.
/// math    see LawKind. The saturating rivals are a plateau in D/N that starts as a power: for D/N
///         << r they are the power law with gD = g, so the power law is nested and held-out error
///         decides. The form 1 - exp(-x^g) was chosen over x^g/(1 + x^g) since its plateau is
///         reached within one decade: it is the stronger alternative to a straight line on a short
///         grid.
/// source  Kumar et al. 2411.04330 Eq 2 (exponential); Ouyang et al. 2411.17691 (power of bits)
const Law& law(LawKind kind);

/// Predicted value (not its log) at a point; NaN where the law is not defined (P ≤ 1 for ptq_step).
/// expects  one value per parameter of the law
double predict(LawKind kind, const std::vector<double>& parameters, const Point& point);

/// Parameters of LawKind::ptq_exponential from Kumar et al. 2411.04330 Table 2, a documented
/// example: they hold for their models and tokens, not for ours.
/// units   raw parameters, raw tokens; ln C contains the offset b of their text
std::vector<double> kumar_ptq_parameters();

/// Parameters of LawKind::chinchilla from Kumar et al. 2411.04330 Table 2 (alpha and beta tied).
std::vector<double> kumar_chinchilla_parameters();

}  // namespace hone::theory
