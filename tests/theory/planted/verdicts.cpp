// Worlds whose answer is known, through the judges themselves.
#include <cmath>

#include "sim/base/rng.hpp"
#include "tests/theory/planted/judged.hpp"

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

/// Damage as a power of the prediction other than 1.
Table bent(std::uint64_t seed, double slope) {
  Table table = trunk(grid_of(seed), rough_law_of(0.5));
  for (PtqRow& r : table.ptq) scale(r, std::pow(r.predicted / 1e-4, slope - 1), 1);
  return table;
}

/// Factorial of weight and activation bits in which both together cost (1 + interaction) times the sum; an offset of the
/// interaction is shared by each (N, seed).
Table factorial(const SyntheticGrid& grid, double interaction, double shared, double own) {
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
            r.delta = (damage(w) + damage(a)) * (w < 16 && a < 16 ? 1 + interaction + offset : 1) *
                      (1 + own * normal(Stream{grid.seed, Domain::synthetic, 0xFAC1}, draw++));
            r.delta_se = 0.02 * r.delta;
            table.factorial.push_back(r);
          }
      }
  return table;
}

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
    worlds.push_back({"driven by the schedule: flat at constant rate, jumps when cooled", q, judge, Outcome::refuted, 0,
                      [](std::uint64_t s) { return cooled(grid_of(s), law_of(0), 0.6, 0.6); }});
    worlds.push_back({"power law, two sizes, one seed, fourfold noise", q, judge, Outcome::inconclusive, NAN,
                      [](std::uint64_t s) { return trunk(small_grid(s), noisy_law(0.5)); }});
  }
  return worlds;
}

std::vector<World> prediction_worlds() {
  return {{"damage is the prediction", "Q3", judge_prediction, Outcome::supported, 1,
           [](std::uint64_t s) { return trunk(grid_of(s), rough_law_of(0.5)); }},
          {"damage is its power 0.8", "Q3", judge_prediction, Outcome::refuted, 0.8,
           [](std::uint64_t s) { return bent(s, 0.8); }},
          {"damage is the prediction, two sizes, one seed, fourfold noise", "Q3", judge_prediction,
           Outcome::inconclusive, NAN, [](std::uint64_t s) { return trunk(small_grid(s), noisy_law(0.5)); }},
          {"cooling moves both alike", "Q5", judge_cause, Outcome::supported, 1,
           [](std::uint64_t s) { return cooled(grid_of(s), rough_law_of(0.5), 0.6, 0.6); }},
          {"driven by the schedule: cooling moves the damage alone", "Q5", judge_cause, Outcome::refuted, NAN,
           [](std::uint64_t s) { return cooled(grid_of(s), rough_law_of(0.5), 0.6, 0); }},
          {"cooling moves nothing", "Q5", judge_cause, Outcome::inconclusive, NAN,
           [](std::uint64_t s) { return cooled(grid_of(s), rough_law_of(0.5), 0, 0); }}};
}

std::vector<World> composition_worlds() {
  return {{"no interaction", "Q6", judge_composition, Outcome::supported, 0,
           [](std::uint64_t s) { return factorial(grid_of(s), 0, 0.05, 0.03); }},
          {"both cost a quarter more than the sum", "Q6", judge_composition, Outcome::refuted, 0.25,
           [](std::uint64_t s) { return factorial(grid_of(s), 0.25, 0.05, 0.03); }},
          {"no interaction, two sizes, one seed, fourfold noise", "Q6", judge_composition, Outcome::inconclusive, NAN,
           [](std::uint64_t s) { return factorial(small_grid(s), 0, 0.2, 0.12); }}};
}

}  // namespace

VerdictTables growth_tables(const WorldOptions& options) { return tables_of({growth_worlds()}, options); }

VerdictTables contrast_tables(const WorldOptions& options) {
  return tables_of({direction_worlds(), prediction_worlds(), composition_worlds()}, options);
}

}  // namespace hone::theory
