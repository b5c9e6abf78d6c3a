#include "sim/quantize/paired.hpp"

#include <cmath>
#include <limits>

#include "sim/base/error.hpp"

namespace hone {

PairedDifference mean_with_error(const std::vector<double>& values) {
  EXPECTS(!values.empty(), "mean: no value");
  const double count = double(values.size());
  double mean = 0, squares = 0;
  for (double v : values) mean += v;
  mean /= count;
  for (double v : values) squares += (v - mean) * (v - mean);
  if (values.size() < 2) return {mean, std::numeric_limits<double>::infinity()};
  return {mean, std::sqrt(squares / (count - 1) / count)};
}

PairedDifference paired_difference(const std::vector<double>& changed, const std::vector<double>& reference) {
  EXPECTS(changed.size() == reference.size(), "paired difference: {} against {} windows", changed.size(),
          reference.size());
  std::vector<double> differences(changed.size());
  for (size_t w = 0; w < changed.size(); ++w) differences[w] = changed[w] - reference[w];
  return mean_with_error(differences);
}

}  // namespace hone
