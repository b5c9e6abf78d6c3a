#include "experiments/cluster/slurm_numbers.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

#include "experiments/cluster/slurm.hpp"
#include "experiments/study/reader.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/messages.hpp"

namespace fs = std::filesystem;
using namespace hone::experiments;

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

std::string rest_of_line(const std::string& text, const std::string& start) {
  const std::size_t at = text.find(start);
  return at == text.npos ? "" : text.substr(at, text.find('\n', at) - at);
}

int count_of(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

/// Programs of this text come first on PATH as long as this lives.
class FakePrograms {
 public:
  FakePrograms() : path_(std::getenv("PATH")) { ::setenv("PATH", (folder_.path().string() + ":" + path_).c_str(), 1); }
  ~FakePrograms() { ::setenv("PATH", path_.c_str(), 1); }
  void add(const std::string& name, const std::string& script) const {
    fs::permissions(folder_.write(name, "#!/bin/sh\n" + script), fs::perms::owner_all);
  }

 private:
  TemporaryFolder folder_;
  std::string path_;
};

/// An address space of 3 GB: an endless list of jobs ends the program instead of the machine.
const std::vector<std::string> small_memory = {"prlimit", "--as=3000000000"};

}  // namespace

TEST_CASE("slurm numbers: a whole number of 64 bits and nothing else") {
  CHECK(whole_number("0") == 0);
  CHECK(whole_number(" 1001\r\n") == 1001);
  CHECK(whole_number("007") == 7);
  CHECK(whole_number("9223372036854775807") == 9223372036854775807);
  for (const char* text : {"", " ", "-1", "+1", "1.5", "1e3", "1001K", "0x10", "1 2", "9223372036854775808", "NaN",
                           "(null)", "N/A", "UNLIMITED", "18446744073709551617", "\xd9\xa1"})
    CHECK_MESSAGE(!whole_number(text), text);
}

TEST_CASE("slurm numbers: an error names the command, the field, the value, the range and the fix") {
  const NumberField field{"scontrol show config", "MaxArraySize", 0, 10, "ask Ada"};
  CHECK(checked_number("10", field) == 10);
  for (const char* text : {"11", "-1", "many", ""}) {
    const std::string said = message_of<FormatError>([&] { (void)checked_number(text, field); });
    CHECK(said == std::string("scontrol show config: MaxArraySize is \"") + text +
                      "\", expected a whole number from 0 to 10; ask Ada");
  }
}

TEST_CASE("slurm: RequeueExit is a list of codes and ranges") {
  for (const char* list : {"99", "1,99", "1,2-5,99", "90-99", " 98-100 ", "x,99"})
    CHECK_MESSAGE(holds_exit_code(list, 99), list);
  for (const char* list : {"", "(null)", "9", "199", "999", "1-98", "100-", "-99", "99.5", "99-1"})
    CHECK_MESSAGE(!holds_exit_code(list, 99), list);
}

TEST_CASE("slurm: MaxArraySize is read as scontrol prints it, checked, and not needed beside the user's own") {
  const auto size = [](const std::string& text, std::int64_t own = 0) {
    return parse_configuration(text, own).max_array_size;
  };
  CHECK(size("SlurmUser = root\nMaxArraySize            = 4000\nRequeueExit = 99\n") == 4000);
  CHECK(size("MaxArraySize=0") == 0);
  CHECK(size("xMaxArraySize = 7\nMaxArraySize = 5\nMaxArraySizeX = 9") == 5);
  CHECK(parse_configuration("MaxArraySize = 5\nRequeueExit = 90-99\n", 0).requeues);
  CHECK(!parse_configuration("MaxArraySize = 5\n", 0).requeues);
  for (const char* value : {"-1", "1.5", "1001K", "", "(null)", "99999999999999999999", "4294967296"}) {
    const std::string text = std::string("MaxArraySize = ") + value + "\n";
    const std::string said = message_of<FormatError>([&] { (void)size(text); });
    CHECK_MESSAGE(mentions(said, std::string("MaxArraySize is \"") + value + "\""), said);
    CHECK_MESSAGE(mentions(said, "--max-array"), said);
    CHECK(size(text, 12) == 12);
  }
  CHECK(mentions(message_of<FormatError>([&] { (void)size("SlurmUser = root\n"); }), "has no MaxArraySize"));
  CHECK(size("", 3) == 3);
}

