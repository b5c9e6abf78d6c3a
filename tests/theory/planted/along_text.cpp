#include "tests/theory/planted/along_text.hpp"

#include "tests/theory/planted/judged.hpp"

namespace hone::theory {
namespace {

World cache_world(const char* name, Outcome wanted, const PlantedCache& planted) {
  return {name, "Q19", judge_context, wanted, NAN, [=](std::uint64_t seed) {
            PlantedCache p = planted;
            p.world = seed;
            Table table;
            add_cache(table, p);
            return table;
          }};
}

World schedule_world(const char* name, Outcome wanted, const PlantedSchedules& planted) {
  return {name, "Q20", judge_schedules, wanted, NAN, [=](std::uint64_t seed) {
            PlantedSchedules p = planted;
            p.world = seed;
            Table table;
            add_schedules(table, p);
            return table;
          }};
}

World task_world(const char* name, Outcome wanted, const PlantedTasks& planted) {
  return {name, "Q21", judge_tasks, wanted, NAN, [=](std::uint64_t seed) {
            PlantedTasks p = planted;
            p.world = seed;
            Table table;
            add_tasks(table, p);
            return table;
          }};
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
