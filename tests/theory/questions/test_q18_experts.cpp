#include "theory/questions/q18_experts.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/questions/rules.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

constexpr double active_size = 1e5, total_size = 2.5e5;

/// Four experts, of which a token passes one: 2.5e5 parameters, 1e5 of them active.
void add_experts(Subject& s) {
  s.arm = "experts", s.N = total_size, s.run += " experts";
  s.experts = 4, s.experts_per_token = 1, s.layers = 1, s.width = 100;
  s.mlp_width = (total_size - active_size) / (3 * 3 * s.width);
}

/// Dense models of equal active and of equal total size, and models with experts whose damage is so much larger.
struct World {
  double beyond_active = 0, beyond_total = 0;  ///< in ln, of models with experts over each dense size
  double beyond_prediction = 0;                ///< part of both that the prediction does not have
  double noise = 0.02;
  int seeds = 3;

  Table table() const {
    // The dense sizes differ by what makes both contrasts come out as planted.
    const double gamma_n = -(beyond_active - beyond_total) / std::log(total_size / active_size);
    PlantedLaw law{.gamma_n = gamma_n, .run_noise = noise};
    law.row_noise = law.higher_noise = noise;
    Table all;
    all.ptq = planted_ptq({.N = {active_size, total_size}, .seeds = seeds}, law);
    for (PtqRow r : planted_ptq({.N = {active_size}, .seeds = seeds, .seed = 1}, law)) {
      add_experts(r);
      const double second_order = (r.delta - r.gradient) * std::exp(beyond_active);
      r.predicted *= std::exp(beyond_active - beyond_prediction), r.gradient *= std::exp(beyond_active);
      r.delta = second_order + r.gradient;
      all.ptq.push_back(r);
    }
    return all;
  }
};

