#include "sim/curvature/probe.hpp"

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace hone {
namespace {

Stream stream_of(std::uint64_t seed, ProbeUse use, std::uint32_t number) {
  EXPECTS(number < (1u << 20), "probe {} of one estimator", number);
  return {seed, Domain::probe, static_cast<std::uint32_t>(use) + number};
}

}  // namespace

Vector<double> sign_probe(std::uint64_t seed, ProbeUse use, std::uint32_t number, Index size) {
  const Stream stream = stream_of(seed, use, number);
  Vector<double> z(size);
  for (Index i = 0; i < size; ++i) z[i] = rademacher(stream, std::uint64_t(i));
  return z;
}

Vector<double> normal_probe(std::uint64_t seed, ProbeUse use, std::uint32_t number, Index size) {
  const Stream stream = stream_of(seed, use, number);
  Vector<double> z(size);
  for (Index i = 0; i < size; ++i) z[i] = normal(stream, std::uint64_t(i));
  return z;
}

void project_out(const Basis& vectors, Vector<double>& v) {
  if (vectors.cols() == 0) return;
  for (int pass = 0; pass < 2; ++pass) v.noalias() -= vectors * (vectors.transpose() * v).eval();
}

void check_known(const Eigenpairs& known, Index size) {
  const Index k = known.values.size();
  EXPECTS(known.vectors.rows() == size && known.vectors.cols() == k && k <= size,
          "known pairs: {} values, vectors ({}, {}), operator of size {}", k, known.vectors.rows(),
          known.vectors.cols(), size);
  EXPECTS(known.values.allFinite() && known.vectors.allFinite(), "known pairs: not finite");
  if (k == 0) return;
  const double loss = (known.vectors.transpose() * known.vectors - Basis::Identity(k, k)).cwiseAbs().maxCoeff();
  EXPECTS(loss <= 1e-8, "known pairs: max |U'U - I| = {}", loss);
}

}  // namespace hone
