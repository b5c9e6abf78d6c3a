// What a model of dual numbers needs besides dual.hpp: products, and a fake_quantize that does
// nothing (rounding has no derivative, and the derivative tests run at full precision).
#pragma once

#include "sim/base/gemm_any_scalar.hpp"
#include "sim/layers/quantizer.hpp"
#include "tests/support/dual.hpp"

namespace hone {

template <>
inline void fake_quantize<test::Dual>(MatRef<test::Dual>, const Quantizer&, Index, std::vector<double>*) {}

}  // namespace hone
