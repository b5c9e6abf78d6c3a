// hone: plan, run, judge, report and inspect studies of precision scaling.
#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>

#include "experiments/commands/cluster_commands.hpp"
#include "experiments/commands/decode.hpp"
#include "experiments/commands/fit.hpp"
#include "experiments/commands/measure.hpp"
#include "experiments/commands/plan.hpp"
#include "experiments/commands/predict.hpp"
#include "experiments/commands/quantize.hpp"
#include "experiments/commands/schema.hpp"
#include "experiments/commands/study_commands.hpp"
#include "sim/base/error.hpp"
#include "sim/base/instruction_class.hpp"

namespace {

using namespace hone::experiments;

const Command commands[] = {
    {"plan", "list the runs with their cost and state, and what the study can show", plan_options},
    {"register", "freeze questions, rules, thresholds, seeds and runs before the first run", register_options},
    {"run", "train and measure every run that is not finished", run_options},
    {"judge", "fit, test against the study's thresholds, write verdict.json and claims.json", judge_options},
    {"table", "one row per run, checkpoint and bits: table.h5 and table.csv", table_options},
    {"report", "draw the figures and write report.html", report_options},
    {"inspect", "print what a run file holds", inspect_options},
    {"schema", "what every group and variable of a run file means", schema_options},
    {"submit", "hand every run that is not finished to a cluster", submit_options},
    {"resubmit", "hand over again what is neither finished nor in the queue", resubmit_options},
    {"status", "state of every run; exit code 1 unless all are done", status_options},
    {"work", "one task of a submission, as its job array runs it", work_options},
    {"measure", "every instrument on one public checkpoint", measure_options},
    {"quantize", "schemes of quantization side by side on one checkpoint", quantize_options},
    {"decode", "policies of a quantized cache and schedules of precision", decode_options},
    {"predict", "how many bits may a model lose? By curvature and by fitted laws", predict_options},
    {"fit", "fit a law to a table of other people, with intervals and rivals", fit_options},
};

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
      "  hone table  experiments/studies/demo.toml      everything measured as one table, HDF5 and CSV\n"
      "  hone report experiments/studies/demo.toml      figures and report.html\n"
      "  hone inspect outputs/demo/runs/FILE.h5 --group ptq\n"
      "  hone submit my.toml --slurm --time 2:00:00     the same runs on a cluster; resubmit adds what is missing\n"
      "  hone status my.toml                            every run: done, running, partly done, failed, missing\n"
      "  hone measure stories260K.bin --text story.txt  loss, certified spectrum and ladder of bits of a checkpoint\n"
      "  hone quantize stories260K.bin --text story.txt schemes of quantization side by side\n"
      "  hone decode   stories260K.bin --text story.txt quantized caches and falling precision, token by token\n"
      "  hone predict  experiments/studies/demo.toml    how many bits a model may lose, from its runs\n"
      "  hone fit losses.csv --columns N=params,D=tokens,y=loss\n"
      "                                                 a law fitted to somebody's table, with intervals\n"};
  app.name("hone");
  app.require_subcommand(1);
  const std::string line = join_command_line(argc, argv);
  std::vector<std::pair<CLI::App*, Action>> actions;
  for (const Command& c : commands) {
    CLI::App* command = app.add_subcommand(c.name, c.purpose);
    actions.emplace_back(command, c.add_options(*command, line));
  }
  CLI11_PARSE(app, argc, argv);
  (void)hone::instruction_class();  // an impossible HONE_ISA is refused before any work
  for (const auto& [command, action] : actions)
    if (command->parsed()) return action();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes becomes an error that names the file
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
