#include "experiments/commands/plan.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/instruments.hpp"
#include "experiments/running/executor.hpp"
#include "experiments/running/files.hpp"
#include "experiments/running/progress.hpp"
#include "experiments/running/time.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/sources.hpp"
#include "experiments/study/validate.hpp"
#include "sim/base/error.hpp"
#include "sim/base/parallel.hpp"
#include "theory/planner/redraw.hpp"
#include "theory/planner/repeat.hpp"
#include "theory/questions/judge.hpp"
#include "theory/rows/rows.hpp"
#include "theory/rows/tables.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

/// One run with what it takes.
struct PlannedLine {
  RunSpec run;
  RunWork work;
  RunWork left;  ///< of it, behind the furthest saved state
  std::int64_t size = 0, memory = 0;
  std::string state;
  bool is_done = false;
  double seconds = 0;  ///< of what is left
};

ParamLayout layout_of(const RunSpec& run) {
  return run.model.kind == "mlp"
             ? mlp_options(run.model, run.data.inputs, run.data.outputs, run.data.kind == "digits").layout()
             : architecture_of(run, run.data.vocabulary).layout();
}

RunWork work_left(const RunSpec& run, const fs::path& folder) {
  RunWork left = work_of(run);
  const std::vector<SavedState> states = saved_states(folder, run);
  if (states.empty()) return left;
  const RunWork done = work_until(run, states.front().updates, states.front().checkpoints);
  left.updates -= done.updates, left.moments -= done.moments;
  left.training_flops -= done.training_flops, left.measuring_flops -= done.measuring_flops;
  return left;
}

/// Peak bytes of a measurement, by the plan that hone measure states.
template <template <class> class Model, class Data>
std::int64_t memory_of(const RunSpec& run, const Model<float>& model, const Data& windows, int threads) {
  Source<Data> source;
  source.curvature = windows;
  return Instruments<Model>(run, model, source, threads, [](double, const std::string&, Work) {}).memory_bytes();
}

std::int64_t memory_of(const RunSpec& run, int threads) {
  const Index count = std::min(run.measure.curvature_windows, run.measure.evaluation_windows);
  if (run.model.kind == "mlp") {
    const Mlp<float> model(mlp_options(run.model, run.data.inputs, run.data.outputs, run.data.kind == "digits"));
    return memory_of<Mlp>(run, model, VectorBatch{count, run.data.inputs, run.data.outputs, {}, {}, {}}, threads);
  }
  const Transformer<float> model(architecture_of(run, run.data.vocabulary));
  return memory_of<Transformer>(run, model, TokenBatch{count, run.model.context, {}}, threads);
}

std::vector<PlannedLine> lines_of(const Study& study, const fs::path& folder, int threads) {
  std::vector<PlannedLine> lines;
  std::map<std::string, std::int64_t> memory;  // runs of one model differ in their seed only
  for (const RunSpec& run : plan_runs(study)) {
    PlannedLine line;
    line.run = run, line.work = work_of(run), line.left = work_left(run, folder),
    line.size = layout_of(run).quantizable_size();
    if (!memory.contains(run.model.name)) memory[run.model.name] = memory_of(run, threads);
    line.memory = memory[run.model.name];
    std::string damage;
    line.is_done = finished_outcome(folder, run, &damage).has_value();
    line.state = line.is_done                         ? "done"
                 : !damage.empty()                    ? "damaged, to do again"
                 : !saved_states(folder, run).empty() ? "partly done"
                                                      : "to do";
    lines.push_back(std::move(line));
  }
  return lines;
}

