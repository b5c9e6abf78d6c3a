#include "experiments/commands/cluster_commands.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "experiments/cluster/slurm.hpp"
#include "experiments/cluster/slurm_numbers.hpp"
#include "experiments/running/executor.hpp"
#include "experiments/running/files.hpp"
#include "experiments/running/progress.hpp"
#include "experiments/running/study_folder.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/places.hpp"
#include "experiments/study/reader.hpp"
#include "experiments/study/sources.hpp"
#include "experiments/study/validate.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

/// Where the queue has the runs of a study.
struct Queue {
  std::map<std::string, QueuedTask> task_of;  ///< by run id; running ones before waiting ones
  bool answers = false;
};

Queue queue_of(const Study& study, const fs::path& folder) {
  Queue queue;
  const auto tasks = queued_tasks(study.name);
  if (!tasks) return queue;
  queue.answers = true;
  const std::vector<Submission> submissions = submissions_in(folder);
  for (const Submission& submission : submissions)
    for (const QueuedTask& task : *tasks) {
      if (task.submission != submission.id() || task.task >= std::int64_t(submission.tasks.size())) continue;
      for (const WorkUnit& unit : submission.tasks[std::size_t(task.task)])
        if (!queue.task_of.contains(unit.run) || task.is_running) queue.task_of[unit.run] = task;
    }
  return queue;
}

/// What a run on another machine would fail on fails here: every corpus is fetched and every source opened once.
void open_sources(const std::vector<RunSpec>& runs) {
  CorpusShelf shelf(cache_folder());
  std::set<std::string> opened;
  for (const RunSpec& run : runs) {
    std::vector<DataSpec> all = run.others;
    all.push_back(run.data);
    for (const DataSpec& data : all) {
      if (!opened.insert(data.name).second) continue;
      if (run.model.kind == "mlp")
        (void)open_vectors(run, shelf);
      else
        (void)open_tokens(run, data, shelf);
    }
  }
}

TaskResources resources_of(const SubmitOptions& submit, const std::vector<Submission>& earlier) {
  TaskResources r = earlier.empty() ? TaskResources{} : earlier.back().resources;
  r.partition = submit.partition.value_or(r.partition), r.time = submit.time.value_or(r.time);
  r.cpus = submit.cpus.value_or(r.cpus), r.grace = submit.grace.value_or(r.grace);
  if (!submit.more.empty()) r.more = submit.more;
  return r;
}

/// Runs that are neither finished nor in the queue.
std::vector<RunSpec> missing_runs(const Study& study, const fs::path& folder, const Queue& queue) {
  std::vector<RunSpec> missing;
  for (RunSpec& run : plan_runs(study))
    if (!finished_outcome(folder, run) && !queue.task_of.contains(run.id())) missing.push_back(std::move(run));
  return missing;
}

void print_dry(const Submission& s, const Study& study, const TaskJobs& jobs_of_tasks, const std::string& program) {
  const bool uses_arrays = jobs_of_tasks.uses_arrays;
  fmt::print("# {}\n{}\n# {}\n{}\n", (s.place() / "tasks.sh").string(), task_script(s, study, program, uses_arrays),
             (s.place() / "reduce.sh").string(), reduce_script(s, study, program));
  std::vector<std::string> jobs;
  for (const TaskChunk& part : chunks(std::int64_t(s.tasks.size()), jobs_of_tasks.tasks_per_job)) {
    jobs.push_back(fmt::format("JOB{}", jobs.size() + 1));
    fmt::print("sbatch {}\n", task_arguments(s, study, part, uses_arrays));
  }
  fmt::print("sbatch {}\n", reduce_arguments(s, study, jobs));
}

/// Writes the submission and gives it to Slurm; what Slurm refuses as a whole leaves nothing behind.
void hand_over(const Submission& s, const Study& study, const TaskJobs& jobs_of_tasks, const std::string& program) {
  const auto parts = chunks(std::int64_t(s.tasks.size()), jobs_of_tasks.tasks_per_job);
  write_submission(s, study);
  write_text_atomically(s.place() / "tasks.sh", task_script(s, study, program, jobs_of_tasks.uses_arrays));
  write_text_atomically(s.place() / "reduce.sh", reduce_script(s, study, program));
  std::vector<std::string> jobs;
  try {
    for (const TaskChunk& part : parts)
      jobs.push_back(sbatch(task_arguments(s, study, part, jobs_of_tasks.uses_arrays)));
  } catch (const IoError& error) {
    if (jobs.empty()) fs::remove_all(s.place());
    throw IoError(fmt::format("{}; {} of {} jobs are submitted{}", error.what(), jobs.size(), parts.size(),
                              jobs.empty() ? "" : ", hone resubmit adds the rest"));
  }
  const std::string reduce = sbatch(reduce_arguments(s, study, jobs));
  fmt::print("submitted: {} tasks as job {}, then job {} judges; logs in {}\n", s.tasks.size(), fmt::join(jobs, ", "),
             reduce, (s.place() / "log").string());
}

