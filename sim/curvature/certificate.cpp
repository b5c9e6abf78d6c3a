#include "sim/curvature/certificate.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace hone {

Certificate certify(std::string id, std::string claim, double value, double limit) {
  return {std::move(id), std::move(claim), value, limit, value <= limit};
}

bool all_passed(const std::vector<Certificate>& certificates) {
  return !certificates.empty() &&
         std::all_of(certificates.begin(), certificates.end(), [](const Certificate& c) { return c.passed; });
}

double relative_to(double a, double scale) { return a == 0 ? 0 : a / scale; }

std::vector<Certificate> check_operator(const LinearOperator& op, std::uint64_t seed, double noise_floor) {
  EXPECTS(op.size >= 1, "operator check: size {}", op.size);
  Vector<double> u(op.size), v(op.size), au, av, again;
  const Stream left{seed, Domain::lanczos, 0xC0A00000}, right{seed, Domain::lanczos, 0xC0B00000};
  for (Index i = 0; i < op.size; ++i) {
    u[i] = normal(left, std::uint64_t(i));
    v[i] = normal(right, std::uint64_t(i));
  }
  op.apply(v, av);
  op.apply(v, again);
  op.apply(u, au);
  double differing = 0;
  for (Index i = 0; i < op.size; ++i) differing += std::memcmp(&av[i], &again[i], sizeof(double)) != 0;
  if (!av.allFinite() || !au.allFinite()) differing = std::nan("");
  const double asymmetry = relative_to(std::abs(u.dot(av) - v.dot(au)), u.norm() * av.norm());
  return {
      certify("C0a", "symmetry: |u'Av - v'Au| / (|u| |Av|) for random u, v", asymmetry, noise_floor > 0 ? 1e-6 : 1e-13),
      certify("C0b", "repeatability: entries of A v that differ in a second product", differing, 0)};
}

}  // namespace hone
