#include "sim/formats/quantizer.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "sim/base/error.hpp"
#include "sim/formats/double_quantization.hpp"
#include "sim/formats/name_table.hpp"
#include "sim/formats/range_choice.hpp"

namespace hone {
namespace {

constexpr NameTable<Grid, 9> grid_names{{{Grid::restricted, "restricted"},
                                         {Grid::full, "full"},
                                         {Grid::midrise, "midrise"},
                                         {Grid::no_clip, "no_clip"},
                                         {Grid::signed_absmax, "signed_absmax"},
                                         {Grid::asymmetric, "asymmetric"},
                                         {Grid::float_min, "float_min"},
                                         {Grid::llm_qat, "llm_qat"},
                                         {Grid::llm_qat_asymmetric, "llm_qat_asymmetric"}}};
constexpr NameTable<Rounding, 3> rounding_names{{{Rounding::nearest_even, "nearest_even"},
                                                 {Rounding::half_away, "half_away"},
                                                 {Rounding::stochastic, "stochastic"}}};
constexpr NameTable<OutlierAbsmax, 2> outlier_absmax_names{
    {{OutlierAbsmax::columns, "columns"}, {OutlierAbsmax::elements, "elements"}}};
constexpr NameTable<Granularity, 5> granularity_names{{{Granularity::tensor, "tensor"},
                                                       {Granularity::row, "row"},
                                                       {Granularity::group, "group"},
                                                       {Granularity::column, "column"},
                                                       {Granularity::block, "block"}}};

using Problems = std::vector<std::string>;

bool is_llm_qat(Grid grid) { return grid == Grid::llm_qat || grid == Grid::llm_qat_asymmetric; }

void check_grid(const Quantizer& q, std::string_view where, Problems& problems) {
  if (q.bits < 1 || q.bits > 16)
    problems.push_back(fmt::format("{}.bits = {} is outside 1..16; use 2..8, or 16 for full precision", where, q.bits));
  const bool has_one_bit = q.grid == Grid::asymmetric || q.grid == Grid::float_min || is_llm_qat(q.grid);
  if (q.bits == 1 && !has_one_bit)
    problems.push_back(
        fmt::format("{}.bits = 1 leaves grid '{}' without two-sided levels; use bits = 2 or more, or "
                    "grid = 'asymmetric'",
                    where, name_of(q.grid)));
  if (q.format != Format::integer && q.bits != 16)
    problems.push_back(fmt::format("{}.bits = {} is not read with format '{}'; remove it or set format = 'integer'",
                                   where, q.bits, name_of(q.format)));
  if (q.format != Format::integer && q.grid != Grid::restricted)
    problems.push_back(fmt::format("{}.grid = '{}' is not read with format '{}'; remove it or set format = 'integer'",
                                   where, name_of(q.grid), name_of(q.format)));
}

void check_granularity(const Quantizer& q, std::string_view where, Problems& problems) {
  if (q.granularity == Granularity::group && q.group < 1)
    problems.push_back(
        fmt::format("{}.group = {} with granularity 'group'; give a group of 1 or more columns", where, q.group));
  if (q.granularity != Granularity::group && q.group != 0)
    problems.push_back(
        fmt::format("{}.group = {} is not read with granularity '{}'; remove it or set granularity = "
                    "'group'",
                    where, q.group, name_of(q.granularity)));
  const std::pair<std::string_view, Index> sides[] = {{"block_rows", q.block_rows}, {"block_cols", q.block_cols}};
  for (const auto& [field, side] : sides) {
    if (q.granularity == Granularity::block && side < 1)
      problems.push_back(fmt::format("{}.{} = {} with granularity 'block'; give 1 or more", where, field, side));
    if (q.granularity != Granularity::block && side != 0)
      problems.push_back(
          fmt::format("{}.{} = {} is not read with granularity '{}'; remove it or set granularity = 'block'", where,
                      field, side, name_of(q.granularity)));
  }
}

void check_rule_value(const Quantizer& q, std::string_view where, Problems& problems) {
  const double value = q.rule_value;
  if (value == 0) return;
  const auto refuse = [&](std::string_view fix) {
    problems.push_back(fmt::format("{}.rule_value = {} with rule '{}'; {}", where, value, name_of(q.rule), fix));
  };
  if (q.rule == ScaleRule::clip && !(value > 0 && value <= 1)) refuse("give a ratio in (0, 1]");
  if (q.rule == ScaleRule::percentile && !(value > 0 && value <= 100)) refuse("give a percentage in (0, 100]");
  if (q.rule == ScaleRule::mse && !(value > 0 && value <= 16)) refuse("give an exponent in (0, 16]");
  if (q.rule == ScaleRule::absmax || q.rule == ScaleRule::gaussian) refuse("remove it, this rule has no parameter");
}

/// Scales that are stored in few bits.
void check_stored_scale(const Quantizer& q, std::string_view where, Problems& problems) {
  if (q.scale == ScaleKind::real || !is_real(q.scale)) return;
  const bool is_integer = q.format == Format::integer;
  if (is_integer && is_llm_qat(q.grid))
    problems.push_back(fmt::format("{}.scale = '{}' with grid '{}', whose step is a float; set scale = 'real'", where,
                                   name_of(q.scale), name_of(q.grid)));
  if (q.scale != ScaleKind::double_quantized) return;
  const bool is_symmetric =
      q.grid == Grid::restricted || q.grid == Grid::full || q.grid == Grid::midrise || q.grid == Grid::no_clip;
  if (is_integer && !is_symmetric && !is_llm_qat(q.grid))
    problems.push_back(
        fmt::format("{}.scale = 'double_quantized' with grid '{}'; it is for positive steps without zero "
                    "points: set grid = 'restricted', or scale = 'fp16'",
                    where, name_of(q.grid)));
}

void check_scale(const Quantizer& q, std::string_view where, Problems& problems) {
  const bool is_integer = q.format == Format::integer;
  if (!is_real(q.scale) && is_integer && (q.grid != Grid::restricted || q.bits < 2))
    problems.push_back(
        fmt::format("{}.scale = '{}' needs a symmetric grid; set grid = 'restricted' and bits = 2 or more, or scale = "
                    "'real'",
                    where, name_of(q.scale)));
  check_stored_scale(q, where, problems);
  if (!is_real(q.scale) && q.format == Format::ternary)
    problems.push_back(
        fmt::format("{}.scale = '{}' with format 'ternary', whose scale is the mean of |x|; set scale = "
                    "'real'",
                    where, name_of(q.scale)));
  if (q.format == Format::ternary && (q.rule == ScaleRule::clip || q.rule == ScaleRule::percentile))
    problems.push_back(
        fmt::format("{}.rule = '{}' with format 'ternary'; use 'absmax' for the mean of |x|, 'mse' or "
                    "'gaussian'",
                    where, name_of(q.rule)));
  if (is_integer && is_llm_qat(q.grid) && q.rule != ScaleRule::absmax)
    problems.push_back(fmt::format("{}.rule = '{}' with grid '{}', which has its own step; use rule = 'absmax'", where,
                                   name_of(q.rule), name_of(q.grid)));
  if (q.rule == ScaleRule::gaussian && is_minifloat(q.format) && shape_of(q.format).exponent_bits == 8)
    problems.push_back(fmt::format("{}.rule = 'gaussian' with format '{}', whose range no normal fills; use 'absmax'",
                                   where, name_of(q.format)));
  check_rule_value(q, where, problems);
}

void check_outliers(const Quantizer& q, std::string_view where, Problems& problems) {
  const double threshold = q.outlier_threshold;
  if (threshold == 0) return;
  if (!(threshold > 0 && std::isfinite(threshold)))
    problems.push_back(
        fmt::format("{}.outlier_threshold = {}; give a positive number, or 0 for none", where, threshold));
  if (q.granularity != Granularity::row)
    problems.push_back(fmt::format("{}.outlier_threshold = {} with granularity '{}'; set granularity = 'row'", where,
                                   threshold, name_of(q.granularity)));
  if (q.format == Format::integer && (q.grid == Grid::float_min || q.grid == Grid::llm_qat_asymmetric))
    problems.push_back(
        fmt::format("{}.outlier_threshold = {} with grid '{}', which has no level at 0; set another grid", where,
                    threshold, name_of(q.grid)));
  // These take the mean, the spread or a rank of all values, and the columns kept aside count as zeros.
  const bool needs_mean = q.format == Format::ternary || (q.grid == Grid::llm_qat && q.bits <= 2);
  if (needs_mean || q.rule == ScaleRule::gaussian || q.rule == ScaleRule::percentile)
    problems.push_back(fmt::format(
        "{}.outlier_threshold = {} with a step that is not taken from the extremes; set rule = 'absmax' and a "
        "grid of 3 bits or more",
        where, threshold));
}

/// The columns of x with an |x| at or above a threshold, kept aside until they are put back. Meanwhile x has 0 in place
/// of all their values, or of the outliers alone.
template <class S>
class OutlierColumns {
 public:
  OutlierColumns(MatRef<S> x, S threshold, OutlierAbsmax absmax) {
    for (Index c = 0; c < x.cols(); ++c)
      if (is_outlier(x, c, threshold)) columns_.push_back(c);
    kept_.resize(x.rows(), static_cast<Index>(columns_.size()));
    for (Index k = 0; k < kept_.cols(); ++k) {
      auto column = x.col(columns_[static_cast<std::size_t>(k)]);
      kept_.col(k) = column;
      for (Index r = 0; r < x.rows(); ++r)
        if (absmax == OutlierAbsmax::columns || std::abs(column[r]) >= threshold) column[r] = S(0);
    }
  }
  void put_back(MatRef<S> x) const {
    for (Index k = 0; k < kept_.cols(); ++k) x.col(columns_[static_cast<std::size_t>(k)]) = kept_.col(k);
  }

