#include "sim/layers/hadamard.hpp"

#include <Eigen/QR>
#include <bit>
#include <optional>
#include <vector>

namespace hone {
namespace {

/// A base and the prime behind it: K = prime + 1 where prime ≡ 3 (mod 4), else K = 2(prime + 1).
struct Paley {
  Index base, prime;
};
constexpr std::array<Paley, 4> paley_bases{{{12, 11}, {20, 19}, {28, 13}, {36, 17}}};

bool is_power_of_two(Index n) { return n >= 1 && std::has_single_bit(static_cast<std::uint64_t>(n)); }

std::optional<HadamardFactors> find_factors(Index size) {
  if (is_power_of_two(size)) return HadamardFactors{1, 1, size};
  for (const Paley& p : paley_bases) {
    if (size < p.base || size % p.base != 0 || !is_power_of_two(size / p.base)) continue;
    const Index outer = p.base == 20 && size > 20 ? 2 : 1;
    return HadamardFactors{outer, p.base, size / p.base / outer};
  }
  return std::nullopt;
}

/// χ(0 … q-1): 0 at 0, +1 at squares, -1 elsewhere.
std::vector<double> quadratic_character(Index q) {
  std::vector<double> chi(static_cast<size_t>(q), -1.0);
  for (Index i = 0; i < q; ++i) chi[static_cast<size_t>(i * i % q)] = 1;
  chi[0] = 0;
  return chi;
}

/// The bordered matrix of χ(i-j), zero on the diagonal: skew for q ≡ 3, symmetric for q ≡ 1 (mod 4).
Matrix<double> conference_matrix(Index q) {
  const std::vector<double> chi = quadratic_character(q);
  Matrix<double> c(q + 1, q + 1);
  c.row(0).setConstant(q % 4 == 3 ? -1 : 1);
  c.col(0).setConstant(1);
  c(0, 0) = 0;
  for (Index i = 0; i < q; ++i)
    for (Index j = 0; j < q; ++j) c(i + 1, j + 1) = chi[static_cast<size_t>((i - j + q) % q)];
  return c;
}

}  // namespace

bool has_hadamard(Index size) { return find_factors(size).has_value(); }

std::string nearest_hadamard_sizes(Index size) {
  Index below = size - 1, above = std::max<Index>(size, 0) + 1;
  while (below >= 1 && !has_hadamard(below)) --below;
  while (!has_hadamard(above)) ++above;
  return below >= 1 ? fmt::format("{} and {}", below, above) : fmt::format("{}", above);
}

HadamardFactors hadamard_factors(Index size) {
  if (const auto factors = find_factors(size)) return *factors;
  throw OptionError(
      fmt::format("no Hadamard matrix of size {} (nearest sizes: {}); take one of these sizes or a random "
                  "orthogonal matrix",
                  size, nearest_hadamard_sizes(size)));
}

Matrix<double> hadamard_base(Index base) {
  if (base == 1) return Matrix<double>::Ones(1, 1);
  for (const Paley& p : paley_bases) {
    if (p.base != base) continue;
    const Matrix<double> c = conference_matrix(p.prime), one = Matrix<double>::Identity(p.prime + 1, p.prime + 1);
    if (p.prime % 4 == 3) return c + one;
    Matrix<double> h(base, base);
    h << c + one, c - one, c - one, -c - one;
    return h;
  }
  EXPECTS(false, "hadamard: base {} (known: 1, 12, 20, 28, 36)", base);
  return {};
}

Matrix<double> hadamard_signs(Index size) {
  const HadamardFactors f = hadamard_factors(size);
  const Matrix<double> base = hadamard_base(f.base);
  const auto sylvester = [](Index i, Index j) {
    return std::popcount(static_cast<std::uint64_t>(i & j)) % 2 == 0 ? 1.0 : -1.0;
  };
  Matrix<double> h(size, size);
  const Index tail = f.base * f.inner;
  for (Index i = 0; i < size; ++i)
    for (Index j = 0; j < size; ++j)
      h(i, j) = sylvester(i / tail, j / tail) * base(i % tail / f.inner, j % tail / f.inner) *
                sylvester(i % f.inner, j % f.inner);
  return h;
}

Matrix<double> random_sign_hadamard(Index size, const Stream& stream) {
  Matrix<double> q = hadamard_signs(size) / std::sqrt(double(size));
  for (Index i = 0; i < size; ++i) q.row(i) *= rademacher(stream, static_cast<std::uint64_t>(i));
  return q;
}

Matrix<double> random_orthogonal(Index size, const Stream& stream) {
  EXPECTS(size >= 1, "random orthogonal matrix: size {}", size);
  Eigen::MatrixXd g(size, size);
  for (Index i = 0; i < g.size(); ++i) g.data()[i] = normal(stream, static_cast<std::uint64_t>(i));
  const Eigen::HouseholderQR<Eigen::MatrixXd> qr(g);
  Matrix<double> q = qr.householderQ();
  for (Index j = 0; j < size; ++j)
    if (qr.matrixQR()(j, j) < 0) q.col(j) = -q.col(j);
  return q;
}

}  // namespace hone
