#include "experiments/commands.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>

#include "experiments/executor.hpp"
#include "experiments/places.hpp"
#include "experiments/progress.hpp"
#include "experiments/runner.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "theory/questions.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

const char* outcome_mark(theory::Outcome outcome) {
  switch (outcome) {
    case theory::Outcome::supported: return "SUPPORTED";
    case theory::Outcome::refuted: return "REFUTED";
    default: return "INCONCLUSIVE";
  }
}

void print_verdict(const theory::Verdict& v) {
  fmt::print("{} {:<12} {:.3f} [{:.3f}, {:.3f}]  {}\n   {}\n", v.id, outcome_mark(v.outcome), v.estimate, v.low, v.high,
             v.question, v.prose);
}

/// Files of the study's finished runs that hold checkpoints; complains when there are none.
std::vector<fs::path> measured_files(const Study& study, const CommandOptions& options) {
  const fs::path& folder = options.out;
  std::vector<fs::path> files, empty;
  std::map<std::string, std::string> text_of;  // data name -> hash of its text
  int missing = 0;
  expect_same_study(folder, study);
  for (const RunSpec& run : plan_runs(study)) {
    const fs::path path = finished_path(folder, run);
    if (!fs::exists(path)) {
      ++missing;
      continue;
    }
    const RunFile file = read_run_file(path);
    const auto text = std::get<std::string>(file.group("manifest").attribute("corpus_sha256"));
    if (text_of.try_emplace(run.data.name, text).first->second != text)
      throw FormatError(
          fmt::format("{}: was trained on another text of data \"{}\" than the other runs ({}…); delete it "
                      "and run again",
                      path.string(), run.data.name, text.substr(0, 12)));
    (file.groups.contains("checkpoints") ? files : empty).push_back(path);
  }
  if (files.empty() && !empty.empty())
    throw OptionError(
        fmt::format("{}: {} runs of study {} are finished and all diverged before their first checkpoint; "
                    "lower lr in {}",
                    folder.string(), empty.size(), study.name, options.study_file));
  if (files.empty())
    throw OptionError(fmt::format("{}: no finished run of study {}; hone run {} --out {} first", folder.string(),
                                  study.name, options.study_file, folder.string()));
  for (const fs::path& path : empty)
    fmt::print(stderr, "hone: {} diverged before its first checkpoint; left out\n", path.string());
  if (missing > 0) fmt::print(stderr, "hone: {} runs are not finished; the verdicts use the others\n", missing);
  return files;
}

}  // namespace

Study load_study(CommandOptions& options) {
  Study study = read_study(options.study_file);
  if (!options.seeds.empty()) {
    study.seeds = options.seeds;
    study.validate();
  }
  if (options.out.empty()) options.out = fs::path("outputs") / study.name;
  return study;
}

int plan_command(CommandOptions options) {
  const Study study = load_study(options);
  double left = 0;
  fmt::print("{:<28} {:>10} {:>10} {:>8} {:>12}  {}\n", "run", "N", "D", "D/N", "cost", "state");
  for (const RunSpec& run : plan_runs(study)) {
    const bool is_mlp = run.model.kind == "mlp";
    const ParamLayout layout = is_mlp ? mlp_options(run.model, run.data.inputs, run.data.outputs, true).layout()
                                      : transformer_options(run.model, run.data.vocabulary).layout();
    std::string damage;
    const bool done = is_finished(options.out, run, damage);
    const double cost = run_cost(run), n = double(layout.quantizable_size());
    if (!done) left += cost;
    fmt::print("{:<28} {:>10} {:>10} {:>8.1f} {:>9.2f} TF  {}\n", run.id(), count_text(n),
               count_text(double(run.model.tokens)), double(run.model.tokens) / n, cost * 1e-12,
               done                                      ? "done"
               : !damage.empty()                         ? "damaged, to do again"
               : !saved_states(options.out, run).empty() ? "partly done"
                                                         : "to do");
  }
  fmt::print("left to do: {:.2f} TFLOP by the cost model (about {} on two cores at 40 GFLOP/s each)\n", left * 1e-12,
             duration_text(left / 80e9));
  return 0;
}

int run_command(CommandOptions options) {
  const Study study = load_study(options);
  const ExecuteSummary s = execute_study(study, {options.out, options.jobs, options.threads, options.command_line});
  fmt::print("{}: {} runs finished, {} were done before, {} failed, {} in {}\n", study.name, s.finished, s.skipped,
             s.failed, s.interrupted ? "interrupted" : "ended", duration_text(s.wall_seconds));
  if (s.interrupted) fmt::print("everything finished is kept; run the same command again to go on\n");
  return s.interrupted ? 130 : s.failed > 0 ? 1 : 0;
}

int judge_command(CommandOptions options) {
  const Study study = load_study(options);
  const theory::Table table = theory::collect(measured_files(study, options));
  const auto thresholds = theory::with_values(theory::default_thresholds(), study.thresholds);
  const std::vector<theory::Verdict> verdicts = theory::judge(table, thresholds);
  write_text_atomically(options.out / "verdict.json", theory::to_json(verdicts));
  for (const theory::Verdict& v : verdicts) print_verdict(v);
  fmt::print("written: {}\n", (options.out / "verdict.json").string());
  return 0;
}

int report_command(CommandOptions options) {
  const Study study = load_study(options);
  (void)measured_files(study, options);
  if (!fs::exists(options.out / "verdict.json"))
    throw OptionError(
        fmt::format("{}: no verdict.json; hone judge {} first", options.out.string(), options.study_file));
  const std::string command =
      fmt::format("/usr/bin/python3 {} {}", shell_word((scripts_folder() / "figures" / "make_report.py").string()),
                  shell_word(options.out.string()));
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int inspect_command(const fs::path& path, const std::string& wanted) {
  const RunFile file = read_run_file(path);
  if (!wanted.empty()) (void)file.group(wanted);
  for (const auto& [name, group] : file.groups) {
    if (!wanted.empty() && name != wanted) continue;
    std::string dims;
    for (const auto& [dim, length] : group.dims()) dims += fmt::format(" {}={}", dim, length);
    fmt::print("/{}{}\n", name, dims);
    for (const auto& [key, value] : group.attributes())
      fmt::print("  @{} = {}\n", key, std::visit([](const auto& v) { return fmt::format("{}", v); }, value));
    for (const auto& [key, variable] : group.variables()) {
      fmt::print("  {}({}) [{}] {}\n", key, fmt::join(variable.dims, ", "), variable.unit, variable.meaning);
      if (wanted.empty()) continue;
      std::visit(
          [](const auto& values) {
            const size_t shown = std::min<size_t>(values.size(), 200);
            fmt::print("    {}{}\n", fmt::join(values.begin(), values.begin() + std::ptrdiff_t(shown), " "),
                       shown < values.size() ? fmt::format(" … ({} in all)", values.size()) : "");
          },
          variable.values);
    }
  }
  return 0;
}

}  // namespace hone::experiments
