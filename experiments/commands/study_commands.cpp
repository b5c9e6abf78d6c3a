#include "experiments/commands/study_commands.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <functional>

#include "experiments/commands/python.hpp"
#include "experiments/running/executor.hpp"
#include "experiments/running/files.hpp"
#include "experiments/running/progress.hpp"
#include "experiments/running/registration.hpp"
#include "experiments/running/study_folder.hpp"
#include "experiments/study/places.hpp"
#include "experiments/study/reader.hpp"
#include "experiments/study/validate.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/gzip.hpp"
#include "sim/base/hash.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"
#include "theory/claims/claims.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/judge.hpp"
#include "theory/rows/details.hpp"
#include "theory/rows/study_table.hpp"
#include "theory/rows/tables.hpp"

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

std::string p_words(const theory::Verdict& v) {
  if (!v.is_primary) return "; secondary, not corrected";
  if (!std::isfinite(v.p_holm)) return "";
  return fmt::format("; {}, after Holm's correction {}", theory::p_in_words(v.p_value), theory::p_in_words(v.p_holm));
}

void print_verdict(const theory::Verdict& v) {
  const bool is_near = v.distance_se < 1;
  fmt::print(
      "{} {}\n   {}\n   hypothesis {}{}: {}\n   {} {:.3f} [{:.3f}, {:.3f}]{}{}\n   {}\n", v.id, v.question, v.answer,
      outcome_mark(v.outcome), is_near ? ", on the threshold" : "", v.hypothesis, v.estimate_label, v.estimate, v.low,
      v.high,
      std::isfinite(v.distance_se) ? fmt::format(", {:.1f} standard errors from its threshold", v.distance_se) : "",
      p_words(v), v.prose);
}

void print_answers(const std::vector<theory::Verdict>& verdicts) {
  for (const theory::Verdict& v : verdicts) print_verdict(v);
  fmt::print("outcomes are adjusted for the number of primary verdicts (Holm 1979), other numbers are not\n");
  fmt::print("claims: {}\n", theory::count_claims(theory::answer_claims(verdicts)));
}

/// verdict.json, and claims.json, which holds the published claims beside them.
void write_answers(const fs::path& folder, const std::string& verdict_text,
                   const std::vector<theory::Verdict>& verdicts) {
  write_text_atomically(folder / "verdict.json", verdict_text);
  write_text_atomically(folder / "claims.json", theory::claims_to_json(theory::answer_claims(verdicts)));
  for (const char* name : {"verdict.json", "claims.json"}) fmt::print("written: {}\n", (folder / name).string());
}

/// Calls `visit` with the path and the content of each finished run that holds checkpoints; complains when there are
/// none.
void visit_measured(const Study& study, const CommandOptions& options,
                    const std::function<void(const fs::path&, const RunFile&)>& visit) {
  const fs::path& folder = options.out;
  std::vector<fs::path> empty;
  std::map<std::string, std::string> text_of;  // data name -> hash of its text
  int measured = 0, missing = 0;
  expect_same_study(folder, study);
  for (const RunSpec& run : plan_runs(study)) {
    const fs::path path = finished_path(folder, run);
    if (!fs::exists(path)) {
      ++missing;
      continue;
    }
    const RunFile file = read_run_file(path);
    const std::string text = value_of(file.group(schema::manifest.group), schema::manifest.corpus_sha256);
    if (text_of.try_emplace(run.data.name, text).first->second != text)
      throw FormatError(
          fmt::format("{}: was trained on another text of data \"{}\" than the other runs ({}…); delete it "
                      "and run again",
                      path.string(), run.data.name, text.substr(0, 12)));
    if (!file.groups.contains(schema::checkpoints.group)) {
      empty.push_back(path);
      continue;
    }
    visit(path, file);
    ++measured;
  }
  if (measured == 0 && !empty.empty())
    throw OptionError(
        fmt::format("{}: {} runs of study {} are finished and all diverged before their first checkpoint; "
                    "lower lr in {}",
                    folder.string(), empty.size(), study.name, options.study_file));
  if (measured == 0)
    throw OptionError(fmt::format("{}: no finished run of study {}; hone run {} --out {} first", folder.string(),
                                  study.name, options.study_file, folder.string()));
  for (const fs::path& path : empty)
    fmt::print(stderr, "hone: {} diverged before its first checkpoint; left out\n", path.string());
  if (missing > 0) fmt::print(stderr, "hone: {} runs are not finished; the others are used\n", missing);
}

