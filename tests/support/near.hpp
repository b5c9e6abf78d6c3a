// Comparisons for tests: relative, with the worst element reported, and false for NaN.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <string>

#include "sim/base/matrix.hpp"

namespace hone::test {

/// |a-b| ≤ rel·|b| + floor, written so that NaN fails.
inline bool near(double a, double b, double rel, double floor = 0) {
  return std::abs(a - b) <= rel * std::abs(b) + floor;
}

/// ‖a-b‖₂ / ‖b‖₂; +inf when sizes differ, NaN when anything is NaN.
template <class A, class B>
double relative_error(const A& a, const B& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return INFINITY;
  const double scale = b.norm();
  const double error = (a - b).norm();
  return scale > 0 ? error / scale : error;
}

}  // namespace hone::test

/// Checks |a-b| ≤ rel·|b| + floor and prints both values, their difference and the tolerance.
#define CHECK_NEAR(a, b, rel, floor)                                                                             \
  do {                                                                                                           \
    const double a_ = static_cast<double>(a), b_ = static_cast<double>(b);                                       \
    CHECK_MESSAGE(::hone::test::near(a_, b_, rel, floor),                                                        \
                  ::fmt::format("{} = {:.17g}, {} = {:.17g}, difference {:.3g}, allowed {:.3g}", #a, a_, #b, b_, \
                                a_ - b_, double(rel) * std::abs(b_) + double(floor)));                           \
  } while (false)
