#include "experiments/cluster/slurm.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>

#include "experiments/cluster/slurm_numbers.hpp"
#include "experiments/study/places.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

struct Answer {
  int status = 0;  ///< exit status; 127 when there is no such program
  std::string text;
};

Answer answer_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) throw IoError(fmt::format("{}: cannot be started", command));
  Answer answer;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe))
    answer.text.append(buffer.data(), got);
  const int status = ::pclose(pipe);
  answer.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  while (!answer.text.empty() && answer.text.back() == '\n') answer.text.pop_back();
  return answer;
}

/// A line "#SBATCH --output=…" ; sbatch takes % for a pattern and " for a quote.
std::string output_line(const fs::path& folder, const std::string& pattern) {
  std::string path;
  for (const char c : folder.string()) path += c == '%' ? "%%" : std::string(1, c);
  return fmt::format("#SBATCH --output=\"{}/log/{}\"\n", path, pattern);
}

std::string partition_line(const TaskResources& resources) {
  return resources.partition.empty() ? "" : fmt::format("#SBATCH --partition={}\n", resources.partition);
}

std::string job_name(const Submission& submission, const Study& study, const std::string& part) {
  return fmt::format("{}.{}.{}", study.name, submission.id(), part);
}

/// The study as an argument of a command, with its folder and seeds.
std::string study_arguments(const Submission& submission) {
  return fmt::format("{} --out {} --seed {}", shell_word((submission.place() / submission.study_file).string()),
                     shell_word(submission.folder.string()), fmt::join(submission.seeds, " "));
}

/// Whether the middle of a job's name is the id of a submission.
bool is_submission_id(const std::string& text) {
  return text.size() == 12 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

/// Nothing for a job that is no task of the study.
std::optional<QueuedTask> parse_task(const std::string& line, const std::string& study) {
  std::istringstream words(line);
  std::string name, index, state, job;
  words >> name >> index >> state >> job;
  if (!name.starts_with(study + ".")) return std::nullopt;
  const std::string rest = name.substr(study.size() + 1), id = rest.substr(0, rest.find('.'));
  if (id.size() == rest.size() || !is_submission_id(id)) return std::nullopt;
  const std::string first = rest.substr(id.size() + 1);
  if (first == "reduce") return std::nullopt;
  const std::string fix = fmt::format(
      "look at this job with squeue --me --name {} and cancel it if it is none of hone's", shell_word(name));
  const auto number = [&](const std::string& text, const char* field) {
    return checked_number(text, {"squeue", fmt::format("{} of job {}", field, name), 0, slurm_number_limit, fix});
  };
  const bool is_array = index != "N/A";
  const std::int64_t task = number(first, "the task") + (is_array ? number(index, "the array index") : 0);
  return QueuedTask{id, task, is_array ? job : job.substr(0, job.find('_')), state != "PD"};
}

}  // namespace

SlurmConfiguration parse_configuration(const std::string& text, std::int64_t max_array) {
  SlurmConfiguration configuration;
  configuration.requeues = false;
  std::optional<std::string> size;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    if (equals == line.npos) continue;
    const std::string name = line.substr(0, line.find_first_of(" \t=")), value = line.substr(equals + 1);
    if (name == "MaxArraySize") size = value;
    if (name == "RequeueExit") configuration.requeues = holds_exit_code(value, requeue_code);
  }
  const NumberField field{"scontrol show config", "MaxArraySize", 0, slurm_number_limit,
                          "give --max-array N, the longest job array that this cluster takes (1: a job for each task)"};
  try {
    if (!size) throw FormatError(fmt::format("{}: has no {}; {}", field.command, field.name, field.fix));
    configuration.max_array_size = checked_number(*size, field);
  } catch (const FormatError&) {
    if (max_array < 1) throw;
    configuration.max_array_size = max_array;
  }
  return configuration;
}

std::optional<SlurmConfiguration> slurm_configuration(std::int64_t max_array) {
  const Answer answer = answer_of("scontrol show config 2>/dev/null");
  if (answer.status != 0) return std::nullopt;
  return parse_configuration(answer.text, max_array);
}

TaskJobs task_jobs(const SlurmConfiguration& cluster, std::int64_t max_array) {
  const std::int64_t most = max_array > 0 ? std::min(max_array, cluster.max_array_size) : cluster.max_array_size;
  return most > 1 ? TaskJobs{true, most} : TaskJobs{false, 1};
}

