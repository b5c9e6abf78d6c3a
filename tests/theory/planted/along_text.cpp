#include "tests/theory/planted/along_text.hpp"

#include "tests/theory/planted/judged.hpp"

namespace hone::theory {
namespace {

/// Campaigns of rows that `add` plants.
template <class Planted>
World world_of(const char* name, const char* question, Judge judge, void (*add)(Table&, const Planted&), Outcome wanted,
               const Planted& planted) {
  return {name, question, judge, wanted, NAN, [=](std::uint64_t seed) {
            Planted p = planted;
            p.world = seed;
            Table table;
            add(table, p);
            return table;
          }};
}

World cache_world(const char* name, Outcome wanted, const PlantedCache& planted) {
  return world_of(name, "Q19", judge_context, add_cache, wanted, planted);
}

World schedule_world(const char* name, Outcome wanted, const PlantedSchedules& planted) {
  return world_of(name, "Q20", judge_schedules, add_schedules, wanted, planted);
}

World task_world(const char* name, Outcome wanted, const PlantedTasks& planted) {
  return world_of(name, "Q21", judge_tasks, add_tasks, wanted, planted);
}

World tuned_world(const char* name, Outcome wanted, const PlantedTuning& planted) {
  return {name, "Q22", judge_tuning, wanted, NAN, [=](std::uint64_t seed) {
            PlantedTuning p = planted;
            p.world = seed;
            return tuned_branches(grid_of(seed), rough_law_of(0.5), p);
          }};
}

}  // namespace

std::vector<World> text_worlds() {
  return {cache_world("damage grows along the text under both policies", Outcome::supported, {.tilt = 0.02}),
          cache_world("damage is flat along the text under one policy", Outcome::refuted, {.token = 0, .tilt = 0.02}),
          cache_world("seeds differ by twice the exponent", Outcome::inconclusive,
                      {.token = 0.2, .kivi = 0.2, .tilt = 0.4}),
          schedule_world("falling bits save three tenths", Outcome::supported, {}),
          schedule_world("falling bits save nothing", Outcome::refuted, {.saved = 0}),
          schedule_world("falling bits save nothing, noise as large as the damage", Outcome::inconclusive,
                         {.saved = 0, .noise = 1}),
          task_world("accuracy falls by a tenth beyond the loss", Outcome::supported, {}),
          task_world("accuracy of one task falls as its loss says", Outcome::refuted, {.addition = 0}),
          task_world("accuracy falls as the loss says, noisy scores", Outcome::inconclusive,
                     {.copy = 0, .addition = 0, .noise = 0.5}),
          tuned_world("tuning moves damage and prediction alike", Outcome::supported,
                      {.damage = 0.6, .predicted = 0.6, .noise = 0.1}),
          tuned_world("tuning moves the damage alone", Outcome::refuted, {.damage = 0.6, .noise = 0.1}),
          tuned_world("tuning moves both alike, noise of the branches as large", Outcome::inconclusive,
                      {.damage = 0.6, .predicted = 0.6, .noise = 2})};
}

}  // namespace hone::theory