/// Times kept by finished runs, or those of a probe of the smallest and the largest model.
std::vector<RunTime> times_for(const std::vector<PlannedLine>& lines, const fs::path& folder, int threads,
                               std::string& source) {
  std::vector<RunTime> times = read_run_times(folder);
  source = fmt::format("measured on {} finished runs", times.size());
  const auto trains =
      std::find_if(lines.begin(), lines.end(), [](const PlannedLine& l) { return l.left.training_flops > 0; });
  const auto add_training = [&] {  // series that are finished say nothing of it
    const bool is_known =
        std::any_of(times.begin(), times.end(), [](const RunTime& t) { return t.training.flops > 0; });
    if (trains != lines.end() && !is_known) times.push_back(probe_run_time(trains->run, threads));
  };
  if (!times.empty()) {
    add_training();
    return times;
  }
  const auto by_size = [](const PlannedLine& a, const PlannedLine& b) { return a.work.parameters < b.work.parameters; };
  const auto [least, most] = std::minmax_element(lines.begin(), lines.end(), by_size);
  source = "probed on the smallest and the largest model; finished runs will say better";
  times.push_back(probe_run_time(least->run, threads));
  if (most->work.parameters != least->work.parameters) times.push_back(probe_run_time(most->run, threads));
  add_training();
  return times;
}

void print_lines(const std::vector<PlannedLine>& lines) {
  fmt::print("{:<34} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9} {:>9} {:>10}  {}\n", "run", "N", "D", "D/N", "tokens",
             "measured", "products", "memory", "time", "state");
  for (const PlannedLine& l : lines) {
    const double n = double(l.size), tokens = double(trunk_tokens(l.run));
    fmt::print("{:<34} {:>9} {:>9} {:>8.1f} {:>9} {:>9} {:>9} {:>9} {:>10}  {}\n", l.run.id(), count_text(n),
               count_text(tokens), tokens / n, count_text(l.work.updates * double(tokens_per_step(l.run))),
               count_text(l.work.moments), count_text(l.work.moments * moment_products(l.run)),
               fmt::format("{:.0f} MiB", double(l.memory) / (1 << 20)), duration_text(l.seconds), l.state);
  }
}

void print_rates(const std::vector<PlannedLine>& lines, const Rates& rates, int threads) {
  const auto by_size = [](const PlannedLine& a, const PlannedLine& b) { return a.work.parameters < b.work.parameters; };
  const auto [least, most] = std::minmax_element(lines.begin(), lines.end(), by_size);
  for (const PlannedLine* l : {&*least, &*most}) {
    const double p = double(l->work.parameters);
    const double token = training_flops(l->run, l->work.parameters) / double(tokens_per_step(l->run));
    const double product = window_product_flops(l->run, l->work.parameters) * double(l->run.measure.curvature_windows);
    const double trains = rates.training.at(p) * token;  // 0 where all are series
    fmt::print("  {}: {}{:.3g} Hessian products/s, on {} thread{}\n", l->run.model.name,
               trains > 0 ? count_text(threads / trains) + " tokens/s in training, " : "",
               threads / (rates.measuring.at(p) * product), threads, threads == 1 ? "" : "s");
    if (least == most) break;
  }
}

void print_cost(const std::vector<PlannedLine>& lines, const Rates& rates, const std::string& source, int jobs,
                int threads) {
  std::vector<double> seconds, memory;
  double tokens = 0, products = 0, training = 0, measuring = 0;
  for (const PlannedLine& l : lines) {
    memory.push_back(double(l.memory));
    if (l.is_done) continue;
    seconds.push_back(l.seconds);
    tokens += l.left.updates * double(tokens_per_step(l.run));
    products += l.left.moments * moment_products(l.run);
    training += l.left.training_flops, measuring += l.left.measuring_flops;
  }
  std::sort(memory.begin(), memory.end(), std::greater<>());
  double peak = 0;
  for (size_t i = 0; i < std::min(memory.size(), size_t(jobs)); ++i) peak += memory[i];
  fmt::print("left to do: {} runs, {} training tokens, {} Hessian products, {:.2f} TFLOP ({:.0f} % training)\n",
             seconds.size(), count_text(tokens), count_text(products), (training + measuring) * 1e-12,
             training + measuring > 0 ? 100 * training / (training + measuring) : 0);
  fmt::print("memory: at most {:.2f} GiB with {} runs at a time\n", peak / (1 << 30), jobs);
  const double error = std::max(rates.training.error, rates.measuring.error);
  fmt::print("time: {} ± {:.0f} % with {} runs at a time of {} thread{} each ({})\n",
             duration_text(makespan(seconds, jobs)), 100 * error, jobs, threads, threads == 1 ? "" : "s", source);
  print_rates(lines, rates, threads);
}

