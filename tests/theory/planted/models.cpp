#include "tests/theory/planted/models.hpp"

#include <cmath>
#include <map>

#include "theory/solvable/synthetic_rows.hpp"

namespace hone::theory {
namespace {

constexpr double scale = 2;  // gamma_w of the planted models

/// Full precision, and weights trained at six to one bits: N_eff of one scale, below three bits times exp(beyond).
Table at_few_bits(const SyntheticGrid& grid, double beyond, double noise) {
  PlantedTraining planted{
      .bits = {{3, 16, 16}, {4, 16, 16}, {6, 16, 16}, {2, 16, 16}, {1, 16, 16}},
      .fraction =
          [=](const std::array<double, 3>& b) { return -std::expm1(-b[0] / scale) * std::exp(b[0] < 3 ? beyond : 0); },
      .run_noise = 5 * noise,
      .row_noise = noise};
  Table table;
  table.losses = planted_training(grid, planted);
  for (LossRow& r : table.losses)
    if (r.train_w_bits == 1) r.method = "binary";
  return table;
}

/// A main arm and an arm of another style, whose exponent of tokens is larger by so much.
Table two_styles(std::uint64_t seed, const PlantedLaw& law, double gap, const SyntheticGrid& design) {
  Table all;
  for (const bool is_other : {false, true}) {
    PlantedLaw own = law;
    own.curvature_share = 1, own.gamma_d += is_other ? gap : 0;
    SyntheticGrid grid = design;
    grid.seed = 2 * seed + is_other;
    const auto name = [&](Subject& s) {
      s.style = is_other ? "gpt2" : "llama", s.arm = is_other ? "gpt2" : "main";
      s.run += is_other ? " gpt2" : "";
    };
    for (PtqRow& r : planted_ptq(grid, own)) name(r), all.ptq.push_back(r);
    for (SharpnessRow& r : planted_sharpness(grid, own)) name(r), all.sharpness.push_back(r);
  }
  return all;
}

/// Dense models of two sizes and models with experts that pass the smaller and hold the larger, with a damage that is
/// larger by `beyond` in ln than that of either.
Table with_experts(std::uint64_t seed, PlantedLaw law, double beyond, int seeds) {
  constexpr double active = 1e5, total = 2.5e5;
  law.gamma_n = 0;
  Table all;
  all.ptq = planted_ptq({.N = {active, total}, .seeds = seeds, .seed = 2 * seed}, law);
  for (PtqRow r : planted_ptq({.N = {active}, .seeds = seeds, .seed = 2 * seed + 1}, law)) {
    r.arm = "experts", r.run += " experts", r.N = total;
    r.experts = 4, r.experts_per_token = 1, r.layers = 1, r.width = 100;
    r.mlp_width = (total - active) / (3 * 3 * r.width);
    for (double* number : {&r.delta, &r.delta_se, &r.predicted, &r.predicted_se, &r.gradient, &r.quadratic})
      *number *= std::exp(beyond);
    all.ptq.push_back(r);
  }
  return all;
}

}  // namespace

std::vector<World> model_worlds() {
  const auto few_bits = [](const char* name, Outcome wanted, double planted, double beyond, double noise) {
    return World{name,   "Q16",   judge_few_bits,
                 wanted, planted, [=](std::uint64_t s) { return at_few_bits(grid_of(s), beyond, noise); }};
  };
  const auto styles = [](const char* name, Outcome wanted, double gap, const PlantedLaw& law) {
    return World{name,   "Q17", judge_architecture,
                 wanted, NAN,   [=](std::uint64_t s) { return two_styles(s, law, gap, grid_of(s)); }};
  };
  const auto experts = [](const char* name, Outcome wanted, double beyond, const PlantedLaw& law, int seeds) {
    return World{
        name, "Q18", judge_experts, wanted, wanted == Outcome::inconclusive ? NAN : beyond, [=](std::uint64_t s) {
          return with_experts(s, law, beyond, seeds);
        }};
  };
  PlantedLaw steady = law_of(0.5);  // what the seeds of a campaign share less of than of its rows
  steady.run_noise /= 4, steady.trajectory_noise /= 4, steady.drift /= 4;
  return {few_bits("one scale from six bits to one, precise rows", Outcome::supported, 0, 0, 1e-3),
          few_bits("a third less N_eff below three bits", Outcome::refuted, -0.4, -0.4, 1e-3),
          few_bits("one scale, 0.03 in ln loss", Outcome::inconclusive, NAN, 0, 0.03),
          styles("another style of the same growth", Outcome::supported, 0, steady),
          styles("another style, exponent larger by 0.3", Outcome::refuted, 0.3, steady),
          styles("another style of the same growth, four times the noise", Outcome::inconclusive, 0, noisy_law(0.5)),
          experts("experts lose two thirds more", Outcome::supported, 0.5, steady, 8),
          experts("experts lose as much", Outcome::refuted, 0, steady, 8),
          experts("experts lose a fifth more, four times the noise", Outcome::inconclusive, 0.2, noisy_law(0.5), 3)};
}

}  // namespace hone::theory
