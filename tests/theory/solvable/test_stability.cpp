#include "theory/solvable/stability.hpp"

#include <rapidcheck.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

constexpr Momentum every_kind[] = {Momentum::none, Momentum::heavy, Momentum::averaged, Momentum::nesterov};

/// |w| growth per update on ½ h w², over the second half of `steps` updates of the method as it is defined.
double simulated_growth(Momentum kind, double rate, double b, double h, int steps) {
  double w = 1, u = 0, middle = 0, log_scale = 0;
  for (int i = 0; i < steps; ++i) {
    const double g = h * (kind == Momentum::nesterov ? w - rate * b * u : w);
    switch (kind) {
      case Momentum::none: u = g; break;
      case Momentum::averaged: u = b * u + (1 - b) * g; break;
      default: u = b * u + g;
    }
    w -= rate * u;
    const double size = std::hypot(w, rate * u);
    w /= size, u /= size, log_scale += std::log(size);
    if (i + 1 == steps / 2) middle = log_scale;
  }
  return std::exp((log_scale - middle) / (steps - steps / 2));
}

}  // namespace

TEST_SUITE("solvable") {
  TEST_CASE("stability_cap: 2/eta, 3.8/eta, 38/eta, 78/eta at .95, and Nesterov's (2 + 2b)/((1 + 2b) eta)") {
    CHECK_NEAR(stability_cap(Momentum::none, 0.01, 0.9), 200, 1e-13, 0);
    CHECK_NEAR(stability_cap(Momentum::heavy, 0.01, 0.9), 380, 1e-13, 0);
    CHECK_NEAR(stability_cap(Momentum::averaged, 0.01, 0.9), 3800, 1e-13, 0);
    CHECK_NEAR(stability_cap(Momentum::averaged, 0.01, 0.95), 7800, 1e-13, 0);
    CHECK_NEAR(stability_cap(Momentum::nesterov, 0.01, 0.9), 3.8 / 0.028, 1e-13, 0);
    CHECK_THROWS_AS(stability_cap(Momentum::heavy, 0, 0.9), ContractError);
    CHECK_THROWS_AS(stability_cap(Momentum::heavy, 1, 1), ContractError);
  }

  TEST_CASE("stability_cap: the characteristic radius is 1 there, below 1 under it and above 1 over it [any]") {
    CHECK(rc::check([] {
      const Momentum kind = *rc::gen::element(Momentum::none, Momentum::heavy, Momentum::averaged, Momentum::nesterov);
      const double rate = std::exp(-*rc::gen::inRange(0, 900) / 100.0), b = *rc::gen::inRange(0, 990) / 1000.0;
      const double cap = stability_cap(kind, rate, b), share = *rc::gen::inRange(1, 999) / 1000.0;
      RC_ASSERT(test::near(characteristic_radius(kind, rate, b, cap), 1, 1e-9));
      RC_ASSERT(characteristic_radius(kind, rate, b, share * cap) < 1);
      RC_ASSERT(characteristic_radius(kind, rate, b, (2 - share) * cap) > 1);
    }));
  }

  TEST_CASE("characteristic_radius: growth of 4000 updates of each method as it is written down") {
    for (const Momentum kind : every_kind)
      for (const double b : {0.3, 0.9})
        for (const double share : {0.1, 0.7, 0.95, 1.05, 1.3}) {
          const double h = share * stability_cap(kind, 0.02, b);
          CAPTURE(int(kind));
          CAPTURE(b);
          CAPTURE(share);
          // Complex roots turn: the mean growth over n updates is exact to order 1/n.
          CHECK_NEAR(simulated_growth(kind, 0.02, b, h, 4000), characteristic_radius(kind, 0.02, b, h), 3e-3, 0);
        }
  }
}
