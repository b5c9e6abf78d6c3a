// The subcommands of hone, each a function that prints to standard output and returns an exit code.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/commands/command.hpp"
#include "experiments/study/study.hpp"

namespace hone::experiments {

/// Options that several subcommands share.
struct CommandOptions {
  std::string study_file;           ///< TOML
  std::filesystem::path out;        ///< outputs/STUDY unless --out
  std::vector<std::int64_t> seeds;  ///< replace the study's when given
  int jobs = 0, threads = 0;
  std::vector<std::filesystem::path> tables;  ///< rows to judge instead of run files; empty: none
  std::string python;                         ///< draws the figures; found when empty (python.hpp)
  std::string command_line;
};

/// The study with --seed applied, and its folder.
/// errors  IoError when the file cannot be read; OptionError listing every wrong field
Study load_study(CommandOptions& options);

/// Each returns the exit code, 0 for success.
/// errors  those of load_study; IoError and FormatError of the files that it reads and writes
int run_command(CommandOptions options);       ///< executes what is not done
int judge_command(CommandOptions options);     ///< HDF5 -> verdict.json, claims.json, the table; prints verdicts
int register_command(CommandOptions options);  ///< freezes rules, thresholds, seeds and runs: registration.json
int table_command(CommandOptions options);     ///< HDF5 -> table.h5 and table.csv, a row per run, checkpoint and bits
int report_command(CommandOptions options);    ///< HDF5 + verdict.json -> figures and report.html
int inspect_command(const std::filesystem::path& file, const std::string& group);  ///< prints a run file

/// Options that belong to every subcommand on a study.
void add_study_options(CLI::App& command, CommandOptions& options);
void add_worker_options(CLI::App& command, CommandOptions& options);

Action run_options(CLI::App& command, const std::string& line);
Action judge_options(CLI::App& command, const std::string& line);
Action register_options(CLI::App& command, const std::string& line);
Action table_options(CLI::App& command, const std::string& line);
Action report_options(CLI::App& command, const std::string& line);
Action inspect_options(CLI::App& command, const std::string& line);

}  // namespace hone::experiments
