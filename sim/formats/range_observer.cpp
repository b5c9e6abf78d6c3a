#include "sim/formats/range_observer.hpp"
#include "sim/formats/range_choice.hpp"

#include <algorithm>
#include <cmath>

namespace hone {

RangeObserver::RangeObserver(double percentile) : percentile_(percentile) {
  EXPECTS(percentile > 50 && percentile <= 100, "range observer: percentile {}; take more than 50, at most 100",
          percentile);
}

template <class S>
void RangeObserver::observe(ConstMatRef<S> batch) {
  if (batch.size() == 0) return;
  std::vector<double> values;
  values.reserve(static_cast<std::size_t>(batch.size()));
  for (Index r = 0; r < batch.rows(); ++r)
    for (Index c = 0; c < batch.cols(); ++c) {
      EXPECTS(std::isfinite(batch(r, c)), "range observer: the value at row {}, column {} is {}", r, c, batch(r, c));
      values.push_back(static_cast<double>(batch(r, c)));
    }
  // Nearest rank from both ends, so that negating the values negates the range.
  const auto outside =
      static_cast<std::ptrdiff_t>(std::floor((1 - percentile_ / 100) * static_cast<double>(values.size()) + 1e-9));
  std::nth_element(values.begin(), values.begin() + outside, values.end());
  const double low = values[static_cast<std::size_t>(outside)];
  std::nth_element(values.begin(), values.end() - 1 - outside, values.end());
  const double high = *(values.end() - 1 - outside);
  const bool sums = percentile_ < 100, is_first = batches_++ == 0;
  low_ = sums ? low_ + low : is_first ? low : std::min(low_, low);
  high_ = sums ? high_ + high : is_first ? high : std::max(high_, high);
}

double RangeObserver::low() const {
  EXPECTS(batches_ > 0, "range observer: no batch was observed");
  return percentile_ < 100 ? low_ / static_cast<double>(batches_) : low_;
}

double RangeObserver::high() const {
  EXPECTS(batches_ > 0, "range observer: no batch was observed");
  return percentile_ < 100 ? high_ / static_cast<double>(batches_) : high_;
}

template <class S>
StepRange RangeObserver::range(const Quantizer& q) const {
  return range_of_extremes<S>(static_cast<S>(low()), static_cast<S>(high()), q);
}

template void RangeObserver::observe<float>(ConstMatRef<float>);
template void RangeObserver::observe<double>(ConstMatRef<double>);
template StepRange RangeObserver::range<float>(const Quantizer&) const;
template StepRange RangeObserver::range<double>(const Quantizer&) const;

}  // namespace hone
