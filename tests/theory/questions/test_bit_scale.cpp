#include "theory/questions/bit_scale.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"
#include "theory/precision/training_law.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

const SyntheticGrid grid{.N = {3e4, 1e5, 3e5}, .D = {1e6, 1e7, 1e8}, .P = {}, .seeds = 3};

double share_of(double bits, double gamma) { return -std::expm1(-bits / gamma); }

const TrainingLaw planted_law{30, 0.35, 60, 0.3, 1.5, {}};

/// A model whose loss is that of a share of its parameters.
LowWeightModel model_of(double bits, double share) {
  LowWeightModel m;
  static_cast<Subject&>(m) = subject_of(1e5, 1e7, 0, "qat_trunk");
  m.train_w_bits = bits, m.method = "qat";
  m.rise = planted_loss(1e5, 1e7, share) - planted_loss(1e5, 1e7, 1);
  return m;
}

}  // namespace

TEST_SUITE("questions") {
  TEST_CASE("log_scale_of: it inverts the law exactly, and has no value where the models have none") {
    for (const double gamma : {0.7, 2.0, 5.0}) {
      LowWeightModels models;
      for (const double bits : {1.0, 3.0, 8.0}) models.push_back(model_of(bits, share_of(bits, gamma)));
      CHECK_NEAR(std::exp(log_scale_of(planted_law, models, {0, 1, 2})), gamma, 1e-6, 0);
      CHECK_NEAR(log_share(planted_law, models[1]), log_share_of_scale(3, std::log(gamma)), 1e-9, 0);
    }
    CHECK(std::isnan(log_scale_of(planted_law, {model_of(3, 1)}, {0})));  // nothing is lost: no scale is small enough
    CHECK(std::isnan(log_scale_of(planted_law, {model_of(3, 1)}, {})));
    LowWeightModel impossible = model_of(3, 0.5);
    impossible.rise = -10;  // below what any size reaches
    CHECK(std::isnan(log_scale_of(planted_law, {impossible}, {0})));
  }

  TEST_CASE("low_weight_models: twins have equal size, tokens, seed and recipe, and what has none is counted") {
    Table table;
    table.losses =
        planted_training(grid, {.bits = {{3, 16, 16}, {4, 16, 16}, {6, 16, 16}, {2, 16, 16}},
                                .fraction = [](const std::array<double, 3>& b) { return share_of(b[0], 2); }});
    int unpaired = 0;
    CHECK(low_weight_models(table.losses, unpaired).size() == 4 * 27);
    CHECK(unpaired == 0);
    const auto changed = [&](const std::function<void(LossRow&)>& change) {
      Table other = table;
      for (LossRow& r : other.losses)
        if (!r.is_full_precision()) change(r);
      int without = 0;
      (void)low_weight_models(other.losses, without);
      return without;
    };
    CHECK(changed([](LossRow& r) { r.sub_norms = "on"; }) == 4 * 27);
    CHECK(changed([](LossRow& r) { r.heads = 8; }) == 4 * 27);
    CHECK(changed([](LossRow& r) { r.schedule = "two_stage"; }) == 4 * 27);
    CHECK(changed([](LossRow& r) { r.seed += 100; }) == 4 * 27);
    Table activations = table;
    for (LossRow& r : activations.losses)
      if (r.train_w_bits == 3) r.train_a_bits = 4;
    CHECK(low_weight_models(activations.losses, unpaired).size() == 3 * 27);  // activations at 4 bits cost too
  }

  TEST_CASE("Q16: the tolerance is half of what the published offset amounts to at log2(3) bits") {
    const PartScale kumar = kumar_training_law().parts[0];
    LowWeightModels models;
    for (const double bits : {3.0, 4.0, 6.0}) models.push_back(model_of(bits, effective_fraction(kumar, bits)));
    const double plain = log_share_of_scale(ternary_bits, log_scale_of(planted_law, models, {0, 1, 2}));
    const double gap = plain - std::log(effective_fraction(kumar, ternary_bits));
    CHECK_NEAR(Thresholds{}.q16_tolerance, gap / 2, 0, 0.01);
  }
}
