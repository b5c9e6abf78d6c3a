#include "theory/questions/q17_architecture.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/questions/rules.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

const SyntheticGrid grid{.N = {3e4, 1e5}, .seeds = 3};

/// A main arm in the style of Llama and an arm in that of GPT-2 whose numbers depart by so much.
struct World {
  double gamma_d = 0;  ///< of the damage and of its prediction
  double ratio = 0;    ///< ln of damage over prediction
  double trace_share = 1;
  double noise = 0.02;
  int seeds = 3;

  Table table() const {
    SyntheticGrid design = grid;
    design.seeds = seeds;
    Table all;
    for (const bool is_other : {false, true}) {
      design.seed = is_other;
      PlantedLaw law{.gamma_d = 0.5 + (is_other ? gamma_d : 0), .curvature_share = 1, .run_noise = noise};
      law.row_noise = law.higher_noise = noise;
      Table own = planted(law, design);
      const auto name = [&](Subject& s) {
        s.style = is_other ? "gpt2" : "llama", s.arm = is_other ? "gpt2" : "main";
        s.layers = 2, s.heads = is_other ? 2 : 4, s.N *= is_other ? 1.02 : 1;
        s.run += is_other ? " gpt2" : "";
      };
      for (PtqRow& r : own.ptq) {
        name(r);
        if (is_other) r.delta *= std::exp(ratio), r.gradient *= std::exp(ratio);
        all.ptq.push_back(r);
      }
      for (SharpnessRow& r : own.sharpness) {
        name(r);
        if (is_other) r.weighted_trace = std::pow(r.weighted_trace, trace_share);
        all.sharpness.push_back(r);
      }
    }
    return all;
  }
};

Verdict verdict_of(const World& world) { return judge_architecture(world.table(), Thresholds{}); }

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("Q17: another architecture of the same growth and ratio is supported") {
    const Verdict v = verdict_of({});
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.p_value < 0.05);
    CHECK(is_within(v, "q17.gap.damage.gpt2", 0));
    CHECK(is_within(v, "q17.damage.gpt2", 0.5));
    CHECK_NEAR(number(v, "q17.ratio.main_gpt2"), 1, 0.05, 0);
    CHECK(v.prose.find("style gpt2, heads 2") != std::string::npos);
    CHECK(control(v, Control::other_style));
    CHECK(control(v, Control::other_heads));
    CHECK_FALSE(control(v, Control::other_depth));
  }

  TEST_CASE("Q17: one gap beyond the band refutes, be it of the damage, of the trace or of the ratio") {
    const Verdict growth = verdict_of({.gamma_d = 0.3});
    CHECK(growth.outcome == Outcome::refuted);
    CHECK(is_within(growth, "q17.gap.damage.gpt2", 0.3));
    const Verdict ratio = verdict_of({.ratio = std::log(1.4)});
    CHECK(ratio.outcome == Outcome::refuted);
    CHECK(is_within(ratio, "q17.gap.ratio.gpt2", std::log(1.4)));
    CHECK(is_within(ratio, "q17.gap.damage.gpt2", 0));
    const Verdict trace = verdict_of({.trace_share = 0.2});
    CHECK(trace.outcome == Outcome::refuted);
    CHECK(number(trace, "q17.gap.trace.gpt2") < -0.2);
  }

  TEST_CASE("Q17: great scatter decides nothing, nor do few trajectories") {
    CHECK(verdict_of({.noise = 0.6}).outcome == Outcome::inconclusive);
    const Verdict few = verdict_of({.gamma_d = 0.5, .seeds = 1});
    CHECK(few.outcome == Outcome::inconclusive);
    CHECK(few.prose.find("Nothing can be said") == 0);
  }

  TEST_CASE("Q17: arms of the same shape, of another size or of another training are no other architecture") {
    const auto without = [](const std::function<void(PtqRow&)>& change) {
      Table table = World{.gamma_d = 0.3}.table();
      for (PtqRow& r : table.ptq)
        if (r.arm == "gpt2") change(r);
      return judge_architecture(table, Thresholds{}).prose.find("Nothing can be said: 0 arms") == 0;
    };
    CHECK(without([](PtqRow& r) { r.style = "llama", r.heads = 4; }));
    CHECK(without([](PtqRow& r) { r.N *= 1.3; }));
    CHECK(without([](PtqRow& r) { r.peak_lr = 1; }));
    CHECK(without([](PtqRow& r) { r.data = "other"; }));
    CHECK(without([](PtqRow& r) { r.experts = 4; }));
    CHECK_FALSE(without([](PtqRow& r) { r.layers = 4; }));
  }
}
