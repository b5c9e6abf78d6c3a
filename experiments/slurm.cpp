#include "experiments/slurm.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>

#include "experiments/places.hpp"
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

std::optional<QueuedTask> parse_task(const std::string& line, const std::string& study) {
  std::istringstream words(line);
  std::string name, index, state, job;
  words >> name >> index >> state >> job;
  const std::size_t last = name.rfind('.'), middle = name.rfind('.', last - 1);
  if (last == name.npos || middle == name.npos || name.substr(0, middle) != study) return std::nullopt;
  const auto is_number = [](const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos && text.size() < 10;
  };
  const std::string first = name.substr(last + 1);
  if (!is_number(first) || !is_number(index)) return std::nullopt;
  return QueuedTask{name.substr(middle + 1, last - middle - 1), std::stoll(first) + std::stoll(index), job,
                    state != "PD"};
}

}  // namespace

std::optional<SlurmConfiguration> slurm_configuration() {
  const Answer answer = answer_of("scontrol show config 2>/dev/null");
  if (answer.status != 0) return std::nullopt;
  SlurmConfiguration configuration;
  configuration.requeues = false;
  std::istringstream lines(answer.text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    if (equals == line.npos) continue;
    std::string value = line.substr(equals + 1);
    if (line.starts_with("MaxArraySize ")) configuration.max_array_size = std::stoll(value);
    std::replace(value.begin(), value.end(), ',', ' ');
    std::istringstream codes(value);
    if (line.starts_with("RequeueExit "))
      for (std::string code; codes >> code;)
        if (code == std::to_string(requeue_code)) configuration.requeues = true;
  }
  return configuration;
}

std::string array_script(const Submission& submission, const Study& study, const std::string& program) {
  const TaskResources& r = submission.resources;
  std::string script = fmt::format("#!/bin/bash\n# {} tasks of study {}; the first argument is the task of index 0.\n",
                                   submission.tasks.size(), study.name);
  script += output_line(submission.place(), "%A_%a.log") + partition_line(r);
  if (!r.time.empty()) script += fmt::format("#SBATCH --time={}\n", r.time);
  script +=
      fmt::format("#SBATCH --nodes=1 --ntasks=1 --cpus-per-task={}\n#SBATCH --requeue --open-mode=append\n", r.cpus);
  script += fmt::format("#SBATCH --signal=B:USR1@{}\n", r.grace);
  for (const std::string& line : r.more) script += fmt::format("#SBATCH {}\n", line);
  // exec: the signal goes to the batch shell alone, which hone takes the place of.
  return script + fmt::format("exec {} work {} --sha256 {} --task $((${{1:-0}} + SLURM_ARRAY_TASK_ID))\n",
                              shell_word(program), shell_word((submission.place() / "manifest.json").string()),
                              sha256(submission.manifest()));
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

std::vector<ArrayChunk> chunks(std::int64_t tasks, std::int64_t max_array_size) {
  std::vector<ArrayChunk> list;
  for (std::int64_t first = 0; first < tasks; first += max_array_size)
    list.push_back({first, std::min(max_array_size, tasks - first)});
  return list;
}

std::string array_arguments(const Submission& submission, const Study& study, const ArrayChunk& chunk) {
  return fmt::format("--job-name={} --array=0-{} {} {}",
                     shell_word(job_name(submission, study, std::to_string(chunk.first))), chunk.count - 1,
                     shell_word((submission.place() / "tasks.sh").string()), chunk.first);
}

std::string reduce_arguments(const Submission& submission, const Study& study, const std::vector<std::string>& jobs) {
  return fmt::format("--job-name={} --dependency=afterany:{} {}", shell_word(job_name(submission, study, "reduce")),
                     fmt::join(jobs, ":"), shell_word((submission.place() / "reduce.sh").string()));
}

std::string sbatch(const std::string& arguments) {
  const Answer answer = answer_of("sbatch --parsable " + arguments + " 2>&1");
  if (answer.status == 127) throw IoError("sbatch: is not installed here; submit where Slurm is, or use hone run");
  if (answer.status != 0)
    throw IoError(fmt::format("sbatch {}: {}", arguments, answer.text.substr(answer.text.rfind('\n') + 1)));
  const std::string last = answer.text.substr(answer.text.rfind('\n') + 1);
  return last.substr(0, last.find(';'));
}

std::optional<std::vector<QueuedTask>> queued_tasks(const std::string& study) {
  const Answer answer = answer_of("squeue --me -h -r -o '%j %K %t %F_%K' 2>/dev/null");
  if (answer.status != 0) return std::nullopt;
  std::vector<QueuedTask> tasks;
  std::istringstream lines(answer.text);
  for (std::string line; std::getline(lines, line);)
    if (const auto task = parse_task(line, study)) tasks.push_back(*task);
  return tasks;
}

}  // namespace hone::experiments
