// Fits the power law of damage to rows with a known answer, gives every parameter a 95 % interval, and compares the law
// with another form.
#include <cmath>
#include <cstdio>

#include "theory/fits/held_out.hpp"
#include "theory/fits/jackknife.hpp"
#include "theory/noise/rounding.hpp"
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
  std::printf("1/gamma_post of a loss that follows the squared step alone: %.3f\n", 1 / equivalent_gamma_post(3, 8));

  // Mean squared held-out error, with an interval over trajectories: can these rows tell the two forms apart?
  const FormContrast c = contrast_forms(LawKind::ptq_exponential, LawKind::ptq_bit_power, rows, {}, {}, Scale::log);
  std::printf("exponential in bits minus power of bits: %.4f (%.4f to %.4f), %s\n", c.difference.estimate,
              c.difference.low, c.difference.high, c.is_equal ? "equal" : "told apart");
  return is_near && !c.is_equal ? 0 : 1;
}
