// Worlds of functional forms and of training at low precision, through the judges of Q7 and Q8.
#include <cmath>

#include "sim/base/rng.hpp"
#include "tests/theory/planted/judged.hpp"

namespace hone::theory {
namespace {

/// Damage that goes as the squared step of the grid instead of an exponential in bits.
Table stepped(const SyntheticGrid& grid, const PlantedLaw& law) {
  Table table{planted_ptq(grid, law), {}, {}, {}};
  for (PtqRow& r : table.ptq) {
    const double factor = std::exp(r.P / law.gamma_post) / std::pow(std::exp2(r.P - 1) - 1, 2);
    r.delta *= factor, r.gradient *= factor, r.predicted *= factor, r.quadratic *= factor;
    r.delta_se *= factor, r.predicted_se *= factor;
  }
  return table;
}

/// Losses in full precision and of weights trained at low bits on the same grid; `scale` gives gamma_w at D tokens.
/// math    ln L = ln(E + A (N N_eff/N)^-alpha + B D^-beta) + offset shared by one (N, seed, way of training) + row
Table trained_low(const SyntheticGrid& grid, const std::vector<double>& bits,
                  const std::function<double(double)>& scale, double noise) {
  constexpr double offset = 0.4;
  Table table;
  std::uint64_t row = 0, trajectory = 0;
  const Stream rows{grid.seed, Domain::synthetic, 0x105A}, trajectories{grid.seed, Domain::synthetic, 0x105B};
  std::vector<double> precisions{INFINITY};
  precisions.insert(precisions.end(), bits.begin(), bits.end());
  for (const double n : grid.N)
    for (int seed = 0; seed < grid.seeds; ++seed)
      for (const double b : precisions) {
        const double shared = noise * normal(trajectories, trajectory++);
        for (const double d : grid.D) {
          const double share = std::isfinite(b) ? -std::expm1(-b / scale(d) + offset) : 1;
          LossRow r;
          r.run = "synthetic", r.architecture = Architecture::transformer, r.seed = seed, r.N = n, r.D = d;
          r.variant = std::isfinite(b) ? "qat_trunk" : "trunk";
          if (std::isfinite(b)) r.arm = "qat", r.method = "qat", r.train_w_bits = b;
          r.loss = (1.5 + 30 * std::pow(n * share, -0.35) + 60 * std::pow(d, -0.3)) *
                   std::exp(shared + 0.5 * noise * normal(rows, row++));
          r.loss_se = 1e-3;
          table.losses.push_back(r);
        }
      }
  return table;
}

SyntheticGrid training_grid(std::uint64_t seed) {
  return {.N = {13e3, 55e3, 221e3}, .D = {4e5, 1.6e6, 6.4e6}, .P = {}, .seeds = 3, .seed = seed};
}

std::vector<World> form_worlds() {
  return {{"damage goes as the squared step", "Q7", judge_forms, Outcome::supported, NAN,
           [](std::uint64_t s) { return stepped(grid_of(s), rough_law_of(0.5)); }},
          {"damage is exponential in bits", "Q7", judge_forms, Outcome::refuted, NAN,
           [](std::uint64_t s) {
             return Table{planted_ptq(grid_of(s), rough_law_of(0.5)), {}, {}, {}};
           }},
          {"damage goes as the squared step, two sizes, one seed, fourfold noise", "Q7", judge_forms,
           Outcome::inconclusive, NAN, [](std::uint64_t s) { return stepped(small_grid(s), noisy_law(0.5)); }}};
}

std::vector<World> precision_worlds() {
  constexpr double gamma = 2.6, optimum = 1.178752 * gamma;  // e^(x - 0.4) = 1 + x
  const std::vector<double> bits{2, 3, 4, 6, 8};
  return {{"one scale of the effective size", "Q8", judge_precision, Outcome::supported, optimum,
           [=](std::uint64_t s) {
             return trained_low(
                 training_grid(s), bits, [](double) { return gamma; }, 0.004);
           }},
          {"the scale grows 2.5 times with each decade of tokens", "Q8", judge_precision, Outcome::refuted, NAN,
           [=](std::uint64_t s) {
             return trained_low(
                 training_grid(s), bits, [](double d) { return 1.4 * std::pow(d / 4e5, 0.4); }, 0.004);
           }},
          {"one scale, one size, two seeds, fourfold noise", "Q8", judge_precision, Outcome::inconclusive, NAN,
           [=](std::uint64_t s) {
             SyntheticGrid grid = training_grid(s);
             grid.N = {13e3}, grid.seeds = 2;
             return trained_low(
                 grid, {3, 4}, [](double) { return gamma; }, 0.016);
           }}};
}

}  // namespace

VerdictTables form_tables(const WorldOptions& options) {
  return tables_of({form_worlds(), precision_worlds()}, options);
}

}  // namespace hone::theory
