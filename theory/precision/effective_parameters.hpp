// The number of full-precision parameters that gives the loss of a quantized model: from measured loss, and from the
// information that codes keep about weights; and the bit scales that follow from each. Derived
// scales have no free parameter, so a fitted gamma_w can contradict them.
#pragma once

#include <cstdint>
#include <vector>

#include "theory/precision/training_law.hpp"

namespace hone::theory {

/// N_eff/N from a measured loss at finite precision and the loss of full precision.
/// math    f = (1/N) ((loss - loss_full)/A + N^-alpha)^(-1/alpha); NaN where the base is ≤ 0
/// expects N > 0
/// source  Kumar et al. 2411.04330 Eq 30
double empirical_fraction(const TrainingLaw& law, double N, double loss, double loss_full);

/// Size of the full-precision model of equal tokens that has the given loss, so damage after
/// training counts too.
/// math    N' = ((loss - E - B D^-beta)/A)^(-1/alpha); NaN where no size reaches the loss
double inference_parameters(const TrainingLaw& law, double D, double loss);

/// Information of a Gaussian weight that survives a relative mean squared error.
/// math    ½ log2(s²/MSE), at least 0: the rate-distortion bound on I(w; Q(w))
/// units   bits per weight
/// expects relative_mse > 0
/// source  Shannon 1959
double gaussian_information(double relative_mse);

/// Information that codes of these counts carry about the weights.
/// math    H = -Σ p log2 p; for a deterministic quantizer I(w; Q(w)) = H(Q(w))
/// units   bits per weight
/// expects counts ≥ 0, their sum > 0
double code_entropy(const std::vector<std::int64_t>& counts);

/// Entropy of a Gaussian weight rounded to nearest on a mid-tread grid, codes clipped to ±code_max.
/// units   bits per weight
/// expects sigma_over_step > 0, code_max ≥ 1
/// cost    2·code_max + 1 normal integrals
double gaussian_code_entropy(double sigma_over_step, std::int64_t code_max);

/// Share of the variance of a Gaussian weight that an optimal code of this information restores, the
/// information-theoretic N_eff/N.
/// math    1 - 2^(-2I)
double retained_fraction(double information);

/// Scale and offset that a curve of retained fractions implies.
struct InformationScale {
  PartScale scale;
  double rmse = 0;  ///< of ln(1 - f): 0 when the curve is an exponential in bits
};

/// Least squares of ln(1 - f) = offset - P/gamma.
/// math    information I_i at P_i bits has ln(1 - f_i) = -2 I_i ln 2
/// shapes  bits and information of equal length ≥ 2
/// ensures information equal to bits gives gamma = 1/(2 ln 2) = 0.7213 and offset 0
InformationScale information_scale(const std::vector<double>& bits, const std::vector<double>& information);

}  // namespace hone::theory
