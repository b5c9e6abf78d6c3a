// Weights from a list of values instead of an even grid: each row has a codebook of 2^b free values, fitted to the
// inputs by turns with the assignment of its weights (LNQ).
//   shapes  W (O,I)  H (I,I)  codebook (O, 2^b)
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/base/gemm.hpp"

namespace hone {

enum class CodebookStart {
  nearest,  ///< the even asymmetric grid of the row, weights to the nearest level
  kmeans,   ///< Lloyd's iterations from there, weights counted by H_ii
};

struct CodebookOptions {
  int bits = 3;
  CodebookStart start = CodebookStart::kmeans;
  int rounds = 10;         ///< of least squares, then descent
  int descent_cycles = 4;  ///< passes over the columns in each round
  double ridge = 1e-7;     ///< pull towards the codebook before, as a share of the mean of diag H
  int threads = 1;         ///< never part of the result

  /// errors  OptionError naming WHERE.FIELD, its value and the fix
  void validate(std::string_view where) const;
};

struct CodebookResult {
  Matrix<double> q, codebook;
  Matrix<std::uint8_t> codes;      ///< q(r,c) = codebook(r, codes(r,c))
  std::vector<double> objectives;  ///< tr(D H Dᵀ) at the start, after each least-squares fit and after each descent
  double bits_per_weight = 0;      ///< b + 16·2^b/I
};

/// Minimizes tr(D H Dᵀ), D = Q - W, over codebooks and assignments by turns.
/// math     codebook of a row: (PᵀHP + ρI)(c - c₀) = PᵀH(w - P c₀), P the assignment, c₀ the codebook before. The
///          published ridge pulls towards 0 and can raise the objective; this one cannot, and leaves unused values.
///          descent: weight j goes to the value nearest to q_j + (H(w-q))_j/H_jj, its minimizer, if that lowers it
/// expects  finite W, H symmetric and positive semidefinite
/// ensures  objectives never rise but for rounding; bits do not depend on the threads
/// errors   OptionError as validate, and when a codebook has more values than its row has weights; ContractError when
///          W or H are not finite
/// cost     O·I²·(rounds·(cycles + 2)) multiply-adds at most
/// source   Kim et al. 2025 (GuidedQuant, arXiv:2505.07004), layer-wise non-uniform quantization
CodebookResult fit_codebooks(ConstMatRef<double> w, ConstMatRef<double> h, const CodebookOptions& options);

}  // namespace hone
