#include "theory/questions/q9_ratio.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// Trace and damage go as D^gamma_d N^-gamma_n, both carried by the trace.
Table of_exponents(double gamma_d, double gamma_n, double noise = 0.02) {
  return planted({.gamma_d = gamma_d, .gamma_n = gamma_n, .curvature_share = 1, .run_noise = noise});
}

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("Q9: a function of D/N is supported, one of D is refuted, and noise is inconclusive") {
    const Verdict v = judge_ratio(of_exponents(0.5, 0.5), Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK_NEAR(v.estimate, 0, 0, 0.05);
    const Verdict tokens = judge_ratio(of_exponents(0.5, 0), Thresholds{});
    CHECK(tokens.outcome == Outcome::refuted);
    CHECK_NEAR(tokens.estimate, 0.5, 0, 0.05);
    CHECK_NEAR(number(tokens, "q9.damage.gamma_d"), 0.5, 0, 0.05);
    CHECK_NEAR(number(tokens, "q9.damage.gamma_n"), 0, 0, 0.05);
    CHECK(judge_ratio(of_exponents(0.5, 0.5, 1.0), Thresholds{}).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q9: the damage refutes it too, where the trace would not") {
    Table table = of_exponents(0.5, 0.5);
    for (PtqRow& r : table.ptq) r.delta *= std::pow(r.N / 1e5, 0.4);
    const Verdict v = judge_ratio(table, Thresholds{});
    CHECK(v.outcome == Outcome::refuted);
    CHECK_NEAR(number(v, "q9.damage.difference"), 0.4, 0, 0.05);
    CHECK_NEAR(v.estimate, 0, 0, 0.05);
  }

  TEST_CASE("Q9: the interaction of ln N and ln D is the planted one") {
    Table table = of_exponents(0.5, 0.2);
    for (SharpnessRow& r : table.sharpness) r.trace *= std::exp(-0.3 * std::log(r.N) * std::log(r.D));
    CHECK_NEAR(number(judge_ratio(table, Thresholds{}), "q9.trace.interaction"), -0.3, 0, 0.03);
  }

  TEST_CASE("Q9: one size says nothing") {
    const Verdict v = judge_ratio(planted({}, {.N = {1e5}}), Thresholds{});
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(v.prose.find("two sizes") != std::string::npos);
  }
}
