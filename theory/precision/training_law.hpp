// The training-time precision law with its parameters as numbers, for computations with a finished fit: Kumar et al.
// Eqs 3 and 4, with the offsets of their Appendix K.
#pragma once

#include <array>
#include <vector>

#include "theory/laws/laws.hpp"

namespace hone::theory {

/// What is quantized in training, in the order of all arrays of three.
enum class Part { weights, activations, kv_cache };

/// Scale and offset of one part, f(P) = 1 - exp(-P/gamma + offset).
struct PartScale {
  double gamma = 1;   ///< bits
  double offset = 0;  ///< 1
};

/// L = A (N f_w f_a f_kv)^-alpha + B D^-beta + E.
struct TrainingLaw {
  double A = 0;
  double alpha = 0;
  double B = 0;
  double beta = 0;
  double E = 0;
  std::array<PartScale, 3> parts;
};

/// The law of a fit of LawKind::train_exponential.
/// expects 11 parameters
TrainingLaw training_law(const std::vector<double>& parameters);

/// Kumar et al. 2411.04330 Table 2, with offsets.
TrainingLaw kumar_training_law();

/// The same law with every part at the mean scale and the mean offset.
TrainingLaw averaged(const TrainingLaw& law);

/// The same law with offsets 0, as the formula is printed.
TrainingLaw without_offsets(const TrainingLaw& law);

/// N_eff/N of one part; negative below `zero_bits`, 1 at infinite bits.
double effective_fraction(const PartScale& part, double bits);

/// N_eff/N at training precision P_w, P_a, P_kv of the point.
/// math    product of the parts; NaN when a part is ≤ 0
/// source  Kumar et al. Eq 4
double effective_fraction(const TrainingLaw& law, const Point& point);

/// Bits at which a part's fraction is zero: gamma·offset.
double zero_bits(const PartScale& part);

/// Loss at a point.
/// units  nats/token
double training_loss(const TrainingLaw& law, const Point& point);

/// The point of equal training precision P in all parts.
Point trained_at(double N, double D, double bits);

}  // namespace hone::theory
