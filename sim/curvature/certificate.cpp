#include "sim/curvature/certificate.hpp"

#include <algorithm>
#include <utility>

namespace hone {

Certificate certify(std::string id, std::string claim, double value, double limit) {
  return {std::move(id), std::move(claim), value, limit, value <= limit};
}

bool all_passed(const std::vector<Certificate>& certificates) {
  return !certificates.empty() &&
         std::all_of(certificates.begin(), certificates.end(), [](const Certificate& c) { return c.passed; });
}

double relative_to(double a, double scale) { return a == 0 ? 0 : a / scale; }

}  // namespace hone
