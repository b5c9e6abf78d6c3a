#include "theory/fits/jackknife.hpp"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <map>

#include "sim/base/error.hpp"
#include "sim/base/parallel.hpp"

namespace hone::theory {
namespace {

using Rows = std::vector<std::size_t>;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// For each trajectory the rows of all others, in their order.
std::vector<Rows> rows_without_each(const std::vector<RowKey>& keys) {
  std::map<std::pair<double, std::int64_t>, std::size_t> places;
  for (const RowKey& k : keys) places.try_emplace({k.N, k.seed}, places.size());
  std::vector<Rows> without(places.size());
  for (std::size_t i = 0; i < keys.size(); ++i)
    for (std::size_t g = 0; g < without.size(); ++g)
      if (g != places[{keys[i].N, keys[i].seed}]) without[g].push_back(i);
  return without;
}

/// Student's t around the estimate; `values` holds the number without each trajectory.
Interval interval_of(double estimate, const std::vector<double>& values, const IntervalOptions& options) {
  Interval result{estimate, nan, nan, 0};
  result.family = options.family;
  const double count = static_cast<double>(values.size());
  double squares = 0;
  for (const double v : values) {
    if (!std::isfinite(v)) ++result.failures;
    squares += (v - estimate) * (v - estimate);
  }
  if (values.size() < 2 || result.failures > 0 || !std::isfinite(estimate)) return result;
  return interval_around(estimate, std::sqrt((count - 1) / count * squares), count - 1, options);
}

}  // namespace

Interval exponential(const Interval& of_log) {
  return {std::exp(of_log.estimate), std::exp(of_log.low), std::exp(of_log.high), of_log.failures};
}

Interval interval_around(double estimate, double standard_error, double freedom, const IntervalOptions& options) {
  Interval result{estimate, nan, nan, 0, standard_error, freedom, options.family};
  if (!std::isfinite(estimate) || !std::isfinite(standard_error) || !(freedom > 0)) return result;
  const boost::math::students_t student(freedom);
  const double reach = boost::math::quantile(student, (1 + options.level) / 2) * standard_error;
  result.low = estimate - reach;
  result.high = estimate + reach;
  return result;
}

std::vector<RowKey> keys_of(const std::vector<Observation>& rows) {
  std::vector<RowKey> keys;
  keys.reserve(rows.size());
  for (const Observation& o : rows) keys.push_back({o.cell, o.point.N, o.seed});
  return keys;
}

std::vector<Interval> jackknife(const std::vector<RowKey>& keys, const Statistic& statistic,
                                const IntervalOptions& options) {
  EXPECTS(!keys.empty(), "jackknife: no rows");
  EXPECTS(options.level > 0 && options.level < 1, "jackknife: level {}, expected within 0..1", options.level);
  Rows all(keys.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  const std::vector<double> estimates = statistic(all);
  const std::vector<Rows> without = rows_without_each(keys);
  std::vector<std::vector<double>> values(estimates.size(), std::vector<double>(without.size()));
  if (without.size() > 1)
    parallel_for(static_cast<Index>(without.size()), options.threads, [&](Index item, int) {
      const auto g = static_cast<std::size_t>(item);
      const std::vector<double> of_rest = statistic(without[g]);
      EXPECTS(of_rest.size() == values.size(), "jackknife: {} values, then {}", values.size(), of_rest.size());
      for (std::size_t k = 0; k < of_rest.size(); ++k) values[k][g] = of_rest[k];
    });
  std::vector<Interval> intervals;
  for (std::size_t k = 0; k < estimates.size(); ++k) intervals.push_back(interval_of(estimates[k], values[k], options));
  return intervals;
}

FitIntervals fit_intervals(LawKind kind, const std::vector<Observation>& rows, const FitOptions& fitting,
                           const IntervalOptions& options) {
  FitIntervals result{fit(kind, rows, fitting), {}};
  if (!result.fit.is_usable()) return result;
  FitOptions refitting = fitting;
  refitting.start = result.fit.parameters;
  const auto parameters = [&](const Rows& sample) {
    if (sample.size() == rows.size()) return result.fit.parameters;
    std::vector<Observation> some;
    for (const std::size_t i : sample) some.push_back(rows[i]);
    FitSummary s = fit(kind, some, refitting);
    for (std::size_t k = 0; k < s.parameters.size(); ++k)
      if (s.not_identified[k] || s.is_held[k]) s.parameters[k] = nan;
    return s.parameters;
  };
  result.parameters = jackknife(keys_of(rows), parameters, options);
  return result;
}

}  // namespace hone::theory