/// Run files of a folder of a study.
std::vector<fs::path> run_files(const fs::path& folder) {
  std::vector<fs::path> files;
  if (fs::is_directory(folder / "runs"))
    for (const auto& entry : fs::directory_iterator(folder / "runs"))
      if (entry.path().extension() == ".h5") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

/// What the pilot measured: the runs of a study's folder, or the tables that were published of it; nothing when there is
/// neither.
std::optional<theory::Table> pilot_rows(const fs::path& pilot) {
  if (const std::vector<fs::path> files = run_files(pilot); !files.empty()) return theory::collect(files);
  if (fs::is_directory(pilot / "tables")) return theory::from_tables(pilot / "tables");
  for (const char* name : {"table.csv.gz", "table.csv"})
    if (fs::exists(pilot / name)) return theory::from_tables(pilot / name);
  if (fs::is_regular_file(pilot)) return theory::from_tables(pilot);
  return std::nullopt;
}

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

std::string power_text(const theory::Power& p) {
  if (!p.problem.empty()) return p.problem;
  return fmt::format("{:>7.3g} {:>10.3g} {:>10.3g} {:>12} {:>10} {:>9} {:>13}", p.truth, p.half_width, p.margin,
                     p.threshold, percent(p.supported), percent(p.refuted), percent(p.inconclusive));
}

/// The questions on the design of the study, with laws fitted to the pilot.
void print_design_power(const Study& study, const theory::Table& rows) {
  const theory::Pilot pilot = theory::pilot_of(rows, study.thresholds);
  theory::PowerOptions simulation;
  Progress progress("power", 4.0 * simulation.worlds);
  simulation.progress = [&](const std::string& what) { progress.advance("drawing", 1, what); };
  const auto all = theory::expected_power(pilot, planned_runs(study), study.thresholds, simulation);
  fmt::print("what this study will show if laws fitted to the pilot are true ({} drawn worlds each):\n",
             simulation.worlds);
  fmt::print("  {:<3} {:<44} {:>7} {:>10} {:>10} {:>12} {:>10} {:>9} {:>13}\n", "", "interval of", "truth",
             "half-width", "must be <", "threshold", "supported", "refuted", "inconclusive");
  for (const theory::Power& p : all) fmt::print("  {:<3} {:<44} {}\n", p.id, p.number, power_text(p));
}

/// Every question on the design of the pilot, with the seeds of the study.
void print_repeats(const Study& study, const theory::Table& rows, const PlanOptions& options) {
  theory::RepeatOptions repeat;
  repeat.seeds = static_cast<int>(study.seeds.size()), repeat.campaigns = options.repeats;
  repeat.threads = options.threads > 0 ? options.threads : hardware_threads();
  Progress progress("seeds", static_cast<double>(theory::questions().size()));
  repeat.progress = [&](const std::string& question) { progress.advance("judging", 1, question); };
  const auto all = theory::expected_repeats(rows, study.thresholds, repeat);
  fmt::print("what the pilot's own design will show with {} seeds ({} redrawn campaigns each, judged one by one):\n",
             repeat.seeds, repeat.campaigns);
  fmt::print("  {:<3} {:<44} {:>7} {:>10} {:>10} {:>9} {:>13} {:>13}\n", "", "interval of", "truth", "half-width",
             "supported", "refuted", "inconclusive", "seeds needed");
  for (const theory::Repeat& r : all) {
    const auto number = [](double x) { return std::isfinite(x) ? fmt::format("{:.3g}", x) : std::string("-"); };
    const std::string needed = !std::isfinite(r.truth) ? "no rows"
                               : r.seeds_needed > 0    ? fmt::format("{}", r.seeds_needed)
                                                       : fmt::format("over {}", repeat.most);
    fmt::print("  {:<3} {:<44} {:>7} {:>10} {:>10} {:>9} {:>13} {:>13}\n", r.id, r.number, number(r.truth),
               number(r.half_width), percent(r.planned.supported), percent(r.planned.refuted),
               percent(r.planned.inconclusive), needed);
  }
  fmt::print("seeds needed: fewest per arm with which {} of the campaigns decide\n", percent(repeat.power));
}

void print_power(const Study& study, const PlanOptions& options) {
  const fs::path folder = options.pilot.empty() ? options.out : options.pilot;
  const std::optional<theory::Table> rows = pilot_rows(folder);
  if (!rows && !options.pilot.empty())
    throw OptionError(
        fmt::format("--pilot {}: no finished runs and no table there; give the folder of a study that "
                    "was run, or a table that hone judge wrote",
                    options.pilot.string()));
  if (!rows) {
    fmt::print("interval widths: unknown without finished runs; --pilot FOLDER takes those of another study\n");
    return;
  }
  fmt::print("pilot: {}\n", folder.string());
  print_design_power(study, *rows);
  if (options.repeats == 0) return;
  if (theory::Redraw(*rows).seeds() < 2)
    fmt::print("seeds needed: unknown, as the pilot has one seed in every arm\n");
  else
    print_repeats(study, *rows, options);
}

}  // namespace

