#include "theory/noise/quantizers.hpp"

#include <rapidcheck.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "theory/noise/rounding.hpp"
#include "theory/precision/effective_parameters.hpp"

using namespace hone;
using namespace hone::theory;

TEST_SUITE("noise") {
  TEST_CASE("lloyd_max_mse: known table to 1e-5 relative [1 to 8 bits]") {
    const double table[] = {.363380, .117482, .034548, .0095010, .0025047, .00064424, .00016348, 4.1185e-5};
    const double digits[] = {6e-7, 6e-7, 6e-7, 6e-8, 6e-8, 6e-9, 6e-9, 6e-10};
    for (int b = 1; b <= 8; ++b) CHECK_NEAR(lloyd_max_mse(b), table[b - 1], 1e-5, digits[b - 1]);
    CHECK_NEAR(lloyd_max_mse(1), 1 - 2 / M_PI, 1e-12, 0);
  }

  TEST_CASE("lloyd_max_mse: .534 .691 .813 .894 .943 .970 .984 .992 of Panter and Dite's limit [1 to 8 bits]") {
    const double table[] = {.534, .691, .813, .894, .943, .970, .984, .992};
    for (int b = 1; b <= 8; ++b) CHECK_NEAR(lloyd_max_mse(b) / panter_dite_mse(b), table[b - 1], 0, 6e-4);
  }

  TEST_CASE("rate distortion: .25 .0625 .015625 .003906; the best scalar codes end 2.72 times above, 4.35 dB") {
    const double table[] = {.25, .0625, .015625, .003906};
    for (int b = 1; b <= 4; ++b) CHECK_NEAR(rate_distortion_mse(b), table[b - 1], 0, 6e-7);
    CHECK_NEAR(panter_dite_mse(5) / rate_distortion_mse(5), 2.72, 0, 6e-3);
    CHECK_NEAR(10 * std::log10(panter_dite_mse(5) / rate_distortion_mse(5)), 4.35, 0, 6e-3);
    for (int b = 1; b <= 8; ++b) CHECK(lloyd_max_mse(b) > rate_distortion_mse(b));
  }

  TEST_CASE("entropy coding: a fine uniform grid stays pi e/6 above rate distortion, 1.423 or 1.53 dB") {
    CHECK_NEAR(entropy_coded_loss, 1.423, 0, 6e-4);
    CHECK_NEAR(10 * std::log10(entropy_coded_loss), 1.53, 0, 6e-3);
    for (const double fineness : {2.0, 4.0, 8.0}) {
      const double mse = uniform_noise(fineness).mse_ratio / (12 * fineness * fineness);
      const double rate = gaussian_code_entropy(fineness, 200);
      const double excess = mse / rate_distortion_mse(rate) / entropy_coded_loss - 1;
      // The entropy of cells exceeds that of the density by Delta²/(24 s²) nats.
      CHECK_NEAR(excess, 1 / (12 * fineness * fineness), 0.05, 0);
    }
  }

  TEST_CASE("best_uniform: known steps and errors of the three kinds of levels [1 to 8 bits]") {
    const double half_steps[] = {1.5958, .9957, .5860, .3352, .1881, .1041, .0569, .0308};
    const double half_errors[] = {.36338, .11885, .03744, .011543, .003495, .001040, .000304, .0000877};
    const double half_digits[] = {6e-6, 6e-6, 6e-6, 6e-7, 6e-7, 6e-7, 6e-7, 6e-8};
    for (int b = 1; b <= 8; ++b) {
      const UniformQuantizer q = best_uniform(UniformLevels::half_integers, b);
      CHECK_NEAR(q.step, half_steps[b - 1], 0, 6e-5);
      CHECK_NEAR(q.mse, half_errors[b - 1], 0, half_digits[b - 1]);
    }
    const double steps[] = {1.2240, .6508, .3534, .1932, .1055, .0573, .0309};
    const double errors[] = {.19017, .04686, .012889, .003693, .001069, .000309, .000088};
    const double digits[] = {6e-6, 6e-6, 6e-7, 6e-7, 6e-7, 6e-7, 6e-7};
    for (int b = 2; b <= 8; ++b) {
      const UniformQuantizer q = best_uniform(UniformLevels::symmetric_integers, b);
      CHECK_NEAR(q.step, steps[b - 2], 0, 6e-5);
      CHECK_NEAR(q.mse, errors[b - 2], 0, digits[b - 2]);
    }
    const double full_steps[] = {1.0484, .6018, .3386, .1888, .1042};
    const double full_errors[] = {.14943, .04064, .011864, .003526, .001043};
    const double full_digits[] = {6e-6, 6e-6, 6e-7, 6e-7, 6e-7};
    for (int b = 2; b <= 6; ++b) {
      const UniformQuantizer q = best_uniform(UniformLevels::integers, b);
      CHECK_NEAR(q.step, full_steps[b - 2], 0, 6e-5);
      CHECK_NEAR(q.mse, full_errors[b - 2], 0, full_digits[b - 2]);
    }
    CHECK_THROWS_AS(best_uniform(UniformLevels::integers, 1), ContractError);
  }

  TEST_CASE("best_uniform: no other step is better, no uniform grid beats Lloyd-Max") {
    CHECK(rc::check([] {
      const int bits = *rc::gen::inRange(2, 9);
      const auto levels =
          *rc::gen::element(UniformLevels::half_integers, UniformLevels::symmetric_integers, UniformLevels::integers);
      const UniformQuantizer best = best_uniform(levels, bits);
      const double factor = std::exp(*rc::gen::inRange(-300, 301) / 100.0);
      RC_ASSERT(uniform_levels_mse(levels, bits, factor * best.step) >= best.mse - 1e-15);
      RC_ASSERT(best.mse > lloyd_max_mse(bits));
    }));
  }

  TEST_CASE(
      "best_uniform: absmax of 256 weights has 1.8 times its error at 3 bits and beats it at 8, for its range adapts") {
    const auto ratio = [](int bits) {
      return rtn_noise(bits, 256).relative_mse / best_uniform(UniformLevels::symmetric_integers, bits).mse;
    };
    CHECK_NEAR(ratio(3), 1.85, 0.03, 0);
    CHECK(ratio(8) < 0.6);
  }

  TEST_CASE("uniform_levels_mse: far coarser than s only the levels nearest 0 are used, far finer all clip") {
    CHECK_NEAR(uniform_levels_mse(UniformLevels::symmetric_integers, 4, 100), 1, 1e-12, 0);
    CHECK_NEAR(uniform_levels_mse(UniformLevels::integers, 4, 1e-9), 1, 1e-7, 0);
    CHECK_NEAR(uniform_levels_mse(UniformLevels::half_integers, 1, 2), 1 - 2 * std::sqrt(2 / M_PI) + 1, 1e-12, 0);
  }
}
