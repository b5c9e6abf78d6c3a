#include "sim/quantize/gptq.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/base/parallel.hpp"
#include "sim/formats/range_choice.hpp"

namespace hone {
namespace {

constexpr double least_retry = 1e-6, greatest_damping = 1;
constexpr Index rows_per_item = 32;

/// The published grid of the search for a step.
constexpr int shrink_steps = 80;
constexpr double shrink_grid = 100, error_power = 2.4;

void refuse_non_finite(ConstMatRef<double> m, const char* what) {
  if (m.allFinite()) return;
  for (Index r = 0; r < m.rows(); ++r)
    for (Index c = 0; c < m.cols(); ++c)
      EXPECTS(std::isfinite(m(r, c)), "gptq: {} ({}, {}) is {}; check the model and its calibration tokens", what, r, c,
              m(r, c));
}

double window_error(const double* values, const StepGroup& g, Index stride, const StepRange& range, double limit) {
  double error = 0;
  for (Index r = 0; r < g.rows; ++r)
    for (Index c = 0; c < g.cols; ++c) {
      const double x = values[r * stride + c];
      error += std::pow(std::abs(quantize_value(x, range, Rounding::nearest_even, 0.5) - x), error_power);
      if (error >= limit) return error;
    }
  return error;
}

/// The grid of a window of weights. A shrunk range is that of the two shrunk extremes.
StepRange window_range(const double* values, const StepGroup& g, Index stride, const GptqOptions& options,
                       double absmax) {
  const Quantizer& q = options.quantizer;
  StepRange best = step_range(values, g.rows, g.cols, stride, q, absmax);
  if (!options.mse_scales || best.step == 0) return best;
  double low = 0, high = 0, least = INFINITY;
  for (Index r = 0; r < g.rows; ++r)
    for (Index c = 0; c < g.cols; ++c) {
      low = std::min(low, values[r * stride + c]);
      high = std::max(high, values[r * stride + c]);
    }
  for (int i = 0; i < shrink_steps; ++i) {
    const double p = 1 - i / shrink_grid;
    const StepRange range = range_of_extremes(p * low, p * high, q, absmax);
    const double error = window_error(values, g, stride, range, least);
    if (error < least) least = error, best = range;
  }
  return best;
}

/// All that the rows share: what is decided before the first weight is rounded.
struct Plan {
  const GptqOptions& options;
  Index cols = 0, group = 0, groups = 1, block = 0;
  double absmax = 0;         ///< of W as given
  bool dynamic = false;      ///< group steps come from corrected weights
  std::vector<Index> order;  ///< order[i] is the column of W that is rounded as i-th
  Matrix<double> upper;      ///< in that order

