// A mean with its standard error, and the interval that follows from Student's t. Probes, windows and draws are all
// summarized by this rule.
#pragma once

#include <vector>

namespace hone {

/// Mean of independent samples and its standard error.
struct MeanEstimate {
  double mean = 0;
  double standard_error = 0;  ///< sd/√count; +inf for one sample
  int count = 0;
};

/// Coverage of the interval that every printed ± stands for.
inline constexpr double printed_coverage = 0.95;

/// What 3 standard errors of many samples cover: the limit of certificates, by the t quantile of the samples they have.
inline constexpr double three_sigma = 0.9973;

/// A spread of fewer samples is no error bar, also with the right quantile: the interval of three varies by a factor of
/// two from draw to draw. Commands print it with the remark that it must not be quoted.
inline constexpr int fewest_samples = 4;

/// The mean of one list with its standard error.
/// math     x̄ = Σx/N;  √(Σ(x-x̄)²/(N-1)/N), both sums in the order of the list
/// expects  at least one value
MeanEstimate mean_with_error(const std::vector<double>& values);

/// The same of changed - reference, pair by pair: two precisions on the same fixed windows.
/// expects  equal sizes, at least one value
MeanEstimate paired_difference(const std::vector<double>& changed, const std::vector<double>& reference);

/// The q with P(|z| ≤ q) = coverage for a standard normal z: 1.96 at 0.95.
/// expects  0 < coverage < 1
double normal_quantile(double coverage);

/// The q with P(|t| ≤ q) = coverage for Student's t.
/// expects  0 < coverage < 1
/// ensures  +inf below one degree of freedom
double t_quantile(double coverage, int degrees);

/// Half of the two-sided t interval: the truth lies in mean ± half width with probability `coverage`.
/// ensures  0 for an error of exactly 0, +inf for one sample
double half_width(const MeanEstimate& estimate, double coverage);

}  // namespace hone
