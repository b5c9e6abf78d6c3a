// hone plan: the runs of a study, their state, the cost of the rest, and the intervals to expect.
#pragma once

#include "experiments/commands/command.hpp"
#include "experiments/commands/study_commands.hpp"
#include "theory/planner/power.hpp"

namespace hone::experiments {

struct PlanOptions : CommandOptions {
  std::filesystem::path pilot;  ///< folder of a study with finished runs or tables, or a table; empty: the study's own
  int repeats = 10;             ///< redrawn campaigns of the pilot
};

/// Prints runs, sizes, products, memory, time with its error, and the expected interval of each question.
int plan_command(PlanOptions options);

/// The transformer trunks of a study's main arm, for the power analysis.
std::vector<theory::PlannedRun> planned_runs(const Study& study);

Action plan_options(CLI::App& command, const std::string& line);

}  // namespace hone::experiments
