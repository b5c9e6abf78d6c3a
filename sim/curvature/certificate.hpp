// Certificates: a claim about a measurement, the measured error, its limit, and whether the error is within it. Every
// instrument of curvature gives such values beside its result.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/curvature/operators.hpp"

namespace hone {

/// One claim `value ≤ limit`. An infinite limit marks a number that is recorded without a claim.
struct Certificate {
  std::string id;     ///< "C0a" … "C6", as in the table of certificates
  std::string claim;  ///< one line for a reader of the record: what `value` is and what it is measured against
  double value = 0;
  double limit = 0;
  bool passed = false;
};

/// The certificate that `value` does not pass `limit`.
/// ensures  not passed when value or limit is NaN
Certificate certify(std::string id, std::string claim, double value, double limit);

/// True when every certificate is passed; an empty list certifies nothing and is not.
bool all_passed(const std::vector<Certificate>& certificates);

/// a/scale with 0/0 = 0: an operator that is zero makes no error.
double relative_to(double a, double scale);

/// Checks of an operator before its spectrum is computed: it is symmetric, and its products are reproducible.
/// math     C0a, |u'Av - v'Au| / (‖u‖‖Av‖) for random u, v; C0b, the entries in which two products with the same v
///          differ in any bit
/// units    noise_floor: relative rounding of the products, 0 for float64 (limit 1e-13; else 1e-6)
/// ensures  both fail when a product is not finite
/// cost     3 products
std::vector<Certificate> check_operator(const LinearOperator& op, std::uint64_t seed, double noise_floor = 0);

}  // namespace hone
