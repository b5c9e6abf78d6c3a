// hone predict: how many bits a model may lose, from recorded runs, by curvature and by fitted laws.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/commands/command.hpp"
#include "theory/planner/predict_by_law.hpp"

namespace hone::experiments {

struct PredictOptions {
  std::vector<std::filesystem::path> sources;  ///< study files, study folders, run files
  theory::Asked asked;
  double budget = 0;          ///< FLOPs at 16 bits, for the best precision of training; 0: not asked
  std::filesystem::path out;  ///< JSON; empty: none is written
};

/// Prints both routes side by side, and writes them as JSON with --out.
/// returns  0, or 5 when neither route has an answer
/// errors   OptionError when the sources hold no run, or no damage of weights; those of the readers
int predict_command(const PredictOptions& options);

Action predict_options(CLI::App& command, const std::string& line);

}  // namespace hone::experiments
