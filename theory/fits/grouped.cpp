#include "theory/fits/grouped.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <array>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/tools/minima.hpp>
#include <cmath>
#include <map>

#include "sim/base/error.hpp"
#include "theory/fits/least_squares.hpp"

namespace hone::theory {
namespace {

constexpr double sd_least = 1e-5, sd_most = 10;

/// Rows of one checkpoint as columns [1, x, y], centred and scaled, with their known variances.
struct Block {
  Matrix<double> z;
  Vector<double> variance;
};

/// The rows in order of run and checkpoint, and how to undo the scaling.
struct Design {
  std::vector<std::vector<Block>> runs;
  std::vector<std::size_t> active;  // regressors that vary
  std::vector<double> mean, scale;  // of the active regressors
  double y_mean = 0;
  int n = 0, checkpoints = 0;
  std::array<int, 3> charged{1, 0, 0};  // coefficients by level: run, checkpoint, row
};

/// What the normal equations need of V⁻¹: sums of z z' and ln|V|.
struct Weighted {
  Matrix<double> sums;
  double log_det = 0;
};

using Rows = std::vector<const GroupedRow*>;
using Tree = std::map<std::int64_t, std::map<std::int64_t, Rows>>;

Tree tree_of(const std::vector<GroupedRow>& rows) {
  Tree tree;
  for (const GroupedRow& r : rows) tree[r.run][r.checkpoint].push_back(&r);
  return tree;
}

/// The level at which a regressor varies most: 0 between runs, 1 between checkpoints, 2 within them.
std::size_t level_of(const Tree& tree, std::size_t j, double mean) {
  std::array<double, 3> squares{};
  for (const auto& [run, checkpoints] : tree) {
    double run_sum = 0, run_n = 0;
    std::vector<std::pair<double, double>> means;
    for (const auto& [checkpoint, rows] : checkpoints) {
      const double n = static_cast<double>(rows.size());
      double sum = 0;
      for (const GroupedRow* r : rows) sum += r->x[j];
      for (const GroupedRow* r : rows) squares[2] += (r->x[j] - sum / n) * (r->x[j] - sum / n);
      means.emplace_back(sum / n, n);
      run_sum += sum, run_n += n;
    }
    for (const auto& [m, n] : means) squares[1] += n * (m - run_sum / run_n) * (m - run_sum / run_n);
    squares[0] += run_n * (run_sum / run_n - mean) * (run_sum / run_n - mean);
  }
  return static_cast<std::size_t>(std::max_element(squares.begin(), squares.end()) - squares.begin());
}

Design make_design(const std::vector<GroupedRow>& rows) {
  Design d;
  const Tree tree = tree_of(rows);
  d.n = static_cast<int>(rows.size());
  const double n = d.n;
  for (const GroupedRow& r : rows) d.y_mean += r.y / n;
  for (std::size_t j = 0; j < rows.front().x.size(); ++j) {
    double mean = 0, square = 0, size = 0;
    for (const GroupedRow& r : rows) mean += r.x[j] / n, size += r.x[j] * r.x[j] / n;
    for (const GroupedRow& r : rows) square += (r.x[j] - mean) * (r.x[j] - mean) / n;
    if (!(square > 1e-20 * size)) continue;
    d.active.push_back(j);
    d.mean.push_back(mean);
    d.scale.push_back(std::sqrt(square));
    ++d.charged[level_of(tree, j, mean)];
  }
  const auto width = static_cast<Index>(d.active.size());
  for (const auto& [run, checkpoints] : tree) {
    auto& blocks = d.runs.emplace_back();
    for (const auto& [checkpoint, some] : checkpoints) {
      const auto count = static_cast<Index>(some.size());
      Block& b = blocks.emplace_back(Block{Matrix<double>(count, width + 2), Vector<double>(count)});
      for (Index i = 0; i < count; ++i) {
        const GroupedRow& r = *some[static_cast<std::size_t>(i)];
        b.z(i, 0) = 1;
        for (std::size_t k = 0; k < d.active.size(); ++k)
          b.z(i, static_cast<Index>(k) + 1) = (r.x[d.active[k]] - d.mean[k]) / d.scale[k];
        b.z(i, width + 1) = r.y - d.y_mean;
        b.variance(i) = r.se * r.se;
      }
      ++d.checkpoints;
    }
  }
  return d;
}

/// Adds sd² 1 1' to V: Sherman & Morrison on the sums, whose first column is that of the ones.
void add_shared(Weighted& w, double sd) {
  const Vector<double> ones = w.sums.col(0);
  const double growth = 1 + sd * sd * ones(0);
  w.sums -= (sd * sd / growth) * ones * ones.transpose();
  w.log_det += std::log(growth);
}

Weighted weigh(const Design& d, const std::array<double, 3>& sd) {
  const auto width = static_cast<Index>(d.active.size()) + 2;
  Weighted total{Matrix<double>::Zero(width, width), 0};
  for (const auto& blocks : d.runs) {
    Weighted run{Matrix<double>::Zero(width, width), 0};
    for (const Block& b : blocks) {
      const Vector<double> variance = b.variance.array() + sd[2] * sd[2];
      Weighted checkpoint{b.z.transpose() * variance.cwiseInverse().asDiagonal() * b.z, variance.array().log().sum()};
      add_shared(checkpoint, sd[1]);
      run.sums += checkpoint.sums;
      run.log_det += checkpoint.log_det;
    }
    add_shared(run, sd[0]);
    total.sums += run.sums;
    total.log_det += run.log_det;
  }
  return total;
}

struct Normal {
  Vector<double> coefficients;
  Matrix<double> inverse;
  double criterion = 0;  // -2 ln restricted likelihood, up to a constant
};

Normal solve(const Weighted& w) {
  const Index p = w.sums.rows() - 1;
  const Eigen::LLT<Eigen::MatrixXd> factor(Eigen::MatrixXd(w.sums.topLeftCorner(p, p)));
  const Vector<double> right = w.sums.col(p).head(p);
  Normal n;
  n.coefficients = factor.solve(right);
  n.inverse = factor.solve(Eigen::MatrixXd::Identity(p, p));
  double log_det = 0;
  for (Index j = 0; j < p; ++j) log_det += 2 * std::log(factor.matrixLLT()(j, j));
  n.criterion = w.log_det + log_det + w.sums(p, p) - right.dot(n.coefficients);
  return n;
}

/// Scatters by turns; those without freedom stay 0, that of the rows at its least.
std::array<double, 3> fit_scatter(const Design& d, const std::array<double, 3>& freedom) {
  std::array<double, 3> sd{};
  for (std::size_t k = 0; k < 3; ++k) sd[k] = freedom[k] > 0 ? 0.1 : k == 2 ? sd_least : 0;
  constexpr int sweeps = 20, digits = 16;
  double cost = solve(weigh(d, sd)).criterion;
  for (int sweep = 0; sweep < sweeps; ++sweep) {
    const double before = cost;
    for (std::size_t k = 3; k-- > 0;) {
      if (!(freedom[k] > 0)) continue;
      const auto criterion = [&](double log_sd) {
        std::array<double, 3> trial = sd;
        trial[k] = std::exp(log_sd);
        return solve(weigh(d, trial)).criterion;
      };
      const auto [best, least] =
          boost::math::tools::brent_find_minima(criterion, std::log(sd_least), std::log(sd_most), digits);
      if (least < cost) sd[k] = std::exp(best), cost = least;
    }
    if (before - cost < 1e-6) break;  // of a criterion whose unit is that of chi-squared
  }
  return sd;
}

/// Coefficients and covariance in the units of the rows.
void describe(GroupedFit& fit, const Design& d, const Normal& normal, std::size_t width) {
  const auto p = static_cast<Index>(width) + 1, active = static_cast<Index>(d.active.size()) + 1;
  Matrix<double> back = Matrix<double>::Zero(p, active);  // scaled to own coefficients
  back(0, 0) = 1;
  fit.not_identified.assign(width, true);
  for (std::size_t k = 0; k < d.active.size(); ++k) {
    const auto column = static_cast<Index>(k) + 1;
    back(static_cast<Index>(d.active[k]) + 1, column) = 1 / d.scale[k];
    back(0, column) = -d.mean[k] / d.scale[k];
    fit.not_identified[d.active[k]] = false;
  }
  Vector<double> own = back * normal.coefficients;
  own(0) += d.y_mean;
  fit.coefficients.assign(own.data(), own.data() + own.size());
  fit.covariance = back * normal.inverse * back.transpose();
}

bool is_finite(const GroupedRow& r) {
  bool all = std::isfinite(r.y) && std::isfinite(r.se);
  for (const double x : r.x) all = all && std::isfinite(x);
  return all;
}

}  // namespace

double GroupedFit::value(const std::vector<double>& x) const {
  EXPECTS(x.size() + 1 == coefficients.size(), "grouped fit: {} regressors given, fitted with {}", x.size(),
          coefficients.size() - 1);
  double sum = coefficients[0];
  for (std::size_t j = 0; j < x.size(); ++j) sum += coefficients[j + 1] * x[j];
  return sum;
}

GroupedFit fit_grouped(const std::vector<GroupedRow>& rows, const std::optional<Scatter>& known) {
  GroupedFit fit;
  fit.n = static_cast<int>(rows.size());
  fit.stop = Stop::too_few_rows;
  if (rows.empty()) return fit;
  for (const GroupedRow& r : rows) {
    EXPECTS(r.x.size() == rows.front().x.size(), "fit_grouped: rows of {} and {} regressors", r.x.size(),
            rows.front().x.size());
    EXPECTS(!(r.se < 0), "fit_grouped: standard error {}, expected ≥ 0", r.se);
    fit.stop = Stop::failed;
    if (!is_finite(r)) return fit;
  }
  const Design d = make_design(rows);
  fit.runs = static_cast<int>(d.runs.size());
  fit.checkpoints = d.checkpoints;
  fit.stop = Stop::too_few_rows;
  if (d.n <= static_cast<int>(d.active.size()) + 1) return fit;
  const Matrix<double> plain = weigh(d, {0, 0, 1}).sums;
  const auto p = static_cast<Index>(d.active.size()) + 1;
  fit.stop = Stop::rank_deficient;
  if (!(condition_number(plain.topLeftCorner(p, p)) < 1 / (rank_tolerance * rank_tolerance))) return fit;
  const std::array<double, 3> freedom{std::max(0.0, double(fit.runs - d.charged[0])),
                                      std::max(0.0, double(fit.checkpoints - fit.runs - d.charged[1])),
                                      std::max(0.0, double(fit.n - fit.checkpoints - d.charged[2]))};
  const std::array<double, 3> sd =
      known ? std::array<double, 3>{known->run.sd, known->checkpoint.sd, std::max(sd_least, known->row.sd)}
            : fit_scatter(d, freedom);
  fit.scatter = known ? *known : Scatter{{sd[0], freedom[0]}, {sd[1], freedom[1]}, {sd[2], freedom[2]}};
  describe(fit, d, solve(weigh(d, sd)), rows.front().x.size());
  fit.stop = std::isfinite(fit.coefficients[0]) ? Stop::solved : Stop::failed;
  return fit;
}

NewRun predict_new_run(const GroupedFit& fit, const std::vector<double>& x, double level) {
  EXPECTS(fit.is_usable(), "predict_new_run: the fit is not usable");
  EXPECTS(level > 0 && level < 1, "predict_new_run: level {}", level);
  Vector<double> at(static_cast<Index>(x.size()) + 1);
  at(0) = 1;
  for (std::size_t j = 0; j < x.size(); ++j) at(static_cast<Index>(j) + 1) = x[j];
  const double of_law = std::max(0.0, at.dot(fit.covariance * at));
  const Scatter& s = fit.scatter;
  const std::array<std::pair<double, double>, 3> parts{{{of_law + s.run.sd * s.run.sd, s.run.freedom},
                                                        {s.checkpoint.sd * s.checkpoint.sd, s.checkpoint.freedom},
                                                        {s.row.sd * s.row.sd, s.row.freedom}}};
  double variance = 0, spread = 0;
  for (const auto& [part, freedom] : parts) {
    variance += part;
    spread += part * part / std::max(1.0, freedom);
  }
  NewRun made;
  made.estimate = fit.value(x);
  made.freedom = spread > 0 ? variance * variance / spread : 1;
  const double t = boost::math::quantile(boost::math::students_t(made.freedom), 0.5 + level / 2);
  const double wide = t * std::sqrt(variance), narrow = t * std::sqrt(of_law);
  made.low = made.estimate - wide, made.high = made.estimate + wide;
  made.law_low = made.estimate - narrow, made.law_high = made.estimate + narrow;
  return made;
}

}  // namespace hone::theory
