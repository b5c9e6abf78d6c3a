// hone: plan, run, judge, report and inspect studies of precision scaling.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "experiments/commands.hpp"
#include "sim/base/error.hpp"

using hone::experiments::CommandOptions;

namespace {

/// Options that belong to every subcommand on a study.
void add_study_options(CLI::App& command, CommandOptions& options) {
  command.add_option("study", options.study_file, "study file (TOML)")->required()->type_name("STUDY.toml");
  command.add_option("--out", options.out, "folder of the study; default outputs/NAME");
  command.add_option("--seed", options.seeds, "seeds to use instead of the study's")->type_name("N...");
}

std::string join_command_line(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) line += (i ? " " : "") + std::string(argv[i]);
  return line;
}

int dispatch(int argc, char** argv) {
  CLI::App app{
      "Why do language models trained on more tokens break more when they are quantized?\n"
      "hone trains, measures curvature, quantizes, injects noise, and judges.\n\n"
      "  hone plan   experiments/studies/demo.toml      what would run, and what it costs\n"
      "  hone run    experiments/studies/demo.toml      train and measure; Ctrl-C and run again goes on\n"
      "  hone judge  experiments/studies/demo.toml      verdicts with intervals\n"
      "  hone report experiments/studies/demo.toml      figures and report.html\n"
      "  hone inspect outputs/demo/runs/FILE.h5 --group ptq\n"};
  app.name("hone");
  app.require_subcommand(1);
  CommandOptions options;
  options.command_line = join_command_line(argc, argv);
  CLI::App& plan = *app.add_subcommand("plan", "list the runs with their cost and state");
  CLI::App& run = *app.add_subcommand("run", "train and measure every run that is not finished");
  CLI::App& judge = *app.add_subcommand("judge", "fit, test against the study's thresholds, write verdict.json");
  CLI::App& report = *app.add_subcommand("report", "draw the figures and write report.html");
  CLI::App& inspect = *app.add_subcommand("inspect", "print what a run file holds");
  for (CLI::App* command : {&plan, &run, &judge, &report}) add_study_options(*command, options);
  run.add_option("--jobs,-j", options.jobs, "runs at a time; default one per core")->check(CLI::Range(0, 4096));
  run.add_option("--threads", options.threads, "threads per run; default cores/jobs")->check(CLI::Range(0, 4096));
  std::string file, group;
  inspect.add_option("file", file, "run file (HDF5)")->required();
  inspect.add_option("--group", group, "print this group's values");
  CLI11_PARSE(app, argc, argv);
  if (plan.parsed()) return hone::experiments::plan_command(options);
  if (run.parsed()) return hone::experiments::run_command(options);
  if (judge.parsed()) return hone::experiments::judge_command(options);
  if (report.parsed()) return hone::experiments::report_command(options);
  return hone::experiments::inspect_command(file, group);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return dispatch(argc, argv);
  } catch (const hone::OptionError& error) {
    std::cerr << "hone: " << error.what() << "\n";
    return 2;
  } catch (const hone::Error& error) {
    std::cerr << "hone: " << error.what() << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "hone: unexpected: " << error.what() << "\n";
    return 3;
  }
}
