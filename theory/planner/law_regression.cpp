#include "theory/planner/law_regression.hpp"

#include <cmath>
#include <map>

namespace hone::theory {

Point point_of(double N, double D, double P) {
  Point x;
  x.N = N, x.D = D, x.P = P;
  return x;
}

double offset_of(LawKind kind, const Point& x) {
  return std::log(predict(kind, std::vector<double>(law(kind).parameters.size(), 0.0), x));
}

std::vector<double> regressors(LawKind kind, const Point& x) {
  std::vector<double> unit(law(kind).parameters.size(), 0.0);
  const double offset = offset_of(kind, x);
  std::vector<double> row;
  for (std::size_t j = 1; j < unit.size(); ++j) {
    unit[j] = 1;
    row.push_back(std::log(predict(kind, unit, x)) - offset);
    unit[j] = 0;
  }
  return row;
}

std::vector<std::int64_t> run_numbers(const std::vector<std::string>& runs) {
  std::map<std::string, std::int64_t> number;
  std::vector<std::int64_t> numbers;
  for (const std::string& run : runs)
    numbers.push_back(number.try_emplace(run, std::int64_t(number.size())).first->second);
  return numbers;
}

GroupedRow grouped_row(LawKind kind, const Point& x, double value, double se, std::int64_t run) {
  return {regressors(kind, x), std::log(value) - offset_of(kind, x), se / value, run,
          std::llround(std::log(x.D) * 1e6)};
}

}  // namespace hone::theory