 private:
  static bool is_outlier(const MatRef<S>& x, Index c, S threshold) {
    bool found = false;
    for (Index r = 0; r < x.rows(); ++r) {
      EXPECTS(std::isfinite(x(r, c)), "quantizer: the value at row {}, column {} is {}; quantize finite values only", r,
              c, x(r, c));
      found = found || std::abs(x(r, c)) >= threshold;
    }
    return found;
  }

  std::vector<Index> columns_;
  Matrix<S> kept_;
};

/// for_each_range of double-quantized scales: those of a whole tensor are needed before the first value is rounded.
template <class S, class Body>
void for_each_double_quantized(ConstMatRef<S> x, const Quantizer& q, Index rows_per_tensor, Body&& body) {
  EXPECTS(rows_per_tensor >= 1 && x.rows() % rows_per_tensor == 0, "quantizer: {} rows in tensors of {} rows", x.rows(),
          rows_per_tensor);
  Quantizer real = q;
  real.scale = ScaleKind::real;
  std::vector<StepGroup> groups;
  std::vector<StepRange> ranges;
  for_each_group(q, x.rows(), x.cols(), rows_per_tensor, [&](const StepGroup& g) {
    groups.push_back(g);
    ranges.push_back(step_range<S>(x.data() + g.row * x.outerStride() + g.col, g.rows, g.cols, x.outerStride(), real));
  });
  for (std::size_t first = 0, last = 0; first < groups.size(); first = last) {
    std::vector<double> steps;
    const Index tensor = groups[first].row / rows_per_tensor;
    while (last < groups.size() && groups[last].row / rows_per_tensor == tensor) steps.push_back(ranges[last++].step);
    const std::vector<double> stored = double_quantized(steps);
    for (std::size_t i = first; i < last; ++i) ranges[i].step_shift = stored[i - first] - ranges[i].step;
  }
  for (std::size_t i = 0; i < groups.size(); ++i) body(groups[i], ranges[i]);
}

/// Calls body(group, its range) for each group of x, in order; body may change the group that it is given.
template <class S, class Body>
void for_each_range(ConstMatRef<S> x, const Quantizer& q, Index rows_per_tensor, Body&& body) {
  if (q.scale == ScaleKind::double_quantized) return for_each_double_quantized<S>(x, q, rows_per_tensor, body);
  std::vector<double> absmax;  // of each tensor
  if (q.scale == ScaleKind::e4m3_two_level) {
    EXPECTS(rows_per_tensor >= 1 && x.rows() % rows_per_tensor == 0, "quantizer: {} rows in tensors of {} rows",
            x.rows(), rows_per_tensor);
    for (Index r = 0; r < x.rows(); r += rows_per_tensor)
      absmax.push_back(
          x.size() == 0
              ? 0
              : double(x.middleRows(r, rows_per_tensor).cwiseAbs().template maxCoeff<Eigen::PropagateNumbers>()));
  }
  for_each_group(q, x.rows(), x.cols(), rows_per_tensor, [&](const StepGroup& g) {
    std::optional<double> tensor_absmax;
    if (!absmax.empty()) tensor_absmax = absmax[static_cast<std::size_t>(g.row / rows_per_tensor)];
    const S* begin = x.data() + g.row * x.outerStride() + g.col;
    body(g, step_range<S>(begin, g.rows, g.cols, x.outerStride(), q, tensor_absmax));
  });
}

}  // namespace

std::string_view name_of(Grid grid) { return find_name(grid_names, grid); }
std::string_view name_of(Rounding rounding) { return find_name(rounding_names, rounding); }
std::string_view name_of(OutlierAbsmax rule) { return find_name(outlier_absmax_names, rule); }
std::string_view name_of(Granularity granularity) { return find_name(granularity_names, granularity); }

Grid grid_from_name(std::string_view name) { return find_value(grid_names, "grid", name); }
OutlierAbsmax outlier_absmax_from_name(std::string_view name) {
  return find_value(outlier_absmax_names, "outlier_absmax", name);
}
Granularity granularity_from_name(std::string_view name) { return find_value(granularity_names, "granularity", name); }

void Quantizer::validate(std::string_view where) const {
  Problems problems;
  check_grid(*this, where, problems);
  check_granularity(*this, where, problems);
  if (is_on()) {
    check_scale(*this, where, problems);
    check_outliers(*this, where, problems);
  }
  if (!problems.empty()) throw OptionError(joined(problems, "; "));
}

template <class S>
void fake_quantize(MatRef<S> x, const Quantizer& q, Index rows_per_tensor, std::vector<double>* steps) {
  if (steps != nullptr) steps->clear();
  if (!q.is_on()) return;
  std::optional<OutlierColumns<S>> outliers;
  if (q.outlier_threshold > 0) outliers.emplace(x, static_cast<S>(q.outlier_threshold), q.outlier_absmax);
  const Stream stream{q.seed, Domain::rounding, q.substream};
  Vector<S> column;
  for_each_range<S>(x, q, rows_per_tensor, [&](const StepGroup& g, const StepRange& range) {
    if (steps != nullptr) steps->push_back(range.step);
    if (q.granularity == Granularity::column) {  // one long call instead of one per value
      column = x.col(g.col).segment(g.row, g.rows);
      quantize_values<S>(column.data(), g.rows, range, q.rounding, stream, g.row * x.cols() + g.col, x.cols());
      x.col(g.col).segment(g.row, g.rows) = column;
      return;
    }
    for (Index r = g.row; r < g.row + g.rows; ++r)
      quantize_values<S>(x.data() + r * x.outerStride() + g.col, g.cols, range, q.rounding, stream,
                         r * x.cols() + g.col);
  });
  if (outliers) outliers->put_back(x);
}

template <class S>
std::vector<StepRange> step_ranges(ConstMatRef<S> x, const Quantizer& q, Index rows_per_tensor) {
  EXPECTS(q.is_on() && q.outlier_threshold == 0, "quantizer: no grids of a quantizer that is off or leaves outliers");
  std::vector<StepRange> ranges;
  for_each_range<S>(x, q, rows_per_tensor, [&](const StepGroup&, const StepRange& range) { ranges.push_back(range); });
  return ranges;
}

template <class S>
void fake_quantize_static(MatRef<S> x, const StepRange& range, Rounding rounding, const Stream& stream) {
  for (Index r = 0; r < x.rows(); ++r)
    quantize_values<S>(x.data() + r * x.outerStride(), x.cols(), range, rounding, stream, r * x.cols());
}

double bits_per_weight(const Quantizer& q, Index rows, Index cols, int scale_bits, std::optional<int> zero_bits) {
  if (!q.is_on()) return 16;
  EXPECTS(rows > 0 && cols > 0, "bits per weight of {} x {} weights", rows, cols);
  if (q.scale == ScaleKind::double_quantized) {
    Quantizer real = q;
    real.scale = ScaleKind::real;
    return double_quantized_bits_per_weight(real, rows, cols) + 32 / static_cast<double>(rows * cols);  // the mean
  }
  int metadata = is_real(q.scale) ? scale_bits : 8;
  if (q.format == Format::integer && q.grid == Grid::asymmetric) metadata += zero_bits.value_or(q.bits);
  if (q.format == Format::integer && (q.grid == Grid::float_min || q.grid == Grid::llm_qat_asymmetric))
    metadata += zero_bits.value_or(scale_bits);
  Index groups = 0;
  for_each_group(q, rows, cols, rows, [&](const StepGroup&) { ++groups; });
  const double tensor_bits = q.scale == ScaleKind::e4m3_two_level ? 32 : 0;
  return q.element_bits() +
         (static_cast<double>(metadata) * static_cast<double>(groups) + tensor_bits) / static_cast<double>(rows * cols);
}

double double_quantized_bits_per_weight(const Quantizer& q, Index rows, Index cols) {
  EXPECTS(q.is_on() && q.scale == ScaleKind::real, "double quantization is for real scales");
  const double metadata = bits_per_weight(q, rows, cols, 1, 0) - q.element_bits();
  return q.element_bits() + metadata * (8 + 32.0 / 256);
}

template void fake_quantize<float>(MatRef<float>, const Quantizer&, Index, std::vector<double>*);
template void fake_quantize<double>(MatRef<double>, const Quantizer&, Index, std::vector<double>*);
template std::vector<StepRange> step_ranges<float>(ConstMatRef<float>, const Quantizer&, Index);
template std::vector<StepRange> step_ranges<double>(ConstMatRef<double>, const Quantizer&, Index);
template void fake_quantize_static<float>(MatRef<float>, const StepRange&, Rounding, const Stream&);
template void fake_quantize_static<double>(MatRef<double>, const StepRange&, Rounding, const Stream&);

}  // namespace hone
