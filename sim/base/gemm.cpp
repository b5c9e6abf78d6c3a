#include "sim/base/gemm_any_scalar.hpp"
#include "sim/base/parallel.hpp"

namespace hone {

namespace {
const bool pinned = (pin_eigen(), true);  // before the first product of the process
}

template void gemm_nn<float>(MatRef<float>, ConstMatRef<float>, ConstMatRef<float>, Write);
template void gemm_nt<float>(MatRef<float>, ConstMatRef<float>, ConstMatRef<float>, Write);
template void gemm_tn<float>(MatRef<float>, ConstMatRef<float>, ConstMatRef<float>, Write);
template void gemm_nn<double>(MatRef<double>, ConstMatRef<double>, ConstMatRef<double>, Write);
template void gemm_nt<double>(MatRef<double>, ConstMatRef<double>, ConstMatRef<double>, Write);
template void gemm_tn<double>(MatRef<double>, ConstMatRef<double>, ConstMatRef<double>, Write);

}  // namespace hone