std::vector<theory::PlannedRun> planned_runs(const Study& study) {
  std::vector<theory::PlannedRun> planned;
  for (const RunSpec& run : plan_runs(study)) {
    if (run.model.kind == "mlp" || run.model.arm != "main") continue;
    theory::PlannedRun p;
    p.model = run.model.name, p.seed = run.seed, p.N = double(layout_of(run).quantizable_size());
    for (const std::int64_t step : checkpoint_steps(run)) p.tokens.push_back(double(tokens_after(run, step)));
    for (const std::int64_t bits : run.quantize.bits) p.bits.push_back(double(bits));
    const auto below = [](const std::vector<std::int64_t>& bits) {
      return int(std::count_if(bits.begin(), bits.end(), [](std::int64_t b) { return b < 16; }));
    };
    p.interactions = below(run.quantize.factorial_w) * below(run.quantize.factorial_a);
    p.interactions_at_end = run.quantize.factorial_at == "last";
    planned.push_back(std::move(p));
  }
  return planned;
}

int plan_command(PlanOptions options) {
  const Study study = load_study(options);
  validate_series(plan_runs(study));
  const int cores = hardware_threads(), runs = int(plan_runs(study).size());
  const int jobs = std::max(1, std::min(options.jobs > 0 ? options.jobs : cores, runs));
  const int threads = options.threads > 0 ? options.threads : std::max(1, cores / jobs);
  std::vector<PlannedLine> lines = lines_of(study, options.out, threads);
  std::string source;
  const Rates rates = fit_rates(times_for(lines, options.out, threads, source));
  for (PlannedLine& l : lines) {
    const double p = double(l.work.parameters);
    l.seconds =
        (l.left.training_flops * rates.training.at(p) + l.left.measuring_flops * rates.measuring.at(p)) / threads;
  }
  print_lines(lines);
  print_cost(lines, rates, source, jobs, threads);
  print_power(study, options);
  return 0;
}

Action plan_options(CLI::App& command, const std::string& line) {
  const auto options = std::make_shared<PlanOptions>();
  options->command_line = line;
  add_study_options(command, *options);
  add_worker_options(command, *options);
  command
      .add_option(
          "--pilot", options->pilot,
          "what to expect intervals from: folder of a study with runs or tables, or a table; default the study's")
      ->check(CLI::ExistingPath);
  command
      .add_option("--repeats", options->repeats,
                  "redrawn campaigns of the pilot that every question is put to; 0: none; a minute per ten or more")
      ->capture_default_str()
      ->check(CLI::Range(0, 10000));
  command.footer(
      "examples:\n"
      "  hone plan experiments/studies/reference.toml --pilot outputs/demo\n"
      "  hone plan experiments/studies/reference.toml --pilot outputs/reference\n"
      "  hone plan my.toml --jobs 1 --threads 2");
  return [options] { return plan_command(*options); };
}

}  // namespace hone::experiments
