#include "sim/curvature/self_check.hpp"

#include <cmath>
#include <cstring>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace hone {

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
