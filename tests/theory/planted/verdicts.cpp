// Worlds whose answer is known, through the judges themselves.
#include <cmath>
#include <functional>
#include <string>

#include "sim/base/rng.hpp"
#include "tests/theory/planted/injected.hpp"
#include "tests/theory/planted/judged.hpp"
#include "tests/theory/planted/models.hpp"
#include "tests/theory/planted/scheme_worlds.hpp"
#include "theory/noise/rounding.hpp"

namespace hone::theory {
namespace {

Table trunk(const SyntheticGrid& grid, const PlantedLaw& law) {
  return {planted_ptq(grid, law), planted_sharpness(grid, law), {}, {}};
}

/// The damage and its prediction times a factor each; the first-order term stays in proportion to the prediction.
void scale(PtqRow& r, double damage, double prediction) {
  const double second_order = (r.delta - r.gradient) * damage;
  r.gradient *= prediction, r.predicted *= prediction, r.quadratic *= prediction;
  r.delta_se *= prediction, r.predicted_se *= prediction;
  r.delta = second_order + r.gradient;
}

/// Damage and trace that level off at 30 tokens per parameter instead of growing on.
Table levelling(std::uint64_t seed) {
  Table table = trunk(grid_of(seed), law_of(0));
  const auto level = [](const Subject& s) { return -std::expm1(-std::pow(s.D / s.N / 30, 0.9)); };
  for (PtqRow& r : table.ptq) scale(r, level(r), level(r));
  for (SharpnessRow& r : table.sharpness) r.trace *= level(r), r.weighted_trace *= level(r);
  return table;
}

/// Damage and trace that rise as a power up to 2 M tokens, whatever the size, and stay there.
Table stopping(std::uint64_t seed) {
  Table table = trunk(grid_of(seed), law_of(0));
  const auto level = [](const Subject& s) { return std::pow(std::min(s.D, 2e6) / 1e6, 0.8); };
  for (PtqRow& r : table.ptq) scale(r, level(r), level(r));
  for (SharpnessRow& r : table.sharpness) r.trace *= level(r), r.weighted_trace *= level(r);
  return table;
}

/// Damage over prediction that falls with the bits, from 1.2 at 3 bits to 0.95 at 6, as it does where higher orders end.
Table falling_ratio(std::uint64_t seed) {
  Table table = trunk(grid_of(seed), rough_law_of(0.5));
  for (PtqRow& r : table.ptq) scale(r, 1.2 - 0.25 * (r.P - 3) / 3, 1);
  return table;
}

/// Damage and trace as powers of tokens and parameters, all of it in the trace.
Table of_exponents(std::uint64_t seed, double gamma_d, double gamma_n) {
  PlantedLaw law = law_of(gamma_d);
  law.gamma_n = gamma_n, law.curvature_share = 1;
  law.run_noise /= 4, law.trajectory_noise /= 4, law.drift /= 4;
  return trunk(grid_of(seed), law);
}

/// Traces of constant-rate trunks that have risen to a level of their learning rate and batch.
Table plateaus(std::uint64_t seed, double of_lr, double of_batch, double noise) {
  Table table;
  std::uint64_t draw = 0;
  for (const double lr : {1e-3, 3e-3, 6e-3})
    for (const double batch : {8.0, 32.0})
      for (int s = 1; s <= 3; ++s) {
        const double offset = noise * normal(Stream{seed, Domain::synthetic, 0xF1A7}, draw++);
        for (const double d : {2.5e5, 1e6, 4e6}) {
          SharpnessRow r;
          r.run = "r" + std::to_string(draw), r.architecture = Architecture::transformer, r.variant = "trunk";
          r.seed = s, r.N = 55e3, r.D = d, r.schedule = "constant", r.peak_lr = r.lr = lr, r.batch = batch;
          r.arm = lr == 3e-3 && batch == 32 ? "main" : "other";
          r.trace = std::exp(of_lr * std::log(lr) + of_batch * std::log(batch) + offset - (d < 1e6 ? 2 : 0));
          table.sharpness.push_back(r);
        }
      }
  return table;
}

/// Cooled branches at the trunk's tokens: ln delta and ln prediction moved, and noise of their own.
Table cooled(const SyntheticGrid& grid, const PlantedLaw& law, double delta, double predicted) {
  Table table = trunk(grid, law);
  std::vector<PtqRow> rows;
  for (PtqRow r : table.ptq) {
    const Stream stream{grid.seed, Domain::synthetic, 0xC001};
    const double own = law.row_noise * std::pow(law.row_per_bit, r.P - 3);
    r.variant = "cooled", r.kind = Kind::cooldown, r.branched_at = 0.8 * r.D;
    scale(r, std::exp(delta + law.higher_noise * normal(stream, 2 * rows.size())), std::exp(predicted));
    const double first_order = own * r.predicted * normal(stream, 2 * rows.size() + 1);
    r.delta += first_order - r.gradient;
    r.gradient = first_order;
    rows.push_back(r);
  }
  table.ptq.insert(table.ptq.end(), rows.begin(), rows.end());
  return table;
}

/// Branches that lie below the trunk at few tokens and above it at many, in damage and prediction alike.
Table crossing(std::uint64_t seed) {
  Table table = cooled(grid_of(seed), rough_law_of(0.5), 0, 0);
  for (PtqRow& r : table.ptq) {
    const double shift = std::exp(0.5 * std::log(r.D / 2e6));
    if (r.kind == Kind::cooldown) scale(r, shift, shift);
  }
  return table;
}

/// Damage as a power of the prediction other than 1.
Table bent(std::uint64_t seed, double slope) {
  Table table = trunk(grid_of(seed), rough_law_of(0.5));
  for (PtqRow& r : table.ptq) scale(r, std::pow(r.predicted / 1e-4, slope - 1), 1);
  return table;
}

/// Factorial of weight and activation bits in which both together cost (1 + interaction) times the sum; an offset of the
/// interaction is shared by each (N, seed).
Table factorial(const SyntheticGrid& grid, const std::function<double(double w, double a)>& interaction, double shared,
                double own) {
  Table table;
  std::uint64_t draw = 0, trajectory = 0;
  for (const double n : grid.N)
    for (int seed = 0; seed < grid.seeds; ++seed, ++trajectory)
      for (const double d : grid.D) {
        const double offset = shared * normal(Stream{grid.seed, Domain::synthetic, 0xFAC0}, trajectory);
        for (const double w : {3.0, 4.0, 16.0})
          for (const double a : {3.0, 4.0, 16.0}) {
            const auto damage = [](double bits) { return bits < 16 ? std::exp(-bits) : 0; };
            FactorialRow r;
            r.run = "synthetic", r.architecture = Architecture::transformer, r.variant = "trunk";
            r.seed = seed, r.N = n, r.D = d, r.w_bits = w, r.a_bits = a;
            r.delta = (damage(w) + damage(a)) * (w < 16 && a < 16 ? 1 + interaction(w, a) + offset : 1) *
                      (1 + own * normal(Stream{grid.seed, Domain::synthetic, 0xFAC1}, draw++));
            r.delta_se = 0.02 * r.delta;
            table.factorial.push_back(r);
          }
      }
  return table;
}

/// That of independent noise in channels of 64.
double of_independent_noise(double w, double a) {
  const double nu_w = rtn_relative_mse(static_cast<int>(w), 64), nu_a = rtn_relative_mse(static_cast<int>(a), 64);
  return nu_w * nu_a / (nu_w + nu_a);
}

/// More than the sum where weights have the fewer bits, less where activations have: 0 on average.
double of_both_signs(double w, double a) { return w < a ? 0.1 : w > a ? -0.1 : 0; }

/// Shares of the rounding error in the six top directions, `lean` times those of a random error at each checkpoint.
Table leaning(const SyntheticGrid& grid, double lean) {
  constexpr int directions = 6;
  Table table;
  std::uint64_t draw = 0;
  for (const SharpnessRow& s : planted_sharpness(grid, {})) {
    double square = 0;
    for (int k = 0; k < directions; ++k) {
      const double z = normal(Stream{grid.seed, Domain::synthetic, 0xD1EC}, draw++);
      square += z * z / directions;
    }
    NoiseRow r;
    static_cast<Subject&>(r) = s;
    r.subspace = "top", r.energy = r.predicted = r.delta = 1, r.delta_se = 0.05;
    r.null_share = std::sqrt(directions / s.N);
    r.residual_share = lean * r.null_share * std::sqrt(square);
    table.noise.push_back(r);
  }
  return table;
}

std::vector<World> direction_worlds() {
  return {{"errors lean twofold into the top directions", "Q4", judge_directions, Outcome::supported, NAN,
           [](std::uint64_t s) { return leaning(grid_of(s), 2); }},
          {"errors are random", "Q4", judge_directions, Outcome::refuted, NAN,
           [](std::uint64_t s) { return leaning(grid_of(s), 1); }},
          {"errors lean by a fifth, two sizes, one seed", "Q4", judge_directions, Outcome::inconclusive, NAN,
           [](std::uint64_t s) { return leaning(small_grid(s), 1.2); }}};
}

std::vector<World> growth_worlds() {
  std::vector<World> worlds;
  for (const bool is_damage : {true, false}) {
    const std::string q = is_damage ? "Q1" : "Q2";
    const Judge judge = is_damage ? judge_damage_growth : judge_sharpness_growth;
    const double exponent = is_damage ? 0.5 : 0.3;  // the trace carries 0.6 of it
    worlds.push_back({"power law, exponent 0.5", q, judge, Outcome::supported, exponent,
                      [](std::uint64_t s) { return trunk(grid_of(s), law_of(0.5)); }});
    if (is_damage) {
      worlds.push_back({"power law, exponent 0.5, rough", q, judge, Outcome::supported, exponent,
                        [](std::uint64_t s) { return trunk(grid_of(s), rough_law_of(0.5)); }});
      worlds.push_back({"flat, rough", q, judge, Outcome::refuted, 0,
                        [](std::uint64_t s) { return trunk(grid_of(s), rough_law_of(0)); }});
    }
    worlds.push_back({"levels off at 30 tokens per parameter", q, judge, Outcome::refuted, NAN, levelling});
    worlds.push_back({"rises to 2 M tokens, whatever the size", q, judge, Outcome::refuted, NAN, stopping});
    worlds.push_back({"driven by the schedule: flat at constant rate, jumps when cooled", q, judge, Outcome::refuted, 0,
                      [](std::uint64_t s) { return cooled(grid_of(s), law_of(0), 0.6, 0.6); }});
    worlds.push_back({"power law, two sizes, one seed, fourfold noise", q, judge, Outcome::inconclusive, NAN,
                      [](std::uint64_t s) { return trunk(small_grid(s), noisy_law(0.5)); }});
  }
  worlds.push_back({"a function of D/N", "Q9", judge_ratio, Outcome::supported, 0,
                    [](std::uint64_t s) { return of_exponents(s, 0.5, 0.5); }});
  worlds.push_back({"a function of D", "Q9", judge_ratio, Outcome::refuted, 0.5,
                    [](std::uint64_t s) { return of_exponents(s, 0.5, 0); }});
  worlds.push_back({"a function of D/N, two sizes, one seed, fourfold noise", "Q9", judge_ratio, Outcome::inconclusive,
                    NAN, [](std::uint64_t s) { return trunk(small_grid(s), noisy_law(0.5)); }});
  return worlds;
}

std::vector<World> plateau_worlds() {
  return {{"the level follows lr/sqrt(batch)", "Q10", judge_plateau, Outcome::supported, -1,
           [](std::uint64_t s) { return plateaus(s, -1, 0.5, 0.02); }},
          {"the level follows lr alone", "Q10", judge_plateau, Outcome::refuted, NAN,
           [](std::uint64_t s) { return plateaus(s, -1, 0, 0.05); }},
          {"the level follows lr/sqrt(batch), great scatter", "Q10", judge_plateau, Outcome::inconclusive, NAN,
           [](std::uint64_t s) { return plateaus(s, -1, 0.5, 1.5); }}};
}

std::vector<World> injection_worlds() {
  const auto world = [](const char* name, Outcome wanted, double planted, Injected law) {
    return World{name, "Q11", judge_injection, wanted, planted, [law](std::uint64_t s) {
                   Injected own = law;
                   own.seed = s;
                   return injected(own);
                 }};
  };
  const double never = 1e9;  // nats at which second order ends
  return {
      world("noise costs its predicted rise in every subspace", Outcome::supported, NAN, {.end = never, .noise = 0.03}),
      world("a third more in the top directions", Outcome::refuted, 1.33,
            {.offset = std::log(1.33), .end = never, .noise = 0.03}),
      world("second order ends at 0.003 nats in the top directions", Outcome::refuted, 1 + 0.1 * 0.01 / 0.003,
            {.end = 0.003, .noise = 0.03}),
      world("predicted rises, two sizes, one seed, scatter of a half", Outcome::inconclusive, NAN,
            {.end = never, .noise = 0.5, .seeds = 1})};
}

std::vector<World> prediction_worlds() {
  return {{"damage is the prediction", "Q3", judge_prediction, Outcome::supported, 1,
           [](std::uint64_t s) { return trunk(grid_of(s), rough_law_of(0.5)); }},
          {"damage over prediction falls with the bits", "Q3", judge_prediction, Outcome::supported, 1, falling_ratio},
          {"damage is its power 0.8", "Q3", judge_prediction, Outcome::refuted, 0.8,
           [](std::uint64_t s) { return bent(s, 0.8); }},
          {"damage is the prediction, two sizes, one seed, fourfold noise", "Q3", judge_prediction,
           Outcome::inconclusive, NAN, [](std::uint64_t s) { return trunk(small_grid(s), noisy_law(0.5)); }},
          {"cooling moves both alike", "Q5", judge_cause, Outcome::supported, 1,
           [](std::uint64_t s) { return cooled(grid_of(s), rough_law_of(0.5), 0.6, 0.6); }},
          {"the change of both alike turns over with tokens", "Q5", judge_cause, Outcome::supported, 1, crossing},
          {"driven by the schedule: cooling moves the damage alone", "Q5", judge_cause, Outcome::refuted, NAN,
           [](std::uint64_t s) { return cooled(grid_of(s), rough_law_of(0.5), 0.6, 0); }},
          {"cooling moves nothing", "Q5", judge_cause, Outcome::inconclusive, NAN,
           [](std::uint64_t s) { return cooled(grid_of(s), rough_law_of(0.5), 0, 0); }}};
}

std::vector<World> composition_worlds() {
  const auto world = [](const char* name, Outcome wanted, double planted, double (*interaction)(double, double),
                        double noise) {
    return World{name,
                 "Q6",
                 judge_composition,
                 wanted,
                 planted,
                 [=](std::uint64_t s) {
                   return factorial(grid_of(s), interaction, 0.05 * noise, 0.03 * noise); }};
  };
  constexpr double precise = 1.0 / 30;  // which resolves the interaction of independent noise
  return {world(
              "damages add up, precise rows", Outcome::supported, 0, [](double, double) { return 0.0; }, precise),
          world(
              "damages add up, rows as noisy as real ones", Outcome::inconclusive, 0,
              [](double, double) { return 0.0; }, 1),
          world("independent noise, precise rows: every combination is on its band", Outcome::inconclusive, NAN,
                of_independent_noise, precise),
          world(
              "both cost three times the interaction of independent noise more, precise rows", Outcome::refuted, NAN,
              [](double w, double a) { return 3 * of_independent_noise(w, a); }, precise),
          world(
              "both cost a quarter more than the sum", Outcome::refuted, 0.25, [](double, double) { return 0.25; }, 1),
          world(
              "both cost a tenth less than the sum", Outcome::refuted, -0.1, [](double, double) { return -0.1; }, 1),
          world("a tenth more at W3A4, a tenth less at W4A3, 0 on average", Outcome::refuted, NAN, of_both_signs, 1),
          {"damages add up, two sizes, one seed, fourfold noise", "Q6", judge_composition, Outcome::inconclusive, NAN,
           [](std::uint64_t s) {
             return factorial(
                 small_grid(s), [](double, double) { return 0.0; }, 0.2, 0.12);
           }}};
}

/// Models with weights and activations lowered in training: every pair of bits, and each alone.
Table trained_together(const SyntheticGrid& grid, const std::vector<double>& bits,
                       double (*fraction)(const std::array<double, 3>&), double noise) {
  PlantedTraining planted{.bits = {}, .fraction = fraction, .run_noise = 5 * noise, .row_noise = noise};
  for (const double w : bits)
    for (const double a : bits)
      if (w < 16 || a < 16) planted.bits.push_back({w, a, 16});
  Table table;
  table.losses = planted_training(grid, planted);
  return table;
}

std::vector<World> training_worlds() {
  const auto world = [](const char* name, Outcome wanted, double planted,
                        double (*fraction)(const std::array<double, 3>&), double noise) {
    return World{
        name,   "Q12",   judge_training_composition,
        wanted, planted, [=](std::uint64_t s) { return trained_together(grid_of(s), {3, 4, 16}, fraction, noise); }};
  };
  constexpr double precise = 1e-3;  // in ln loss; seeds differ by five times that
  return {world("N_eff is a product, precise rows", Outcome::supported, 0, fraction_of_product, precise),
          world("rises of the loss add up, precise rows", Outcome::refuted, NAN, fraction_of_sum, precise),
          world(
              "both leave a quarter less N_eff than the product", Outcome::refuted, -0.3,
              [](const std::array<double, 3>& bits) { return fraction_beyond_product(bits, -0.3); }, precise),
          {"N_eff is a product, 6 and 8 bits: a sum would look the same", "Q12", judge_training_composition,
           Outcome::inconclusive, NAN,
           [](std::uint64_t s) {
             return trained_together(grid_of(s), {6, 8, 16}, fraction_of_product, precise / 10);
           }},
          {"N_eff is a product, two sizes, one seed, 0.02 in ln loss", "Q12", judge_training_composition,
           Outcome::inconclusive, NAN, [](std::uint64_t s) {
             return trained_together(small_grid(s), {3, 4, 16}, fraction_of_product, 0.02);
           }}};
}

}  // namespace

VerdictTables growth_tables(const WorldOptions& options) { return tables_of({growth_worlds()}, options); }

VerdictTables contrast_tables(const WorldOptions& options) {
  return tables_of(
      {direction_worlds(), prediction_worlds(), composition_worlds(), training_worlds(), plateau_worlds(),
       injection_worlds(), model_worlds(), scheme_worlds(), text_worlds(), bit_worlds(), solvable_worlds()},
      options);
}

}  // namespace hone::theory
