// What a model of dual numbers needs besides dual.hpp: products, and quantizers that do nothing
// (rounding has no derivative, and the derivative tests run at full precision).
#pragma once

#include "sim/base/gemm_any_scalar.hpp"
#include "sim/formats/straight_through.hpp"
#include "tests/support/dual.hpp"

namespace hone {

template <>
inline void fake_quantize<test::Dual>(MatRef<test::Dual>, const Quantizer&, Index, std::vector<double>*) {}
template <>
inline void fake_quantize_static<test::Dual>(MatRef<test::Dual>, const StepRange&, Rounding, const Stream&) {}
template <>
inline void apply_ste_mask<test::Dual>(MatRef<test::Dual>, ConstMatRef<test::Dual>, const Quantizer&, SteKind, Index) {}

}  // namespace hone
