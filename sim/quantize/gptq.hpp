// GPTQ: rounds the columns of a weight matrix one after another and corrects the following columns for each error, which
// reduces the change of the outputs. The inputs enter only by their Gram matrix H = (2/n) XᵀX; calibration.hpp collects
// it, gptq_model.hpp quantizes a whole model.
//   shapes  W (O,I)  H (I,I)  D = Q - W
#pragma once

#include <string_view>
#include <vector>

#include "sim/formats/quantizer.hpp"

namespace hone {

/// The defaults are the published algorithm but for fresh group scales. Its `sym` grid is Grid::midrise except on rows
/// without a negative weight, where the published code can only represent 7/15 of the maximum (at 4 bits); ours keeps
/// the whole range.
struct GptqOptions {
  Quantizer quantizer = {};
  double damping = 0.01;            ///< added to the diagonal of H, as a share of its mean
  bool act_order = false;           ///< columns in descending order of H_ii; equal ones in the order of the matrix
  bool static_groups = false;       ///< steps of groups from the weights as given, not from the corrected ones
  bool stale_group_scales = false;  ///< as published: a group's step misses the corrections made inside its block
  bool mse_scales = false;          ///< shrink every step by the p of 1, .99, …, .21 with the least Σ|q-w|^2.4
  Index block_size = 128;           ///< columns corrected at once; changes the result only with stale_group_scales
  int threads = 1;                  ///< never part of the result

  /// errors  OptionError naming WHERE.FIELD, its value and the fix
  void validate(std::string_view where) const;
};

/// A quantized matrix and how it came about.
struct GptqResult {
  Matrix<double> q;                    ///< (O,I), on the grid
  Matrix<double> steps, zero_points;   ///< (O, groups); one column unless the granularity is group
  std::vector<Index> group_of_column;  ///< (I), a column of `steps`; consecutive columns unless act_order mixes them
  std::vector<Index> dead_columns;     ///< inputs that never differ from 0; their weights become 0
  std::vector<double> row_losses;      ///< (O); they sum to `loss`
  double loss = 0;                     ///< ½ tr(D H Dᵀ) with the damped H; with H as given after a fallback
  double damping_used = 0;             ///< the share that made H invertible
  int damping_retries = 0;
  bool fell_back_to_rtn = false;  ///< H could not be used: rounded to nearest, nothing set to 0
};

/// Quantizes W for inputs with Gram matrix H. Dead inputs (H_ii = 0) get H_ii = 1 and weights 0, as published; row and
/// tensor steps still come from the weights as given. When the damped H has no Cholesky factor, the damping is raised
/// tenfold (from at least 1e-6) up to 1; then, and when H is all 0, W is rounded to nearest.
/// math     UᵀU = (H + λI)⁻¹, U upper; column i: q = Q(w_i), e = (w_i - q)/U_ii, w_j -= e U_ij for j > i;
///          loss Σ e²/2
/// expects  finite weights, H symmetric
/// ensures  bits depend neither on the threads nor on the rows beside a row (but for tensor steps);
///          a diagonal H without zeros gives fake_quantize of W, bit for bit, unless act_order regroups the columns
/// errors   OptionError as validate; ContractError naming the first entry of H or W that is not finite
/// cost     2·I³/3 flops for U, 2·O·I² for the corrections
/// source   Frantar et al. 2023 (arXiv:2210.17323), algorithm 1
GptqResult gptq(ConstMatRef<double> w, ConstMatRef<double> h, const GptqOptions& options);

/// Upper U with UᵀU = H⁻¹; empty when H is not numerically positive definite.
/// expects  H symmetric
/// cost     2·I³/3 flops
Matrix<double> inverse_factor(ConstMatRef<double> h);

/// tr(D H Dᵀ): the mean squared change of the outputs, times 2 with H = (2/n) XᵀX.
double gram_error(ConstMatRef<double> d, ConstMatRef<double> h);

}  // namespace hone
