// Fits the power law of damage to rows with a known answer, and gives every parameter a 95 % interval.
#include <cmath>
#include <cstdio>

#include "theory/fits/jackknife.hpp"
#include "theory/solvable/planted.hpp"

int main() {
  using namespace hone::theory;
  const std::vector<double> planted = {-3, 0.5, 0.35, 1.6};  // ln C, gamma_D, gamma_N, 1/gamma_post
  const auto rows = planted_campaign(LawKind::ptq_exponential, planted, points_of(reference_grid()), /*seeds=*/3,
                                     CampaignNoise{}, /*seed=*/7);
  const FitIntervals found = fit_intervals(LawKind::ptq_exponential, rows, {}, {});
  if (!found.fit.is_usable()) return 1;

  const Law& described = law(LawKind::ptq_exponential);
  std::printf("%s (%s), %zu rows\n", described.name.c_str(), described.source.c_str(), rows.size());
  bool is_near = true;
  for (std::size_t i = 0; i < planted.size(); ++i) {
    const Interval& p = found.parameters[i];
    std::printf("%-12s planted %6.3f, found %6.3f (%.3f to %.3f)\n", described.parameters[i].name.c_str(), planted[i],
                p.estimate, p.low, p.high);
    is_near = is_near && std::abs(p.estimate - planted[i]) < 2 * (p.high - p.low);
  }
  return is_near ? 0 : 1;
}