Verdict verdict_of(const World& world) { return judge_experts(world.table(), Thresholds{}); }

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("active_N: a token passes everything but the experts that it does not reach") {
    Subject s;
    s.N = 1000, s.layers = 2, s.width = 4, s.mlp_width = 5, s.experts = 4, s.experts_per_token = 1;
    CHECK(s.active_N() == 1000 - 2 * 3 * 3 * 4 * 5);
    s.experts_per_token = 4;
    CHECK(s.active_N() == 1000);
    s.experts = 0;
    CHECK(s.active_N() == 1000);
  }

  TEST_CASE("Q18: more damage than dense models of either size is supported, and split into what curvature predicts") {
    const Verdict v = verdict_of({.beyond_active = 0.5, .beyond_total = 0.7, .beyond_prediction = 0.2});
    CHECK(v.outcome == Outcome::supported);
    CHECK(v.p_value < 0.05);
    CHECK(is_within(v, "q18.active", 0.5));
    CHECK(is_within(v, "q18.total", 0.7));
    CHECK(is_within(v, "q18.residual.active", 0.2));
    CHECK(is_within(v, "q18.predicted.active", 0.3));
    CHECK(is_within(v, "q18.active.bits_4", 0.5));
    CHECK(v.n == 2 * 5 * 3 * 4);
    CHECK(control(v, Control::equal_active_size));
    CHECK(control(v, Control::equal_total_size));
    CHECK_FALSE(control(v, Control::expert_loads));
  }

  TEST_CASE("Q18: equal damage refutes, and so does less than one of the dense sizes") {
    CHECK(verdict_of({}).outcome == Outcome::refuted);
    const Verdict v = verdict_of({.beyond_active = 0.5, .beyond_total = -0.5});
    CHECK(v.outcome == Outcome::refuted);
    CHECK(is_within(v, "q18.total", -0.5));
  }

  TEST_CASE("Q18: great scatter decides nothing, nor one dense size that is exceeded without the other") {
    CHECK(verdict_of({.beyond_active = 0.3, .beyond_total = 0.3, .noise = 0.4}).outcome == Outcome::inconclusive);
    Table table = World{.beyond_active = 0.5, .beyond_total = 0.5}.table();
    std::erase_if(table.ptq, [](const PtqRow& r) { return !r.has_experts() && r.N == total_size; });
    const Verdict v = judge_experts(table, Thresholds{});
    CHECK(v.outcome == Outcome::inconclusive);
    CHECK(is_within(v, "q18.active", 0.5));
    CHECK(number(v, "q18.unmatched.total") == 60);
    CHECK_FALSE(control(v, Control::equal_total_size));
    const Verdict none = judge_experts({}, Thresholds{});
    CHECK(none.prose.find("Nothing can be said") == 0);
  }

  TEST_CASE("Q18: dense models are of equal seed, tokens, bits and training") {
    for (const std::function<void(PtqRow&)>& change : {std::function<void(PtqRow&)>([](PtqRow& r) { r.seed += 10; }),
                                                       {[](PtqRow& r) { r.D *= 1000; }},
                                                       {[](PtqRow& r) { r.P += 0.5; }},
                                                       {[](PtqRow& r) { r.peak_lr = 1; }}}) {
      Table table = World{}.table();
      for (PtqRow& r : table.ptq)
        if (r.has_experts()) change(r);
      CHECK(judge_experts(table, Thresholds{}).prose.find("Nothing can be said: 0 rows") == 0);
    }
  }

  TEST_CASE("Q18: the damage of one expert over its layer's mean goes with its load as planted") {
    Table table = World{}.table();
    for (int seed = 0; seed < 3; ++seed)
      for (const double d : {1e6, 1e7})
        for (int layer = 0; layer < 2; ++layer)
          for (int e = 0; e < 4; ++e) {
            ExpertRow r;
            static_cast<Subject&>(r) = subject_of(total_size, d, seed, "trunk");
            r.run += fmt::format(" {}", seed);
            add_experts(r);
            r.P = 4, r.layer = layer, r.expert = e, r.load = std::exp(0.5 * (e - 1.5));  // their ln add up to 0
            r.delta = (layer + 1) * 1e-3 * (1 + 0.4 * std::log(r.load)) *
                      (1 + 0.01 * normal(Stream{17, Domain::test}, table.expert_damage.size()));
            r.delta_se = 1e-5;
            table.expert_damage.push_back(r);
          }
    const Verdict v = judge_experts(table, Thresholds{});
    CHECK(is_within(v, "q18.load_slope", 0.4));
    CHECK(control(v, Control::expert_loads));
  }

  TEST_CASE("Q18: the scale of the bits in training with experts and without, on the parameters that a token passes") {
    Table table = World{}.table();
    const SyntheticGrid grid{.N = {3e4, 1e5, 3e5}, .D = {1e6, 1e7, 1e8}, .P = {}, .seeds = 3};
    const auto share = [](double bits, double gamma) { return -std::expm1(-bits / gamma); };
    std::vector<std::array<double, 3>> bits{{3, 16, 16}, {4, 16, 16}};
    table.losses = planted_training(
        grid, {.bits = bits, .fraction = [&](const std::array<double, 3>& b) { return share(b[0], 2); }});
    for (const double d : grid.D)
      for (int seed = 0; seed < 3; ++seed)
        for (const double b : {16.0, 3.0, 4.0}) {
          LossRow r;
          static_cast<Subject&>(r) = subject_of(total_size, d, seed, b < 16 ? "qat_trunk" : "trunk");
          add_experts(r);
          r.train_w_bits = b, r.method = b < 16 ? "qat" : "";
          r.loss = planted_loss(active_size, d, b < 16 ? share(b, 3) : 1), r.loss_se = 1e-3;
          table.losses.push_back(r);
        }
    const Verdict v = judge_experts(table, Thresholds{});
    CHECK(is_within(v, "q18.gap.scale", std::log(1.5)));
    CHECK_NEAR(number(v, "q18.scale.experts"), 3, 0.05, 0);
    CHECK_NEAR(number(v, "q18.scale.dense"), 2, 0.05, 0);
    CHECK(control(v, Control::experts_at_few_bits));
  }
}