std::string task_script(const Submission& submission, const Study& study, const std::string& program,
                        bool uses_arrays) {
  const TaskResources& r = submission.resources;
  std::string script = fmt::format("#!/bin/bash\n# {} tasks of study {}; the first argument is the task{}.\n",
                                   submission.tasks.size(), study.name, uses_arrays ? " of index 0" : "");
  script += output_line(submission.place(), uses_arrays ? "%A_%a.log" : "%j.log") + partition_line(r);
  if (!r.time.empty()) script += fmt::format("#SBATCH --time={}\n", r.time);
  script +=
      fmt::format("#SBATCH --nodes=1 --ntasks=1 --cpus-per-task={}\n#SBATCH --requeue --open-mode=append\n", r.cpus);
  script += fmt::format("#SBATCH --signal=B:USR1@{}\n", r.grace);
  for (const std::string& line : r.more) script += fmt::format("#SBATCH {}\n", line);
  // exec: the signal goes to the batch shell alone, which hone takes the place of. hone checks both numbers.
  return script + fmt::format("exec {} work {} --sha256 {} --task \"$1\"{}\n", shell_word(program),
                              shell_word((submission.place() / "manifest.json").string()),
                              sha256(submission.manifest()), uses_arrays ? " --index \"$SLURM_ARRAY_TASK_ID\"" : "");
}

std::string reduce_script(const Submission& submission, const Study& study, const std::string& program) {
  std::string script = fmt::format(
      "#!/bin/bash\n# After all tasks of study {}: verdicts, the table, and what is missing.\n", study.name);
  script += output_line(submission.place(), "reduce-%j.log") + partition_line(submission.resources);
  script += "#SBATCH --nodes=1 --ntasks=1\n";
  for (const std::string& line : submission.resources.more) script += fmt::format("#SBATCH {}\n", line);
  for (const char* command : {"judge", "table", "status"})
    script += fmt::format("{} {} {}\n", shell_word(program), command, study_arguments(submission));
  return script;
}

std::vector<TaskChunk> chunks(std::int64_t tasks, std::int64_t tasks_per_job) {
  EXPECTS(tasks_per_job >= 1, "chunks: {} tasks per job", tasks_per_job);
  std::vector<TaskChunk> list;
  for (std::int64_t first = 0; first < tasks; first += list.back().count)
    list.push_back({first, std::min(tasks_per_job, tasks - first)});
  return list;
}

std::string task_arguments(const Submission& submission, const Study& study, const TaskChunk& chunk, bool uses_arrays) {
  return fmt::format("--job-name={} {}{} {}", shell_word(job_name(submission, study, std::to_string(chunk.first))),
                     uses_arrays ? fmt::format("--array=0-{} ", chunk.count - 1) : "",
                     shell_word((submission.place() / "tasks.sh").string()), chunk.first);
}

std::string reduce_arguments(const Submission& submission, const Study& study, const std::vector<std::string>& jobs) {
  return fmt::format("--job-name={} --dependency=afterany:{} {}", shell_word(job_name(submission, study, "reduce")),
                     fmt::join(jobs, ":"), shell_word((submission.place() / "reduce.sh").string()));
}

std::string parse_job_id(const std::string& text) {
  std::string said;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && !line.starts_with("sbatch:")) said = line;
  const NumberField field{"sbatch --parsable", "the job id", 1, slurm_number_limit,
                          "see squeue --me for what was submitted, then hone resubmit adds the rest"};
  return std::to_string(checked_number(said.substr(0, said.find(';')), field));
}

std::string sbatch(const std::string& arguments) {
  const Answer answer = answer_of("sbatch --parsable " + arguments + " 2>&1");
  if (answer.status == 127) throw IoError("sbatch: is not installed here; submit where Slurm is, or use hone run");
  if (answer.status != 0)
    throw IoError(fmt::format("sbatch {}: {}", arguments, answer.text.substr(answer.text.rfind('\n') + 1)));
  return parse_job_id(answer.text);
}

std::vector<QueuedTask> parse_queue(const std::string& text, const std::string& study) {
  std::vector<QueuedTask> tasks;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (const auto task = parse_task(line, study)) tasks.push_back(*task);
  return tasks;
}

std::optional<std::vector<QueuedTask>> queued_tasks(const std::string& study) {
  const Answer answer = answer_of("squeue --me -h -r -o '%j %K %t %F_%K' 2>/dev/null");
  if (answer.status != 0) return std::nullopt;
  return parse_queue(answer.text, study);
}

}  // namespace hone::experiments
