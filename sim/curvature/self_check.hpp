// Checks of an operator before its spectrum is computed: it is symmetric, and its products are reproducible.
#pragma once

#include <cstdint>

#include "sim/curvature/certificate.hpp"
#include "sim/curvature/operators.hpp"

namespace hone {

/// C0a, |u'Av - v'Au| / (‖u‖‖Av‖) for random u, v, and C0b, the entries in which two products with the same v differ in
/// any bit.
/// units    noise_floor: relative rounding of the products, 0 for float64 (limit 1e-13; else 1e-6)
/// ensures  both fail when a product is not finite
/// cost     3 products
std::vector<Certificate> check_operator(const LinearOperator& op, std::uint64_t seed, double noise_floor = 0);

}  // namespace hone
