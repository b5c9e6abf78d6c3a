#include "theory/questions/q10_plateau.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

struct Plateau {
  double lr = -1, batch = 0.5;  ///< exponents of the level
  double noise = 0.03;
  double rise = 0;  ///< of ln trace over ln D at the end
};

/// Trunks of three rates and three batches, their level reached after 1e6 tokens.
Table plateaus(const Plateau& p) {
  Table table;
  std::uint64_t draw = 0;
  for (const double lr : {1e-3, 3e-3, 6e-3})
    for (const double batch : {8.0, 32.0, 128.0})
      for (int seed = 1; seed <= 3; ++seed) {
        const double offset = p.noise * normal(Stream{81, Domain::test}, draw++);
        for (const double d : {1e5, 1e6, 3e6, 1e7}) {
          SharpnessRow r;
          static_cast<Subject&>(r) = subject_of(5e4, d, seed, "trunk");
          r.run = fmt::format("{} {} {}", lr, batch, seed);
          r.schedule = "constant", r.peak_lr = r.lr = lr, r.batch = batch;
          r.arm = lr == 3e-3 && batch == 32 ? "main" : "other";
          const double level = p.lr * std::log(lr) + p.batch * std::log(batch) + offset;
          r.trace = std::exp(level + (d < 1e6 ? -2.5 : 0) + p.rise * std::log(d / 1e6));
          table.sharpness.push_back(r);
        }
      }
  return table;
}

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("Q10: a level set by lr/sqrt(batch) is supported with its exponent") {
    const Verdict v = judge_plateau(plateaus({}), Thresholds{});
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.n == 27);
    CHECK_NEAR(v.estimate, -1, 0, 0.05);
    CHECK_NEAR(number(v, "q10.exponent.lr"), -1, 0, 0.05);
    CHECK_NEAR(number(v, "q10.exponent.batch"), 0.5, 0, 0.05);
    CHECK(number(v, "q10.r2.noise") > 0.99);
    CHECK(number(v, "q10.r2.lr") < 0.8);
  }

  TEST_CASE("Q10: a level of lr/batch, and one that ignores both, are refuted; great scatter is inconclusive") {
    CHECK(judge_plateau(plateaus({.lr = -1, .batch = 1}), Thresholds{}).outcome == Outcome::refuted);
    CHECK(judge_plateau(plateaus({.lr = 0, .batch = 0}), Thresholds{}).outcome == Outcome::refuted);
    CHECK(judge_plateau(plateaus({.noise = 3}), Thresholds{}).outcome == Outcome::inconclusive);
  }

  TEST_CASE("Q10: trunks that still rise faster than their tokens are on no plateau") {
    const Verdict v = judge_plateau(plateaus({.rise = 1.2}), Thresholds{});
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(v.n == 0);
    CHECK(v.prose.find("Nothing can be said") != std::string::npos);
  }

  TEST_CASE("Q10: other weight decay and other data stand aside") {
    Table table = plateaus({});
    for (SharpnessRow& r : table.sharpness)
      if (r.batch == 128) r.weight_decay = 0.3;
    CHECK(judge_plateau(table, Thresholds{}).n == 18);
    for (SharpnessRow& r : table.sharpness)
      if (r.batch == 8) r.data = "other";
    const Verdict v = judge_plateau(table, Thresholds{});
    CHECK(v.n == 9);  // one batch is left, which says nothing of batches
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(v.prose.find("Nothing can be said") != std::string::npos);
  }
}