int submit_runs(const Study& study, const CommandOptions& options, const SubmitOptions& submit,
                const std::vector<Submission>& earlier) {
  const fs::path folder = fs::absolute(options.out).lexically_normal();
  const Queue queue = queue_of(study, folder);
  const std::vector<RunSpec> runs = missing_runs(study, folder, queue);
  if (runs.empty()) {
    fmt::print("{}: every run is done or in the queue; nothing to submit\n", study.name);
    return 0;
  }
  Submission s{folder, fs::path(options.study_file).filename().string(), sha256(study.text), study.seeds, {}, {}};
  s.resources = resources_of(submit, earlier);
  s.tasks = pack(runs, {submit.units_per_task, 60 * submit.task_minutes, s.resources.cpus});
  const auto configuration = slurm_configuration(submit.max_array);
  const SlurmConfiguration cluster = configuration.value_or(SlurmConfiguration{});
  const TaskJobs jobs = task_jobs(cluster, submit.max_array);
  const std::string program = fs::read_symlink("/proc/self/exe").string();
  if (submit.is_dry) {
    print_dry(s, study, jobs, program);
    return 0;
  }
  if (!configuration || !queue.answers)
    throw IoError("scontrol and squeue: no Slurm answers here; submit where it runs, or use hone run");
  if (!cluster.requeues)
    fmt::print(stderr,
               "hone: this cluster's RequeueExit does not name {}: a task that reaches its time limit saves itself and "
               "is not put back; run hone resubmit then\n",
               requeue_code);
  open_sources(runs);
  hand_over(s, study, jobs, program);
  return 0;
}

std::string state_of(const RunSpec& run, const fs::path& folder, const Queue& queue, std::string& detail) {
  std::string damage;
  if (const auto outcome = finished_outcome(folder, run, &damage)) {
    if (!outcome->is_complete()) detail = outcome_text(*outcome);
    return "done";
  }
  const auto states = saved_states(folder, run);
  if (!states.empty())
    detail = fmt::format("{} of {} tokens", count_text(double(tokens_after(run, states.front().updates))),
                         count_text(double(trunk_tokens(run))));
  if (const auto task = queue.task_of.find(run.id()); task != queue.task_of.end()) {
    detail += fmt::format("{}job {}", detail.empty() ? "" : ", ", task->second.job);
    return task->second.is_running ? "running" : "queued";
  }
  if (const auto failure = failure_of(folder, run)) {
    detail = *failure;
    return "failed";
  }
  if (!damage.empty()) detail = damage;
  return states.empty() ? "missing" : "partly done";
}

}  // namespace

int submit_command(CommandOptions options, const SubmitOptions& submit) {
  const Study study = load_study(options);
  validate_series(plan_runs(study));
  if (submit.is_dry)
    expect_same_study(options.out, study);
  else
    claim_folder(options.out, study);
  if (!submissions_in(options.out).empty())
    throw OptionError(fmt::format("{}: was submitted before; hone resubmit {} submits what is missing",
                                  options.out.string(), options.study_file));
  return submit_runs(study, options, submit, {});
}

int resubmit_command(CommandOptions options, const SubmitOptions& submit) {
  const Study study = load_study(options);
  expect_same_study(options.out, study);
  const std::vector<Submission> earlier = submissions_in(options.out);
  if (earlier.empty())
    throw OptionError(fmt::format("{}: nothing was submitted from here; hone submit {} --slurm first",
                                  options.out.string(), options.study_file));
  if (!submit.is_dry) claim_folder(options.out, study);
  return submit_runs(study, options, submit, earlier);
}

int work_command(const WorkOptions& options) {
  const Submission submission = read_submission(options.manifest, options.sha256);
  const std::int64_t last = std::int64_t(submission.tasks.size()) - 1;
  const auto read = [](const std::string& text, const char* name) {
    return checked_number(text, {"hone work", name, 0, slurm_number_limit, "call it as the scripts of hone submit do"});
  };
  const std::int64_t task = read(options.task, "--task"), index = read(options.index, "--index"), number = task + index;
  if (number > last)
    throw OptionError(fmt::format("{}: has tasks 0 to {}, --task is {}{}", options.manifest.string(), last, task,
                                  index > 0 ? fmt::format(" and --index {}", index) : ""));
  Study study = read_study(options.manifest.parent_path() / submission.study_file);
  study.seeds = submission.seeds;
  std::map<std::string, RunSpec> known;
  for (const RunSpec& run : plan_runs(study)) known[run.id()] = run;
  std::vector<RunSpec> runs;
  for (const WorkUnit& unit : submission.tasks[std::size_t(number)]) {
    if (!known.contains(unit.run))
      throw FormatError(fmt::format("{}: run {} is none of this hone's; submit again with the hone that is to do it",
                                    options.manifest.string(), unit.run));
    runs.push_back(known[unit.run]);
  }
  ExecuteOptions execute{submission.folder, 0, 0, options.command_line};
  const char* cpus = std::getenv("SLURM_CPUS_PER_TASK");
  const NumberField field{"environment of the batch job", "SLURM_CPUS_PER_TASK", 1, 4096,
                          "unset it for one core, or set it to the cores of this task"};
  execute.cores = cpus ? int(checked_number(cpus, field)) : 1;
  const ExecuteSummary s = execute_runs(study.name, runs, execute);
  fmt::print("task {}: {} runs finished, {} were done before, {} failed, {} in {}\n", number, s.finished, s.skipped,
             s.failed, s.interrupted ? "interrupted" : "ended", duration_text(s.wall_seconds));
  return s.interrupted ? requeue_code : s.failed > 0 ? 1 : 0;
}

