#include "sim/quantize/codebook.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/parallel.hpp"
#include "sim/formats/quantizer.hpp"
#include "sim/formats/range_choice.hpp"

namespace hone {
namespace {

constexpr int lloyd_iterations = 20;

/// One row with its codebook and assignment.
struct RowFit {
  ConstMatRef<double> h;
  Vector<double> w, values, q;
  std::vector<std::uint8_t> codes;

  Index levels() const { return values.size(); }
  Index size() const { return w.size(); }

  /// The lowest of the nearest values.
  std::uint8_t nearest(double x) const {
    Index best = 0;
    for (Index k = 1; k < levels(); ++k)
      if (std::abs(values[k] - x) < std::abs(values[best] - x)) best = k;
    return static_cast<std::uint8_t>(best);
  }
  void assign_nearest() {
    for (Index j = 0; j < size(); ++j) codes[static_cast<size_t>(j)] = nearest(w[j]);
  }
  void look_up() {
    for (Index j = 0; j < size(); ++j) q[j] = values[codes[static_cast<size_t>(j)]];
  }
  double objective() const { return (q - w).dot(h * (q - w)); }
};

void start_row(RowFit& row, const CodebookOptions& options) {
  const Quantizer even{.bits = options.bits, .grid = Grid::asymmetric};
  const StepRange range = step_range(row.w.data(), 1, row.size(), row.size(), even);
  for (Index k = 0; k < row.levels(); ++k) row.values[k] = range.step * (static_cast<double>(k) - range.zero_point);
  row.assign_nearest();
  const int iterations = options.start == CodebookStart::kmeans ? lloyd_iterations : 0;
  for (int i = 0; i < iterations; ++i) {
    Vector<double> sum = Vector<double>::Zero(row.levels()), mass = sum;
    for (Index j = 0; j < row.size(); ++j) {
      const Index k = row.codes[static_cast<size_t>(j)];
      sum[k] += row.h(j, j) * row.w[j], mass[k] += row.h(j, j);
    }
    for (Index k = 0; k < row.levels(); ++k)
      if (mass[k] > 0) row.values[k] = sum[k] / mass[k];
    row.assign_nearest();
  }
  row.look_up();
}

/// The codebook that minimizes the row's objective plus ρ‖c - c₀‖².
void fit_values(RowFit& row, double rho) {
  const Index levels = row.levels();
  Matrix<double> hp = Matrix<double>::Zero(row.size(), levels);
  for (Index j = 0; j < row.size(); ++j) hp.col(row.codes[static_cast<size_t>(j)]) += row.h.col(j);
  Matrix<double> normal = Matrix<double>::Zero(levels, levels);
  for (Index j = 0; j < row.size(); ++j) normal.row(row.codes[static_cast<size_t>(j)]) += hp.row(j);
  normal.diagonal().array() += rho;
  const Vector<double> target = hp.transpose() * (row.w - row.q);
  const Eigen::LDLT<Eigen::MatrixXd> solver(normal);
  const Vector<double> move = solver.solve(target);
  // H that is only positive semidefinite in exact arithmetic can leave the system singular.
  if (!move.allFinite()) return;
  const double before = row.objective();
  const Vector<double> values = row.values;
  row.values += move;
  row.look_up();
  if (row.objective() <= before) return;
  row.values = values;
  row.look_up();
}

/// One pass over the columns; true when a weight moved.
bool descend(RowFit& row, Vector<double>& gradient) {
  bool moved = false;
  for (Index j = 0; j < row.size(); ++j) {
    const double curvature = row.h(j, j);
    if (!(curvature > 0)) continue;
    const std::uint8_t code = row.nearest(row.q[j] + gradient[j] / curvature);
    const double step = row.values[code] - row.q[j];
    if (!(step * (curvature * step - 2 * gradient[j]) < 0)) continue;
    row.codes[static_cast<size_t>(j)] = code;
    row.q[j] = row.values[code];
    gradient -= step * row.h.row(j).transpose();
    moved = true;
  }
  return moved;
}

void fit_row(RowFit& row, const CodebookOptions& options, double rho, double* objectives) {
  start_row(row, options);
  *objectives++ = row.objective();
  for (int round = 0; round < options.rounds; ++round) {
    fit_values(row, rho);
    *objectives++ = row.objective();
    Vector<double> gradient = row.h * (row.w - row.q);
    for (int cycle = 0; cycle < options.descent_cycles; ++cycle)
      if (!descend(row, gradient)) break;
    *objectives++ = row.objective();
  }
}

}  // namespace

void CodebookOptions::validate(std::string_view where) const {
  if (bits < 1 || bits > 8)
    throw OptionError(fmt::format("{}.bits = {} is outside 1..8; a codebook has 2^bits values", where, bits));
  if (rounds < 0 || descent_cycles < 0)
    throw OptionError(fmt::format("{0}.rounds = {1}, {0}.descent_cycles = {2}; neither may be negative", where, rounds,
                                  descent_cycles));
  if (!(ridge > 0)) throw OptionError(fmt::format("{}.ridge = {} must be positive; use 1e-7", where, ridge));
}

CodebookResult fit_codebooks(ConstMatRef<double> w, ConstMatRef<double> h, const CodebookOptions& options) {
  options.validate("codebook");
  if ((Index(1) << options.bits) > w.cols())
    throw OptionError(fmt::format("codebook.bits = {}: {} values for rows of {} weights; use fewer bits", options.bits,
                                  Index(1) << options.bits, w.cols()));
  EXPECTS(w.size() > 0 && h.rows() == w.cols() && h.cols() == w.cols(), "codebook: W {} x {}, H {} x {}", w.rows(),
          w.cols(), h.rows(), h.cols());
  EXPECTS(w.allFinite() && h.allFinite(), "codebook: W or H holds a value that is not finite");
  const Index rows = w.rows(), cols = w.cols(), levels = Index(1) << options.bits;
  const double mean = h.diagonal().mean(), rho = options.ridge * (mean > 0 ? mean : 1);
  CodebookResult result{.q = Matrix<double>(rows, cols),
                        .codebook = Matrix<double>(rows, levels),
                        .codes = Matrix<std::uint8_t>(rows, cols),
                        .objectives = {},
                        .bits_per_weight = options.bits + 16.0 * double(levels) / double(cols)};
  Matrix<double> objectives(rows, 1 + 2 * options.rounds);
  parallel_for(rows, options.threads, [&](Index r, int) {
    RowFit row{h, w.row(r).transpose(), Vector<double>(levels), Vector<double>(cols),
               std::vector<std::uint8_t>(static_cast<size_t>(cols))};
    fit_row(row, options, rho, &objectives(r, 0));
    result.q.row(r) = row.q.transpose();
    result.codebook.row(r) = row.values.transpose();
    for (Index c = 0; c < cols; ++c) result.codes(r, c) = row.codes[static_cast<size_t>(c)];
  });
  for (Index step = 0; step < objectives.cols(); ++step) result.objectives.push_back(objectives.col(step).sum());
  return result;
}

}  // namespace hone