/// Rows of one run file for the table of its study.
void append_file(Dataset& rows, const fs::path& folder, const fs::path& path, const RunFile& run) {
  theory::append_rows(rows, run, path.lexically_relative(folder).generic_string(), sha256_of_file(path));
}

/// table.h5 and table.csv in the folder of the study.
void write_table(const fs::path& folder, const Study& study, const Dataset& rows) {
  write_run_file(folder / "table.h5", {{{"title", "hone table " + study.name}}, {{"table", rows}}, ""});
  write_text_atomically(folder / "table.csv", theory::to_csv(rows));
  for (const char* name : {"table.h5", "table.csv"}) fmt::print("written: {}\n", (folder / name).string());
}

}  // namespace

Study load_study(CommandOptions& options) {
  Study study = read_study(options.study_file);
  if (!options.seeds.empty()) {
    study.seeds = options.seeds;
    validate(study);
  }
  if (options.out.empty()) options.out = fs::path("outputs") / study.name;
  return study;
}

int run_command(CommandOptions options) {
  const Study study = load_study(options);
  const ExecuteSummary s = execute_study(study, {options.out, options.jobs, options.threads, options.command_line});
  fmt::print("{}: {} runs finished, {} were done before, {} failed, {} in {}\n", study.name, s.finished, s.skipped,
             s.failed, s.interrupted ? "interrupted" : "ended", duration_text(s.wall_seconds));
  if (s.interrupted) fmt::print("everything finished is kept; run the same command again to go on\n");
  return s.interrupted ? 130 : s.failed > 0 ? 1 : 0;
}

/// Verdicts of rows that were published without their run files.
int judge_tables(const CommandOptions& options) {
  const Study study = read_study(options.study_file);
  const std::vector<theory::Verdict> verdicts =
      theory::judge(theory::from_tables(options.tables), study.thresholds, study.questions);
  const std::string registration = registration_of_tables(options.tables, study);
  print_answers(verdicts);
  fmt::print("registration: {}\n", registration);
  if (options.out.empty()) {
    fmt::print("nothing is written; --out FOLDER keeps verdict.json and claims.json\n");
    return 0;
  }
  ensure_writable_folder(options.out);
  write_answers(options.out, theory::to_json(verdicts, registration), verdicts);
  return 0;
}

/// All that was measured as tables/KIND.csv.gz, so that it can be judged and drawn again without the run files.
void write_tables(const fs::path& folder, const theory::Table& judged, const theory::Details& details) {
  const fs::path tables = folder / "tables";
  ensure_writable_folder(tables);
  for (const auto& texts : {theory::to_tables(judged), details.texts()})
    for (const auto& [name, text] : texts) write_text_atomically(tables / (name + ".csv.gz"), gzip(text));
  fmt::print("written: {}\n", tables.string());
}

int judge_command(CommandOptions options) {
  if (!options.tables.empty()) return judge_tables(options);
  const Study study = load_study(options);
  theory::Table table;
  theory::Details details;
  Dataset rows;
  visit_measured(study, options, [&](const fs::path& path, const RunFile& run) {
    theory::append_run(table, run, path.string());
    details.append(run, path.string());
    append_file(rows, options.out, path, run);
  });
  const std::vector<theory::Verdict> verdicts = theory::judge(table, study.thresholds, study.questions);
  const std::string registration = registration_state(options.out, study);
  print_answers(verdicts);
  fmt::print("registration: {}\n", registration);
  write_answers(options.out, theory::to_json(verdicts, registration), verdicts);
  write_table(options.out, study, rows);
  write_tables(options.out, table, details);
  keep_registration(options.out, options.out / "tables", registration);
  return 0;
}

int register_command(CommandOptions options) {
  const Study study = load_study(options);
  register_study(options.out, study);
  fmt::print("registered: {} runs, {} seeds, rules and thresholds as they stand\nwritten: {}\n",
             plan_runs(study).size(), study.seeds.size(), (options.out / "registration.json").string());
  return 0;
}

int table_command(CommandOptions options) {
  const Study study = load_study(options);
  Dataset rows;
  visit_measured(study, options,
                 [&](const fs::path& path, const RunFile& run) { append_file(rows, options.out, path, run); });
  write_table(options.out, study, rows);
  return 0;
}