TEST_CASE("slurm: arrays where two tasks or more fit in one, else plain jobs; every task is in one job, in order") {
  for (const std::int64_t cluster : {0, 1, 2, 3, 1001, 4000001})
    for (const std::int64_t own : {0, 1, 2, 500}) {
      const TaskJobs jobs = task_jobs({cluster, true}, own);
      CHECK(jobs.uses_arrays == (cluster > 1 && own != 1));
      std::int64_t next = 0;
      for (const TaskChunk& chunk : chunks(7, jobs.tasks_per_job)) {
        CHECK(chunk.first == next);
        CHECK(chunk.count >= 1);
        if (jobs.uses_arrays) CHECK(chunk.count <= cluster);
        if (own > 0) CHECK(chunk.count <= own);
        next += chunk.count;
      }
      CHECK(next == 7);
    }
  for (const std::int64_t size : {0, -3})
    CHECK(mentions(message_of<ContractError>([&] { (void)chunks(7, size); }), "tasks per job"));
}

TEST_CASE("slurm: the job id of sbatch is a number of 32 bits, after any warnings") {
  CHECK(parse_job_id("17") == "17");
  CHECK(parse_job_id("17;cluster\n") == "17");
  CHECK(parse_job_id("sbatch: warning: the night is long\n17\n") == "17");
  CHECK(parse_job_id("17\nsbatch: warning: the night is long") == "17");
  for (const char* text : {"", "0", "-17", "Submitted batch job", "17.5", "99999999999", "; rm -rf"}) {
    const std::string said = message_of<FormatError>([&] { (void)parse_job_id(text); });
    CHECK_MESSAGE(mentions(said, "sbatch --parsable: the job id is "), said);
  }
}

TEST_CASE("slurm: tasks in the queue, of arrays and of plain jobs; a number that is none is an error") {
  const std::string id = "0123456789ab";
  const auto tasks =
      parse_queue("my.study." + id + ".1001 4 R 17_4\nmy.study." + id + ".7 N/A PD 18_N/A\n" + "my.study." + id +
                      ".reduce N/A PD 19_N/A\nother." + id + ".1 x PD 20\n" +
                      "my.study.of-Ada.1 x R 21_x\nmy.study.more." + id + ".1 x R 22\n\nmy.study 1 R 23\n",
                  "my.study");
  REQUIRE(tasks.size() == 2);
  CHECK((tasks[0].submission == id && tasks[0].task == 1005 && tasks[0].job == "17_4" && tasks[0].is_running));
  CHECK((tasks[1].submission == id && tasks[1].task == 7 && tasks[1].job == "18" && !tasks[1].is_running));
  for (const char* number : {"-1", "1.5", "99999999999999999999", "many", ""}) {
    const std::string text = "s." + id + "." + number + " 0 R 17_0";
    const std::string said = message_of<FormatError>([&] { (void)parse_queue(text, "s"); });
    CHECK_MESSAGE(mentions(said, "squeue: the task of job s." + id), said);
  }
  for (const char* index : {"-1", "1.5", "99999999999999999999", "many", "1-4"}) {
    const std::string text = "s." + id + ".0 " + index + " R 17_0";
    const std::string said = message_of<FormatError>([&] { (void)parse_queue(text, "s"); });
    CHECK_MESSAGE(mentions(said, "squeue: the array index of job s." + id), said);
  }
}

TEST_CASE("submit --dry-run: a cluster with arrays switched off gets a job for each task") {
  const Workplace place(quick_text());
  const FakePrograms programs;
  for (const char* size : {"0", "1"}) {
    programs.add("scontrol", std::string("echo 'MaxArraySize            = ") + size + "'\n");
    const Said said =
        hone_says(place.arguments("submit", {"--slurm", "--dry-run", "--units-per-task", "1"}), small_memory);
    REQUIRE_MESSAGE(said.code == 0, said.err);
    CHECK(!mentions(said.out, "--array"));
    CHECK(!mentions(said.out, "SLURM_ARRAY_TASK_ID"));
    const int tasks = int(place.runs().size());
    CHECK(count_of(said.out, "\nsbatch --job-name=") == tasks + 1);
    for (int task = 0; task < tasks; ++task) {
      const std::string line = rest_of_line(said.out, fmt::format(".{}' ", task));
      CHECK_MESSAGE(line.ends_with(fmt::format("tasks.sh' {}", task)), said.out);
    }
  }
}

