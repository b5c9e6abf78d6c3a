#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "theory/laws.hpp"

using namespace hone;
using namespace hone::theory;

TEST_SUITE("laws") {
  TEST_CASE("ptq law: Kumar's constants give the published damage at 30M parameters and 26B tokens") {
    const auto p = kumar_ptq_parameters();
    const double wanted[] = {0.586, 0.108, 0.0198, 0.0036};
    for (int bits = 3; bits <= 6; ++bits)
      CHECK_NEAR(predict(LawKind::ptq_exponential, p, {30e6, 26e9, double(bits)}), wanted[bits - 3], 0.02, 0);
  }

  TEST_CASE("ptq law: doubling D multiplies damage by 1.421, doubling N by 0.788") {
    const auto p = kumar_ptq_parameters();
    const auto at = [&](double n, double d) { return predict(LawKind::ptq_exponential, p, {n, d, 4}); };
    CHECK_NEAR(at(1e8, 2e9) / at(1e8, 1e9), 1.421, 1e-3, 0);
    CHECK_NEAR(at(2e8, 1e9) / at(1e8, 1e9), 0.788, 1e-3, 0);
  }

  TEST_CASE("chinchilla: Kumar's constants give 4.10 nats at 30M parameters and 1.5B tokens") {
    CHECK_NEAR(predict(LawKind::chinchilla, kumar_chinchilla_parameters(), {30e6, 1.5e9, 0}), 4.10, 2e-3, 0);
  }

  TEST_CASE("squared step: three to four bits divides damage by (7/3)^2, one bit has no step") {
    const auto at = [](double bits) { return predict(LawKind::ptq_step, {0, 0.5, 0.3}, {1e5, 1e7, bits}); };
    CHECK_NEAR(at(3) / at(4), 49.0 / 9, 1e-12, 0);
    CHECK_FALSE(std::isfinite(at(1)));
  }

  TEST_CASE("saturating law: far below r it is the power law with exponent g, far above it is flat") {
    const auto at = [](double d) {
      return predict(LawKind::sharpness_saturating, {1, 0.2, std::log(1e3), 0.7}, {1e5, d, 0});
    };
    CHECK_NEAR(at(2e2) / at(1e2), std::pow(2.0, 0.7), 1e-3, 0);
    CHECK_NEAR(at(1e15) / at(1e14), 1, 1e-12, 0);
  }

  TEST_CASE("law: every kind names as many bounded parameters as its formula uses") {
    const std::pair<LawKind, std::size_t> sizes[] = {{LawKind::ptq_exponential, 4}, {LawKind::ptq_bit_power, 4},
                                                     {LawKind::ptq_step, 3},        {LawKind::ptq_saturating, 5},
                                                     {LawKind::sharpness_power, 3}, {LawKind::sharpness_saturating, 4},
                                                     {LawKind::chinchilla, 5}};
    for (const auto& [kind, size] : sizes) {
      CHECK(law(kind).kind == kind);
      CHECK(law(kind).parameters.size() == size);
      for (const Parameter& p : law(kind).parameters) CHECK_MESSAGE(p.low < p.high, p.name);
      CHECK_THROWS_AS(predict(kind, std::vector<double>(size + 1), {1, 1, 4}), ContractError);
    }
  }
}
