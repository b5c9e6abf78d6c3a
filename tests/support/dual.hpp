// Dual numbers a + b·ε with ε² = 0: any pass of the code, run on duals, also gives its exact
// directional derivative. They are the oracle behind every hand-written derivative; simulations
// never use them.
#pragma once

#include <cmath>
#include <numbers>

#include "sim/base/matrix.hpp"

namespace hone::test {

/// A value and its derivative along one direction.
struct Dual {
  double value = 0, tangent = 0;

  Dual() = default;
  Dual(double v, double t = 0) : value(v), tangent(t) {}
  explicit operator double() const { return value; }

  Dual& operator+=(const Dual& b) { return value += b.value, tangent += b.tangent, *this; }
  Dual& operator-=(const Dual& b) { return value -= b.value, tangent -= b.tangent, *this; }
  Dual& operator*=(const Dual& b) {
    tangent = tangent * b.value + value * b.tangent;
    value *= b.value;
    return *this;
  }
  Dual& operator/=(const Dual& b) {
    value /= b.value;
    tangent = (tangent - value * b.tangent) / b.value;
    return *this;
  }
  friend Dual operator+(Dual a, const Dual& b) { return a += b; }
  friend Dual operator-(Dual a, const Dual& b) { return a -= b; }
  friend Dual operator*(Dual a, const Dual& b) { return a *= b; }
  friend Dual operator/(Dual a, const Dual& b) { return a /= b; }
  friend Dual operator-(const Dual& a) { return {-a.value, -a.tangent}; }
  friend bool operator<(const Dual& a, const Dual& b) { return a.value < b.value; }
  friend bool operator>(const Dual& a, const Dual& b) { return a.value > b.value; }
  friend bool operator<=(const Dual& a, const Dual& b) { return a.value <= b.value; }
  friend bool operator>=(const Dual& a, const Dual& b) { return a.value >= b.value; }
  friend bool operator==(const Dual& a, const Dual& b) { return a.value == b.value; }
  friend bool operator!=(const Dual& a, const Dual& b) { return a.value != b.value; }
};

inline Dual exp(const Dual& a) { return {std::exp(a.value), std::exp(a.value) * a.tangent}; }
inline Dual log(const Dual& a) { return {std::log(a.value), a.tangent / a.value}; }
inline Dual sqrt(const Dual& a) {
  const double root = std::sqrt(a.value);
  return {root, a.tangent / (2 * root)};
}
inline Dual tanh(const Dual& a) {
  const double t = std::tanh(a.value);
  return {t, (1 - t * t) * a.tangent};
}
inline Dual erf(const Dual& a) {
  return {std::erf(a.value), 2 * std::numbers::inv_sqrtpi * std::exp(-a.value * a.value) * a.tangent};
}

}  // namespace hone::test

namespace Eigen {
template <>
struct NumTraits<hone::test::Dual> : NumTraits<double> {
  using Real = hone::test::Dual;
  using NonInteger = hone::test::Dual;
  using Nested = hone::test::Dual;
  enum { RequireInitialization = 1, ReadCost = 2, AddCost = 2, MulCost = 4 };
};
}  // namespace Eigen

namespace hone::test {

/// value + tangent·ε, element by element.
inline Vector<Dual> dual_of(const Vector<double>& value, const Vector<double>& tangent) {
  Vector<Dual> out(value.size());
  for (Index i = 0; i < value.size(); ++i) out[i] = {value[i], tangent[i]};
  return out;
}

/// The ε parts of count duals.
inline Vector<double> tangents(const Dual* a, Index count) {
  Vector<double> out(count);
  for (Index i = 0; i < count; ++i) out[i] = a[i].tangent;
  return out;
}

}  // namespace hone::test
