// Guided Gram matrices of one linear as their definition states them.
#pragma once

#include <vector>

#include "sim/quantize/guided.hpp"

namespace hone::test {

/// F_k = (1/n) Σ_t mean_{j in k}(G_tj²) x_t x_tᵀ for groups of consecutive outputs.
inline std::vector<Matrix<double>> guided_grams(ConstMatRef<double> x, ConstMatRef<double> g, Index groups) {
  std::vector<Matrix<double>> grams;
  for (Index k = 0; k < groups; ++k) {
    const Index first = row_group(g.cols(), groups, k), count = row_group(g.cols(), groups, k + 1) - first;
    const Vector<double> weights = g.middleCols(first, count).cwiseAbs2().rowwise().mean();
    grams.push_back(x.transpose() * weights.asDiagonal() * x / double(x.rows()));
  }
  return grams;
}

}  // namespace hone::test