  /// The column of `steps` of the i-th rounded weight.
  Index group_at(Index i) const {
    if (group == 0) return 0;
    return (dynamic ? i : order[static_cast<size_t>(i)]) / group;
  }
};

Plan make_plan(ConstMatRef<double> w, const GptqOptions& options) {
  const Index cols = w.cols();
  Plan plan{.options = options, .cols = cols, .block = options.block_size, .order = {}, .upper = {}};
  plan.absmax = w.cwiseAbs().maxCoeff();
  if (options.quantizer.granularity == Granularity::group) {
    plan.group = options.quantizer.group;
    plan.groups = (cols + plan.group - 1) / plan.group;
    plan.dynamic = !options.static_groups;
  }
  // Blocks of whole groups: every weight of a group has all its corrections when the group begins.
  if (plan.dynamic && !options.stale_group_scales)
    plan.block = std::max(plan.group, options.block_size / plan.group * plan.group);
  plan.order.resize(static_cast<size_t>(cols));
  std::iota(plan.order.begin(), plan.order.end(), Index(0));
  return plan;
}

Matrix<double> in_order(ConstMatRef<double> m, const std::vector<Index>& rows, const std::vector<Index>& cols) {
  Matrix<double> out(m.rows(), m.cols());
  for (Index r = 0; r < m.rows(); ++r) {
    const Index from = rows.empty() ? r : rows[static_cast<size_t>(r)];
    for (Index c = 0; c < m.cols(); ++c) out(r, c) = m(from, cols[static_cast<size_t>(c)]);
  }
  return out;
}

/// Fills plan.upper with the factor of the damped H, or with I for rounding to nearest.
void factor_damped(Matrix<double> h, Plan& plan, GptqResult& result) {
  const double mean = h.diagonal().mean();
  result.damping_used = plan.options.damping;
  while (mean > 0 && std::isfinite(mean)) {
    Matrix<double> damped = h;
    damped.diagonal().array() += result.damping_used * mean;
    plan.upper = inverse_factor(damped);
    if (plan.upper.size() > 0) return;
    const double next = std::max(10 * result.damping_used, least_retry);
    if (next > greatest_damping) break;
    result.damping_used = next;
    ++result.damping_retries;
  }
  result.fell_back_to_rtn = true;
  std::iota(plan.order.begin(), plan.order.end(), Index(0));
  plan.upper = Matrix<double>::Identity(plan.cols, plan.cols);
}

/// One row of W on its way through the columns.
struct RowState {
  double* outer;     ///< the row in processing order, corrected block by block
  double* current;   ///< the block at hand, corrected column by column
  double* errors;    ///< of the block
  StepRange* range;  ///< of the groups of this row
  double* q;         ///< the row of the result
  Index row;
  double loss = 0;
};

void quantize_block_of_row(const Plan& plan, Index begin, Index width, RowState& s) {
  const Quantizer& q = plan.options.quantizer;
  const Stream stream{q.seed, Domain::rounding, q.substream};
  for (Index i = 0; i < width; ++i) {
    const Index at = begin + i, column = plan.order[static_cast<size_t>(at)];
    StepRange& range = s.range[plan.group_at(at)];
    if (plan.dynamic && at % plan.group == 0) {
      const StepGroup window{s.row, at, 1, std::min(plan.group, plan.cols - at)};
      range = window_range(plan.options.stale_group_scales ? s.outer + at : s.current + i, window, plan.cols,
                           plan.options, plan.absmax);
    }
    double u = 0.5;
    if (q.rounding == Rounding::stochastic) u = uniform(stream, static_cast<std::uint64_t>(s.row * plan.cols + column));
    const double value = quantize_value(s.current[i], range, q.rounding, u);
    const double* upper = &plan.upper(at, begin);
    const double error = (s.current[i] - value) / upper[i];
    s.q[column] = value;
    s.errors[i] = -error;
    s.loss += error * error / 2;
    for (Index j = i + 1; j < width; ++j) s.current[j] -= error * upper[j];
  }
}

/// Rows first … first+count-1 of W through all blocks of columns.
void quantize_rows(const Plan& plan, Index first, Index count, Matrix<double>& w, std::vector<StepRange>& ranges,
                   GptqResult& result) {
  const Index cols = plan.cols;
  Matrix<double> current, errors;
  for (Index begin = 0; begin < cols; begin += plan.block) {
    const Index width = std::min(plan.block, cols - begin), rest = cols - begin - width;
    current = w.block(first, begin, count, width);
    errors.resize(count, width);
    for (Index r = 0; r < count; ++r) {
      const Index row = first + r;
      RowState state{&w(row, 0),        &current(r, 0),
                     &errors(r, 0),     &ranges[static_cast<size_t>(row * plan.groups)],
                     &result.q(row, 0), row};
      quantize_block_of_row(plan, begin, width, state);
      result.row_losses[static_cast<size_t>(row)] += state.loss;
    }
    if (rest > 0 && !result.fell_back_to_rtn)
      gemm_nn<double>(w.block(first, begin + width, count, rest), errors,
                      plan.upper.block(begin, begin + width, width, rest), Write::add);
  }
}

/// Steps that do not wait for corrections; those of groups from `zeroed`, in which dead columns are 0.
std::vector<StepRange> first_ranges(const Plan& plan, const Matrix<double>& w, const Matrix<double>& zeroed) {
  std::vector<StepRange> ranges(static_cast<size_t>(w.rows() * plan.groups));
  if (plan.dynamic) return ranges;
  const Matrix<double>& source = plan.group > 0 ? zeroed : w;
  for_each_group(plan.options.quantizer, w.rows(), w.cols(), w.rows(), [&](const StepGroup& g) {
    const StepRange range = window_range(&source(g.row, g.col), g, w.cols(), plan.options, plan.absmax);
    const Index column = plan.group > 0 ? g.col / plan.group : 0;
    for (Index r = g.row; r < g.row + g.rows; ++r) ranges[static_cast<size_t>(r * plan.groups + column)] = range;
  });
  return ranges;
}

/// Puts 1 on the diagonal of inputs that are never used, and orders the columns.
void prepare(Plan& plan, Matrix<double>& h, GptqResult& result) {
  for (Index i = 0; i < plan.cols; ++i)
    if (h(i, i) == 0) result.dead_columns.push_back(i);
  if (static_cast<Index>(result.dead_columns.size()) == plan.cols) {
    result.dead_columns.clear();
    return;
  }
  for (const Index i : result.dead_columns) h(i, i) = 1;
  if (!plan.options.act_order) return;
  std::stable_sort(plan.order.begin(), plan.order.end(), [&](Index a, Index b) { return h(a, a) > h(b, b); });
}

void describe_steps(const Plan& plan, const std::vector<StepRange>& ranges, GptqResult& result) {
  const Index rows = result.q.rows();
  result.steps.resize(rows, plan.groups);
  result.zero_points.resize(rows, plan.groups);
  for (Index i = 0; i < rows * plan.groups; ++i) {
    result.steps.data()[i] = ranges[static_cast<size_t>(i)].step;
    result.zero_points.data()[i] = ranges[static_cast<size_t>(i)].zero_point;
  }
  result.group_of_column.resize(static_cast<size_t>(plan.cols));
  for (Index i = 0; i < plan.cols; ++i)
    result.group_of_column[static_cast<size_t>(plan.order[static_cast<size_t>(i)])] = plan.group_at(i);
}

/// After a fallback nothing was corrected, and the losses of the columns mean nothing.
void measure_fallback(ConstMatRef<double> w, ConstMatRef<double> h, GptqResult& result) {
  result.damping_used = 0;
  for (Index r = 0; r < w.rows(); ++r)
    result.row_losses[static_cast<size_t>(r)] = gram_error(result.q.row(r) - w.row(r), h) / 2;
}

}  // namespace

void GptqOptions::validate(std::string_view where) const {
  quantizer.validate(fmt::format("{}.quantizer", where));
  if (!quantizer.is_on())
    throw OptionError(fmt::format("{}.quantizer.bits = {} quantizes nothing; use 2..8", where, quantizer.bits));
  const Granularity shared = quantizer.granularity;
  if (shared != Granularity::tensor && shared != Granularity::row && shared != Granularity::group)
    throw OptionError(
        fmt::format("{}.quantizer.granularity = '{}' shares steps across rows and columns; use tensor, "
                    "row or group",
                    where, name_of(shared)));
  if (quantizer.scale == ScaleKind::double_quantized)
    throw OptionError(
        fmt::format("{}.quantizer.scale = 'double_quantized' needs the steps of all groups before the first "
                    "weight is rounded; use 'fp16_stored', or round to nearest",
                    where));
  if (quantizer.outlier_threshold != 0)
    throw OptionError(fmt::format("{}.quantizer.outlier_threshold = {} is for activations; set it to 0", where,
                                  quantizer.outlier_threshold));
  if (!(damping >= 0) || !std::isfinite(damping))
    throw OptionError(fmt::format("{}.damping = {} is no share of the diagonal; use 0.01", where, damping));
  if (block_size < 1)
    throw OptionError(fmt::format("{}.block_size = {} is less than one column; use 128", where, block_size));
  if (static_groups && stale_group_scales)
    throw OptionError(fmt::format("{0}.stale_group_scales has no meaning with {0}.static_groups; remove one", where));
}

Matrix<double> inverse_factor(ConstMatRef<double> h) {
  const Index n = h.rows();
  EXPECTS(n == h.cols(), "inverse_factor: H is {} x {}", n, h.cols());
  // With rows and columns reversed, H = L Lᵀ becomes H = R Rᵀ with R upper, and U = R⁻¹: one factorization and one
  // triangular inverse, where H⁻¹ and its factor take three.
  using Columns = Eigen::MatrixXd;
  const Columns reversed = h.reverse();
  const Eigen::LLT<Columns> factor(reversed);
  if (factor.info() != Eigen::Success) return {};
  const Columns lower = factor.matrixL();
  // A pivot that cancelled down to rounding errors would pass and blow U up.
  for (Index i = 0; i < n; ++i)
    if (!(lower(i, i) * lower(i, i) > 1e-14 * static_cast<double>(n) * reversed(i, i))) return {};
  const Columns inverse = lower.triangularView<Eigen::Lower>().solve(Columns::Identity(n, n));
  return inverse.reverse();
}

double gram_error(ConstMatRef<double> d, ConstMatRef<double> h) {
  EXPECTS(d.cols() == h.rows() && h.rows() == h.cols(), "gram_error: D {} x {}, H {} x {}", d.rows(), d.cols(),
          h.rows(), h.cols());
  Matrix<double> product(d.rows(), d.cols());
  gemm_nn<double>(product, d, h);
  return product.cwiseProduct(d).sum();
}

GptqResult gptq(ConstMatRef<double> w, ConstMatRef<double> h, const GptqOptions& options) {
  options.validate("gptq");
  EXPECTS(w.size() > 0 && h.rows() == w.cols() && h.cols() == w.cols(), "gptq: W {} x {}, H {} x {}", w.rows(),
          w.cols(), h.rows(), h.cols());
  refuse_non_finite(w, "weight");
  refuse_non_finite(h, "entry of H");
  Plan plan = make_plan(w, options);
  GptqResult result;
  Matrix<double> gram = h;
  prepare(plan, gram, result);
  factor_damped(options.act_order ? in_order(gram, plan.order, plan.order) : gram, plan, result);
  if (result.fell_back_to_rtn) result.dead_columns.clear();

  Matrix<double> work = w;
  for (const Index i : result.dead_columns) work.col(i).setZero();
  std::vector<StepRange> ranges = first_ranges(plan, w, work);
  if (options.act_order) work = in_order(work, {}, plan.order);
  result.q.resize(w.rows(), w.cols());
  result.row_losses.assign(static_cast<size_t>(w.rows()), 0.0);
  const Index items = (w.rows() + rows_per_item - 1) / rows_per_item;
  parallel_for(items, options.threads, [&](Index item, int) {
    const Index first = item * rows_per_item;
    quantize_rows(plan, first, std::min(rows_per_item, w.rows() - first), work, ranges, result);
  });
  describe_steps(plan, ranges, result);
  if (result.fell_back_to_rtn) measure_fallback(w, h, result);
  for (const double row_loss : result.row_losses) result.loss += row_loss;
  return result;
}

}  // namespace hone