int status_command(CommandOptions options) {
  const Study study = load_study(options);
  expect_same_study(options.out, study);
  const Queue queue = queue_of(study, options.out);
  std::map<std::string, int> counts;
  fmt::print("{:<28} {:<12} {}\n", "run", "state", "progress");
  for (const RunSpec& run : plan_runs(study)) {
    std::string detail;
    const std::string state = state_of(run, options.out, queue, detail);
    ++counts[state];
    fmt::print("{:<28} {:<12} {}\n", run.id(), state, detail);
  }
  std::vector<std::string> parts;
  for (const char* state : {"done", "running", "queued", "partly done", "failed", "missing"})
    if (counts[state] > 0) parts.push_back(fmt::format("{} {}", counts[state], state));
  fmt::print("{}: {}{}\n", study.name, fmt::join(parts, ", "),
             queue.answers ? "" : "; no queue answers, so that running ones are not told apart");
  return counts["done"] == int(plan_runs(study).size()) ? 0 : 1;
}

namespace {

/// Options of submit and resubmit.
void add_submit_options(CLI::App& command, SubmitOptions& o) {
  command.add_option("--partition", o.partition, "default the cluster's");
  command.add_option("--time", o.time, "limit of a task, as Slurm writes it; default the partition's");
  command.add_option("--cpus", o.cpus, "cores of a task; default 1")->check(CLI::Range(1, 4096));
  command.add_option("--grace", o.grace, "seconds before the limit when a task saves itself; default 120")
      ->check(CLI::Range(1, 65535));
  command.add_option("--sbatch", o.more, "further options of sbatch, such as --sbatch=--account=physics");
  command.add_option("--units-per-task", o.units_per_task, "runs per task; default by their cost")
      ->check(CLI::Range(1, 1000000));
  command.add_option("--task-minutes", o.task_minutes, "least work of a task by the cost model")
      ->check(CLI::Range(0., 1e6));
  command
      .add_option("--max-array", o.max_array,
                  "tasks per job array, 1: a job for each task; default the cluster's MaxArraySize")
      ->check(CLI::Range(1, 4000001));
  command.add_flag("--dry-run", o.is_dry, "print the batch scripts and commands, and submit nothing");
}

void add_work_options(CLI::App& command, WorkOptions& o) {
  command.add_option("manifest", o.manifest, "manifest.json of a submission")->required();
  command.add_option("--sha256", o.sha256, "of the manifest")->required();
  command.add_option("--task", o.task, "number of the task, from 0")->required();
  command.add_option("--index", o.index, "index in a job array, added to the task");
  command.footer(
      "the scripts of hone submit call this; it uses SLURM_CPUS_PER_TASK cores, or one.\n"
      "SIGUSR1, SIGTERM, SIGINT: saves its runs and exits with 99, which Slurm's RequeueExit puts back into the queue");
}

struct ClusterOptions {
  CommandOptions study;
  SubmitOptions submit;
};

std::shared_ptr<ClusterOptions> with_cluster(CLI::App& command, const std::string& line) {
  auto options = std::make_shared<ClusterOptions>();
  options->study.command_line = line;
  add_study_options(command, options->study);
  return options;
}

}  // namespace

Action submit_options(CLI::App& command, const std::string& line) {
  const auto options = with_cluster(command, line);
  command.add_flag("--slurm", options->submit.is_slurm, "the cluster's queue is Slurm")->required();
  add_submit_options(command, options->submit);
  command.footer(
      "examples:\n"
      "  hone submit my.toml --slurm --dry-run\n"
      "  hone submit my.toml --slurm --partition cpu --time 4:00:00 --cpus 4\n"
      "the folder of the study, the cache (HONE_CACHE) and hone itself must be visible from the nodes under the same "
      "names");
  return [options] { return submit_command(options->study, options->submit); };
}

Action resubmit_options(CLI::App& command, const std::string& line) {
  const auto options = with_cluster(command, line);
  add_submit_options(command, options->submit);
  return [options] { return resubmit_command(options->study, options->submit); };
}

Action status_options(CLI::App& command, const std::string& line) {
  const auto options = with_cluster(command, line);
  return [options] { return status_command(options->study); };
}

Action work_options(CLI::App& command, const std::string& line) {
  return action_of<WorkOptions>(command, line, add_work_options, work_command);
}

}  // namespace hone::experiments
