#include "sim/base/mean.hpp"

#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"

namespace hone {

MeanEstimate mean_with_error(const std::vector<double>& values) {
  EXPECTS(!values.empty(), "mean: no value");
  const double count = double(values.size());
  double mean = 0, squares = 0;
  for (double v : values) mean += v;
  mean /= count;
  for (double v : values) squares += (v - mean) * (v - mean);
  if (values.size() < 2) return {mean, std::numeric_limits<double>::infinity(), 1};
  return {mean, std::sqrt(squares / (count - 1) / count), int(values.size())};
}

MeanEstimate paired_difference(const std::vector<double>& changed, const std::vector<double>& reference) {
  EXPECTS(changed.size() == reference.size(), "paired difference: {} against {} windows", changed.size(),
          reference.size());
  std::vector<double> differences(changed.size());
  for (size_t w = 0; w < changed.size(); ++w) differences[w] = changed[w] - reference[w];
  return mean_with_error(differences);
}

double normal_quantile(double coverage) {
  EXPECTS(coverage > 0 && coverage < 1, "normal quantile: coverage {}", coverage);
  return boost::math::quantile(boost::math::normal(), (1 + coverage) / 2);
}

double t_quantile(double coverage, int degrees) {
  EXPECTS(coverage > 0 && coverage < 1, "t quantile: coverage {}", coverage);
  if (degrees < 1) return std::numeric_limits<double>::infinity();
  return boost::math::quantile(boost::math::students_t(degrees), 0.5 + 0.5 * coverage);
}

double half_width(const MeanEstimate& estimate, double coverage) {
  if (estimate.standard_error == 0) return 0;
  return t_quantile(coverage, estimate.count - 1) * estimate.standard_error;
}

}  // namespace hone
