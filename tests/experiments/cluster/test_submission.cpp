#include "experiments/cluster/submission.hpp"

#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <set>
#include <thread>

#include "experiments/cluster/slurm.hpp"
#include "experiments/instruments/cost.hpp"
#include "experiments/running/files.hpp"
#include "experiments/study/reader.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/messages.hpp"

namespace fs = std::filesystem;
using namespace hone::experiments;

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

/// Runs of 1 to 5 checkpoints, the cheapest first.
std::vector<RunSpec> growing_runs() {
  const Workplace place(tiny_text());
  std::vector<RunSpec> runs;
  for (int i = 0; i < 5; ++i) {
    runs.push_back(place.runs().at(0));
    runs.back().seed = i + 1;
    runs.back().model.checkpoints = i + 1;
  }
  return runs;
}

/// Updates saved and runs finished, of all runs of a place.
std::pair<std::int64_t, int> progress(const Workplace& place) {
  std::pair<std::int64_t, int> sum{0, 0};
  for (const RunSpec& run : place.runs()) {
    const auto states = saved_states(place.out(), run);
    if (!states.empty()) sum.first += states.front().updates;
    sum.second += fs::exists(finished_path(place.out(), run));
  }
  return sum;
}

/// A submission of a study without a queue: tasks are called by hand.
struct Submitted : Workplace {
  explicit Submitted(const std::string& text, std::int64_t units_per_task) : Workplace(text) {
    const Study study = read_study(file());
    submission = {out(), "study.toml", sha256(study.text), study.seeds, pack(runs(), {units_per_task}), {}};
    write_submission(submission, study);
  }
  fs::path manifest() const { return submission.place() / "manifest.json"; }
  std::vector<std::string> work(int task) const {
    return {"work", manifest().string(), "--sha256", sha256(submission.manifest()), "--task", std::to_string(task)};
  }
  Submission submission;
};

}  // namespace

TEST_CASE("submission: by cost every task but the last has the least work, each run is in one, the longest first") {
  const std::vector<RunSpec> runs = growing_runs();
  const double seconds = seconds_of(run_cost(runs[3]), 2);
  const auto tasks = pack(runs, {0, seconds, 2});
  REQUIRE(tasks.size() > 1);
  std::set<std::string> ids;
  double last = 1e300;
  for (const auto& task : tasks) {
    double flops = 0;
    for (const WorkUnit& unit : task) {
      CHECK(ids.insert(unit.run).second);
      CHECK(unit.flops <= last);
      last = unit.flops, flops += unit.flops;
    }
    if (&task != &tasks.back()) CHECK(seconds_of(flops, 2) >= seconds);
    if (&task != &tasks.back()) CHECK(seconds_of(flops - task.back().flops, 2) < seconds);
  }
  CHECK(ids.size() == runs.size());
}

TEST_CASE("submission: a number of runs per task is kept") {
  std::vector<std::size_t> sizes;
  for (const auto& task : pack(growing_runs(), {2})) sizes.push_back(task.size());
  CHECK(sizes == std::vector<std::size_t>{2, 2, 1});
}

TEST_CASE("slurm: arrays longer than the cluster takes are cut") {
  const auto parts = chunks(2500, 1001);
  REQUIRE(parts.size() == 3);
  CHECK(parts[1].first == 1001);
  CHECK(parts[1].count == 1001);
  CHECK(parts[2].first + parts[2].count == 2500);
  CHECK(chunks(4, 4).size() == 1);
}

TEST_CASE("submission: what is written is read; a changed manifest or study file is refused") {
  const Submitted place(quick_text(), 3);
  const std::string hash = sha256(place.submission.manifest());
  const Submission read = read_submission(place.manifest(), hash);
  CHECK(read.manifest() == place.submission.manifest());
  CHECK(submissions_in(place.out()).size() == 1);
  std::ofstream(place.submission.place() / "study.toml", std::ios::app) << "# a second thought\n";
  CHECK(mentions(message_of<FormatError>([&] { (void)read_submission(place.manifest(), hash); }), "study.toml"));
  CHECK(submissions_in(place.out()).empty());
  std::ofstream(place.manifest(), std::ios::app) << " ";
  CHECK(mentions(message_of<FormatError>([&] { (void)read_submission(place.manifest(), hash); }), "was changed"));
  std::ofstream(place.manifest()) << "[]";
  CHECK(mentions(message_of<FormatError>([&] { (void)read_submission(place.manifest(), sha256("[]")); }),
                 "submit the study again"));
}

