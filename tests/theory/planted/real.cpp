// Worlds on the design of a real study: its arms, checkpoints, noise, first-order terms, missing rows and drop rules, with
// a planted truth in place of what its seeds share.
#include <cmath>
#include <functional>
#include <string>

#include "tests/theory/planted/judged.hpp"
#include "theory/planner/redraw.hpp"
#include "theory/questions/settled.hpp"

namespace hone::theory {
namespace {

/// ln of the trace of a subject, and how its arm moves ln damage and ln prediction.
struct Truth {
  std::function<double(const Subject&)> log_trace;
  std::function<double(const Subject&)> of_damage = [](const Subject&) { return 0.0; };
  std::function<double(const Subject&)> of_prediction = [](const Subject&) { return 0.0; };
  std::function<double(const PtqRow&)> log_ratio = [](const PtqRow&) { return 0.0; };  ///< of damage to prediction
};

bool is_arm(const Subject& s) { return s.arm != "main" || s.kind != Kind::trunk; }

/// A power of tokens and size around the middle of the design.
double power_law(const Subject& s, double of_tokens, double of_size) {
  return of_tokens * std::log(s.D / 1.5e6) - of_size * std::log(s.N / 5e4);
}

/// Prediction and damage of 4 bits at the middle of the design, of the order of the reference study's.
constexpr double middle_damage = 5e-3;

void plant_damage(PtqRow& r, const Truth& truth) {
  const double step = std::exp2(r.P - 1) - 1, scale = 49 / (step * step);
  const double prediction = middle_damage * scale * std::exp(truth.log_trace(r) + truth.of_prediction(r));
  const double damage = middle_damage * scale * std::exp(truth.log_trace(r) + truth.of_damage(r) + truth.log_ratio(r));
  // The noise keeps its size relative to what is measured.
  const double change = damage / (r.delta - r.gradient);
  if (!(change > 0)) return;
  r.delta_se *= change, r.remainder_se *= change, r.gradient *= change;
  r.predicted_se *= prediction / r.predicted;
  r.delta = damage + r.gradient;
  r.mean_step2 = scale * 1e-4, r.predicted = r.quadratic = prediction;
}

Redraw planted(const Redraw& real, const Truth& truth) {
  return real.with([&](Table& mean) {
    for (PtqRow& r : mean.ptq) plant_damage(r, truth);
    for (SharpnessRow& r : mean.sharpness) {
      const double trace = 1000 * std::exp(truth.log_trace(r) + truth.of_prediction(r));
      r.trace_se *= trace / r.trace;
      r.trace = r.weighted_trace = trace;
    }
  });
}

World world_of(const std::string& name, const std::string& question, Judge judge, Outcome wanted, double value,
               const Redraw& redraw, int seeds) {
  return {name, question, judge, wanted, value, [redraw, seeds](std::uint64_t s) { return redraw.draw(seeds, s); }};
}

std::vector<World> growth_worlds(const Redraw& real, int seeds) {
  const Redraw power = planted(real, {[](const Subject& s) { return power_law(s, 0.5, 0.3); }});
  const Redraw flat = planted(real, {[](const Subject& s) { return power_law(s, 0, 0.3); }});
  const Redraw stops = planted(real, {[](const Subject& s) {
                                 Subject early = s;
                                 early.D = std::min(s.D, 2e6);
                                 return power_law(early, 0.8, 0.3);
                               }});
  std::vector<World> worlds;
  for (const bool is_damage : {true, false}) {
    const std::string q = is_damage ? "Q1" : "Q2";
    const Judge judge = is_damage ? judge_damage_growth : judge_sharpness_growth;
    worlds.push_back(world_of("power law, exponent 0.5", q, judge, Outcome::supported, 0.5, power, seeds));
    worlds.push_back(world_of("flat", q, judge, Outcome::refuted, 0, flat, seeds));
    worlds.push_back(world_of("rises to 2 M tokens, whatever the size", q, judge, Outcome::refuted, NAN, stops, seeds));
  }
  return worlds;
}

std::vector<World> contrast_worlds(const Redraw& real, int seeds) {
  const auto trace = [](const Subject& s) { return power_law(s, 0.5, 0.3); };
  const auto moved = [](const Subject& s) { return is_arm(s) ? 0.5 : 0.0; };
  const auto turning = [](const Subject& s) { return is_arm(s) ? 0.5 * std::log(s.D / 1.5e6) : 0.0; };
  const Redraw plain = planted(real, {trace});
  const Redraw bent = planted(real, {.log_trace = trace, .log_ratio = [&](const PtqRow& r) {
                                       const double step = std::exp2(r.P - 1) - 1;
                                       return -0.2 * (trace(r) - 2 * std::log(step / 7));
                                     }});
  const Redraw falling =
      planted(real, {.log_trace = trace, .log_ratio = [](const PtqRow& r) { return 0.2 - 0.07 * (r.P - 3); }});
  const Redraw ratio = planted(real, {[](const Subject& s) { return power_law(s, 0.5, 0.5); }});
  const auto of_rate = [](double of_batch) {
    return [of_batch](const Subject& s) {
      return -0.95 * (std::log(s.peak_lr / 3e-3) - of_batch * std::log(s.batch / 32)) - 0.3 * std::log(s.N / 5e4);
    };
  };
  return {world_of("damage is the prediction", "Q3", judge_prediction, Outcome::supported, 1, plain, seeds),
          world_of("damage over prediction falls with the bits", "Q3", judge_prediction, Outcome::supported, NAN,
                   falling, seeds),
          world_of("damage is its power 0.8", "Q3", judge_prediction, Outcome::refuted, 0.8, bent, seeds),
          world_of("every arm moves both alike", "Q5", judge_cause, Outcome::supported, 1,
                   planted(real, {trace, moved, moved}), seeds),
          world_of("the change of both alike turns over with tokens", "Q5", judge_cause, Outcome::supported, 1,
                   planted(real, {trace, turning, turning}), seeds),
          world_of("every arm moves the damage alone", "Q5", judge_cause, Outcome::refuted, NAN,
                   planted(real, {trace, moved}), seeds),
          world_of("a function of D/N", "Q9", judge_ratio, Outcome::supported, 0, ratio, seeds),
          world_of("a function of D", "Q9", judge_ratio, Outcome::refuted, 0.5,
                   planted(real, {[](const Subject& s) { return power_law(s, 0.5, 0); }}), seeds),
          world_of("the level follows lr/sqrt(batch)", "Q10", judge_plateau, Outcome::supported, -0.95,
                   planted(real, {of_rate(0.5)}), seeds),
          world_of("the level follows lr alone", "Q10", judge_plateau, Outcome::refuted, NAN,
                   planted(real, {of_rate(0)}), seeds)};
}

}  // namespace

VerdictTables real_growth_tables(const Table& study, int seeds, const WorldOptions& options) {
  return tables_of({growth_worlds(Redraw(settle(study).table), seeds)}, options);
}

VerdictTables real_contrast_tables(const Table& study, int seeds, const WorldOptions& options) {
  return tables_of({contrast_worlds(Redraw(settle(study).table), seeds)}, options);
}

}  // namespace hone::theory
