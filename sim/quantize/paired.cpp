#include "sim/quantize/paired.hpp"

#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"

namespace hone {

PairedDifference paired_difference(const std::vector<double>& changed, const std::vector<double>& reference) {
  EXPECTS(changed.size() == reference.size(), "paired difference: {} against {} windows", changed.size(),
          reference.size());
  std::vector<double> differences(changed.size());
  for (size_t w = 0; w < changed.size(); ++w) differences[w] = changed[w] - reference[w];
  const MeanEstimate d = mean_with_error(differences);
  return {d.mean, d.standard_error, d.count};
}

double half_width(const PairedDifference& d, double coverage) {
  return half_width(MeanEstimate{d.mean_nats, d.standard_error_nats, d.windows}, coverage);
}

}  // namespace hone