TEST_CASE("submit --dry-run: an array size that is none ends with its name, the value and the fix") {
  const Workplace place(quick_text());
  const FakePrograms programs;
  for (const char* size : {"-1", "many", "1001.5", "18446744073709551616", "-9223372036854775808", ""}) {
    programs.add("scontrol", std::string("echo 'MaxArraySize = ") + size + "'\n");
    const Said said = hone_says(place.arguments("submit", {"--slurm", "--dry-run"}), small_memory);
    CHECK(said.code == 1);
    CHECK_MESSAGE(mentions(said.err, fmt::format("scontrol show config: MaxArraySize is \"{}\"", size)), said.err);
    CHECK_MESSAGE(mentions(said.err, "--max-array"), said.err);
    const std::vector<std::string> own = {"--slurm", "--dry-run", "--units-per-task", "1", "--max-array", "3"};
    const Said helped = hone_says(place.arguments("submit", own), small_memory);
    CHECK_MESSAGE(mentions(helped.out, "--array=0-2"), helped.err);
  }
}

TEST_CASE("run: a corrected study does not take a folder whose tasks are in the queue") {
  const Workplace wrong(replaced(tiny_text(), "lr = 3e-3", "lr = 2e-3")), place(tiny_text());
  const Study study = read_study(wrong.file());
  const Submission s{place.out(), "study.toml", sha256(study.text), study.seeds, pack(wrong.runs(), {1}), {}};
  write_submission(s, study);
  write_text_atomically(place.out() / "study.toml", study.text);
  const FakePrograms programs;
  programs.add("squeue", fmt::format("echo 'tiny.{}.0 0 PD 17_0'\n", s.id()));
  const Said refused = place.says("run", alone);
  CHECK(refused.code == 2);
  CHECK_MESSAGE(
      mentions(refused.err, "tasks of study \"tiny\" with other options are in the queue; scancel them first"),
      refused.err);
  CHECK(read_text(place.out() / "study.toml") == study.text);
  programs.add("squeue", "echo 'tiny.0123456789ab.0 0 PD 17_0'\n");  // of another folder
  const Said taken = place.says("run", alone);
  CHECK_MESSAGE(taken.code == 0, taken.err);
}

TEST_CASE("work: numbers that come from the batch job are checked") {
  const Workplace place(quick_text());
  const Study study = read_study(place.file());
  const Submission s{place.out(), "study.toml", sha256(study.text), study.seeds, pack(place.runs(), {1}), {}};
  write_submission(s, study);
  const auto work = [&](const std::string& task, const std::string& index, const std::vector<std::string>& before) {
    return hone_says({"work", (s.place() / "manifest.json").string(), "--sha256", sha256(s.manifest()), "--task", task,
                      "--index", index},
                     before);
  };
  for (const char* cpus : {"0", "-2", "two", "", "1e3", "99999999999"}) {
    const Said said = work("0", "0", {"env", std::string("SLURM_CPUS_PER_TASK=") + cpus});
    CHECK(said.code == 1);
    CHECK_MESSAGE(mentions(said.err, fmt::format("SLURM_CPUS_PER_TASK is \"{}\"", cpus)), said.err);
  }
  for (const char* number : {"9223372036854775807", "-1", "400", "", "many", "1.5", "1 2"})
    for (const bool is_index : {false, true}) {
      const Said said = is_index ? work("1", number, {}) : work(number, "1", {});
      CHECK(said.code != 0);
      CHECK_MESSAGE(mentions(said.err, is_index ? "--index" : "--task"), said.err);
      CHECK(!fs::exists(place.out() / "runs"));
    }
}

}  // namespace hone::test

TEST_SUITE_END();
