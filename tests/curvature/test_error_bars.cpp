// The error bars of the estimators, from two probes on: the t interval holds the truth as often as it says.
#include "sim/curvature/density_reading.hpp"
#include "sim/curvature/trace.hpp"
#include "tests/support/near.hpp"
#include "tests/support/spectrum.hpp"

namespace hone {
namespace {

/// How often mean ± half width and mean ± 2 standard errors hold `truth`, as shares of the draws.
struct Coverage {
  double interval = 0, two_errors = 0;
};

Coverage coverage_of(double truth, int draws, const std::function<MeanEstimate(std::uint64_t)>& estimate) {
  Coverage held;
  for (int draw = 1; draw <= draws; ++draw) {
    const MeanEstimate e = estimate(std::uint64_t(draw));
    const double error = std::abs(e.mean - truth);
    held.interval += (error <= half_width(e, printed_coverage)) / double(draws);
    held.two_errors += (error <= 2 * e.standard_error) / double(draws);
  }
  return held;
}

TEST_CASE("error bars: 95 % intervals of both traces and the norm hold the truth in 93 to 97 % of 2000 draws") {
  const test::SpectralCase c(test::normals(60, 71), 72);
  const double trace = c.spectrum.sum(), norm2 = c.spectrum.squaredNorm();
  for (const int probes : {2, 3, 4, 12}) {
    CAPTURE(probes);
    const auto density = [&](std::uint64_t seed) { return spectral_density(c.op, {probes, 1, seed}); };
    const Coverage all[] = {coverage_of(trace, 2000,
                                        [&](auto seed) {
                                          return hutchinson_trace(c.op, {probes, seed});
                                        }),
                            coverage_of(trace, 2000, [&](auto seed) { return trace_of(density(seed)); }),
                            coverage_of(norm2, 2000, [&](auto seed) { return frobenius_norm2_of(density(seed)); })};
    for (const Coverage& held : all) {
      CHECK(held.interval >= 0.93);
      CHECK(held.interval <= 0.97);
      if (probes == 2) CHECK(held.two_errors < 0.8);  // what two standard errors would have claimed
    }
  }
}

}  // namespace
}  // namespace hone