int report_command(CommandOptions options) {
  const Study study = load_study(options);
  visit_measured(study, options, [](const fs::path&, const RunFile&) {});
  if (!fs::exists(options.out / "verdict.json"))
    throw OptionError(
        fmt::format("{}: no verdict.json; hone judge {} first", options.out.string(), options.study_file));
  const std::string command = fmt::format("{} -B {} {}", shell_word(figures_python(options.python)),
                                          shell_word((scripts_folder() / "figures" / "make_report.py").string()),
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

void add_study_options(CLI::App& command, CommandOptions& options) {
  command.add_option("study", options.study_file, "study file (TOML)")->required()->type_name("STUDY.toml");
  command.add_option("--out", options.out, "folder of the study; default outputs/NAME");
  command.add_option("--seed", options.seeds, "seeds to use instead of the study's")->type_name("N...");
}

void add_worker_options(CLI::App& command, CommandOptions& options) {
  command.add_option("--jobs,-j", options.jobs, "runs at a time; default one per core")->check(CLI::Range(0, 4096));
  command.add_option("--threads", options.threads, "threads per run; default cores/jobs")->check(CLI::Range(0, 4096));
}

namespace {

std::shared_ptr<CommandOptions> with_study(CLI::App& command, const std::string& line) {
  auto options = std::make_shared<CommandOptions>();
  options->command_line = line;
  add_study_options(command, *options);
  return options;
}

}  // namespace

Action run_options(CLI::App& command, const std::string& line) {
  const auto options = with_study(command, line);
  add_worker_options(command, *options);
  return [options] { return run_command(*options); };
}

Action judge_options(CLI::App& command, const std::string& line) {
  const auto options = with_study(command, line);
  command.add_option(
      "--table", options->tables,
      "judge these rows instead of run files: a folder of tables that hone judge wrote, or a table.csv of "
      "hone table (also .gz); several are parts of one study");
  command.footer(
      "examples:\n"
      "  hone judge experiments/studies/demo.toml\n"
      "  hone judge experiments/studies/reference.toml --table outputs/reference/table.csv.gz\n"
      "  hone judge my.toml --table first/tables second/tables      seeds that were run on two machines\n"
      "beside verdict.json and claims.json it writes all that was measured as tables/KIND.csv.gz. --table reads "
      "damage,\n"
      "curvature, factorial, noise, losses, shift and schemes; checkpoints, qat, rounding, spectra, eigenvalues, "
      "windows,\n"
      "blocks, certificates, decode and others are complete; series is thinned to 100 updates of a run, and density "
      "to\n"
      "64 nodes of a probe, each the mean of its neighbours");
  return [options] { return judge_command(*options); };
}

Action register_options(CLI::App& command, const std::string& line) {
  const auto options = with_study(command, line);
  command.footer(
      "examples:\n"
      "  hone register my.toml && hone run my.toml      hone judge then says: registered before the first run\n"
      "registration.json holds questions, rules, thresholds, seeds and runs; every run file carries its hash");
  return [options] { return register_command(*options); };
}

Action table_options(CLI::App& command, const std::string& line) {
  const auto options = with_study(command, line);
  command.footer(
      "examples:\n"
      "  hone table experiments/studies/demo.toml       writes outputs/demo/table.h5 and table.csv\n"
      "  hone inspect outputs/demo/table.h5             names the columns with their units\n"
      "pandas.read_csv and xarray.open_dataset(..., group=\"table\") read them; hone judge writes them too");
  return [options] { return table_command(*options); };
}

Action report_options(CLI::App& command, const std::string& line) {
  const auto options = with_study(command, line);
  command.add_option("--python", options->python,
                     "with h5py and matplotlib; default HONE_PYTHON, python3 in PATH, /usr/bin/python3");
  return [options] { return report_command(*options); };
}

Action inspect_options(CLI::App& command, const std::string&) {
  struct Options {
    std::string file, group;
  };
  const auto options = std::make_shared<Options>();
  command.add_option("file", options->file, "run file (HDF5)")->required();
  command.add_option("--group", options->group, "print this group's values");
  return [options] { return inspect_command(options->file, options->group); };
}

}  // namespace hone::experiments
