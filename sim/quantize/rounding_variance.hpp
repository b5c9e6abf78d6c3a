// The variance of the error that rounding makes of each weight: what a quadratic loss turns into expected damage.
#pragma once

#include <vector>

#include "sim/formats/quantizer.hpp"
#include "sim/model/params.hpp"

namespace hone {

/// The variance of the rounding error of each quantizable parameter, and 0 for all others.
/// math     to nearest, over weights that lie anywhere between two levels: step²/12. Stochastic, over the draws, for a
///          weight w between the levels l and u: (w - l)(u - w), which is f(1-f) step² for w = l + f step; beyond the
///          grid the squared error, which no draw changes. E[ΔL] = ½ Σ_i variance_i H_ii where L is quadratic and
///          errors of different weights are independent with mean 0: exact for stochastic rounding inside the grid
/// shapes   theta, result (layout.size())
/// errors   OptionError from Quantizer::validate; ContractError to nearest where levels are not evenly spaced
/// source   Widrow & Kollár 2008, chapter 5: uniform rounding noise; a Bernoulli choice between two levels
std::vector<double> rounding_variance(const double* theta, const ParamLayout& layout, const Quantizer& q);

}  // namespace hone
