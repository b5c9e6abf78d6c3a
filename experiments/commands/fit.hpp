// hone fit: a law fitted to a table of other people, with intervals, rivals and rows held out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/commands/command.hpp"
#include "theory/fits/foreign_table.hpp"

namespace hone::experiments {

struct TableFitOptions {
  std::filesystem::path table;        ///< CSV or JSON lines, also packed
  std::string law = "chinchilla";     ///< its key
  std::vector<std::string> rivals;    ///< keys of laws to compare by left-out runs
  std::vector<std::string> columns;   ///< SYMBOL=COLUMN
  std::vector<std::string> units;     ///< SYMBOL=FACTOR
  std::vector<std::string> keep;      ///< conditions
  std::vector<std::string> held_out;  ///< conditions: rows that satisfy all are predicted, not fitted
  std::vector<std::string> hold;      ///< PARAMETER=VALUE
  double huber = 0;  ///< in ln y, or in sigma where a column gives it; 0: the default; infinite: squares
  int starts = 60;
  double level = 0.95;
  std::filesystem::path out;  ///< JSON; empty: none is written
};

/// Prints the fit, and writes it as JSON with --out.
/// returns  0, or 5 when the fit has no usable end
/// errors   OptionError, IoError and FormatError naming the option, or the file, the line and the column
int fit_command(const TableFitOptions& options);

Action fit_options(CLI::App& command, const std::string& line);

}  // namespace hone::experiments