TEST_CASE("submit --dry-run: prints the scripts and the commands, and writes nothing") {
  const Workplace place(quick_text());
  const Said said = place.says("submit", {"--slurm", "--dry-run", "--units-per-task", "1", "--max-array", "3", "--time",
                                          "30", "--cpus", "2", "--partition", "cpu", "--sbatch=--account=physics"});
  REQUIRE_MESSAGE(said.code == 0, said.err);
  for (const char* part :
       {"#SBATCH --time=30", "--cpus-per-task=2", "#SBATCH --partition=cpu", "#SBATCH --account=physics",
        "#SBATCH --signal=B:USR1@120", "--requeue", "--array=0-2", "--array=0-0", "--dependency=afterany:JOB1:JOB2",
        " work ", "SLURM_ARRAY_TASK_ID", " judge ", " table ", " status ", "--seed 1 2"})
    CHECK_MESSAGE(mentions(said.out, part), part << " not in " << said.out);
  CHECK(!fs::exists(place.out()));
}

TEST_CASE("work: the tasks of a submission give the bits of a local run, and a second delivery does nothing") {
  const Submitted place(quick_text(), 3);
  for (const int task : {1, 0}) CHECK(hone_says(place.work(task)).code == 0);
  CHECK(difference(place, quick()) == "");
  const std::string before = read_text(place.finished(0));
  const Said again = hone_says(place.work(0));
  CHECK(again.code == 0);
  CHECK_MESSAGE(mentions(again.out, "0 runs finished, 3 were done before"), again.out);
  CHECK(read_text(place.finished(0)) == before);
  const Said beyond = hone_says(place.work(2));
  CHECK(beyond.code == 2);
  CHECK_MESSAGE(mentions(beyond.err, "has tasks 0 to 1, --task is 2"), beyond.err);
}

TEST_CASE("work: SIGUSR1 and SIGTERM save the runs and exit with 99, the next delivery ends them with the same bits") {
  const Submitted place(quick_text(), 4);
  int saved = 0;
  for (const int number : {SIGUSR1, SIGTERM}) {
    const auto before = progress(place);
    Process process(place.work(0));
    while (process.is_running() && progress(place) == before) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process.signal(number);
    const Said said = process.wait();
    CHECK_MESSAGE((said.code == requeue_code || said.code == 0), said.err);
    saved += said.code == requeue_code;
  }
  CHECK(saved >= 1);
  CHECK(hone_says(place.work(0)).code == 0);
  CHECK(difference(place, quick()) == "");
}

TEST_CASE("status: missing, partly done, failed with the reason, done; the exit code says whether all are done") {
  const Workplace place(replaced(tiny_text(), "seeds = [1]", "seeds = [1, 2]"));
  const Said before = place.says("status");
  CHECK(before.code == 1);
  CHECK_MESSAGE(mentions(before.out, "2 missing"), before.out);
  fs::create_directories(place.out() / "work");
  const fs::path state = saved_path(place.out(), place.runs().at(1), 50, 1);
  place.write("out/work/" + state.filename().string(), "a state of 50 updates");
  place.write("out/work/" + place.runs().at(0).id() + ".failed", "no text");
  const Said half = place.says("status");
  CHECK_MESSAGE(mentions(half.out, "800 of 1.6 k tokens"), half.out);
  CHECK_MESSAGE(mentions(half.out, "1 partly done, 1 failed"), half.out);
  CHECK_MESSAGE(mentions(half.out, "no text"), half.out);
  fs::remove_all(place.out());
  REQUIRE(place.says("run", alone).code == 0);
  const Said after = place.says("status");
  CHECK(after.code == 0);
  CHECK_MESSAGE(mentions(after.out, "2 done"), after.out);
}

TEST_CASE("run: a failure is kept for status and forgotten when the run ends well") {
  const Workplace place(replaced(tiny_text(), "kind = \"teacher\"\ninputs = 8",
                                 "kind = \"digits\"\noutputs = 3\nfiles = [\"table.csv\"]"));
  const fs::path before = fs::current_path();
  fs::current_path(fs::path(place.file()).parent_path());
  CHECK(place.says("run", alone).code == 1);
  const Said failed = place.says("status");
  std::string table;
  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < 8; ++k) table += fmt::format("{},", (i * (k + 1)) % 7);
    table += fmt::format("{}\n", i % 3);
  }
  place.write("table.csv", table);
  const Said run = place.says("run", alone);
  fs::current_path(before);
  CHECK(failed.code == 1);
  CHECK_MESSAGE(mentions(failed.out, "table.csv"), failed.out);
  CHECK_MESSAGE(mentions(failed.out, "1 failed"), failed.out);
  CHECK_MESSAGE(run.code == 0, run.err);
  CHECK(mentions(place.says("status").out, "1 done"));
  CHECK(fs::is_empty(place.out() / "work"));
}

}  // namespace hone::test

TEST_SUITE_END();
