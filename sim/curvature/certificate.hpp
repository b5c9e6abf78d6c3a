// Certificates: a claim about a measurement, the measured error, its limit, and whether the error is within it. Every
// instrument of curvature gives such values beside its result.
#pragma once

#include <string>
#include <vector>

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

}  // namespace hone
