#include "tests/experiments/program.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "experiments/running/files.hpp"
#include "experiments/study/reader.hpp"

namespace fs = std::filesystem;

namespace hone::test {

Process::Process(const std::vector<std::string>& arguments, const std::vector<std::string>& before) {
  static const TemporaryFolder cache;
  ::setenv("HONE_CACHE", cache.path().c_str(), 1);
  std::vector<std::string> words = before;
  words.push_back(HONE_PROGRAM);
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  const int flags = O_WRONLY | O_CREAT | O_TRUNC;
  const std::string out = said_.path() / "out", err = said_.path() / "err";
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), flags, 0600);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), flags, 0600);
  const int failed = ::posix_spawnp(&id_, words.front().c_str(), &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  REQUIRE_MESSAGE(failed == 0, words.front() << " cannot be started");
}

Process::~Process() {
  if (!is_running()) return;
  signal(SIGKILL);
  reap(0);
}

void Process::signal(int number) const { ::kill(id_, number); }

void Process::reap(int options) {
  if (is_running_ && ::waitpid(id_, &status_, options) == id_) is_running_ = false;
}

bool Process::is_running() {
  reap(WNOHANG);
  return is_running_;
}

Said Process::wait() {
  reap(0);
  const int code = WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
  return {code, read_text(said_.path() / "out"), read_text(said_.path() / "err")};
}

Said hone_says(const std::vector<std::string>& arguments, const std::vector<std::string>& before) {
  return Process(arguments, before).wait();
}

int count_lines(const std::string& text) {
  const auto ends = std::count(text.begin(), text.end(), '\n');
  return int(ends) + (!text.empty() && text.back() != '\n');
}

int line_of(const std::string& text, const std::string& part) {
  const size_t place = text.find(part);
  REQUIRE_MESSAGE(place != text.npos, part);
  REQUIRE_MESSAGE(text.find(part, place + 1) == text.npos, part << " stands twice");
  return 1 + int(std::count(text.begin(), text.begin() + std::ptrdiff_t(place), '\n'));
}

std::string replaced(const std::string& text, const std::string& from, const std::string& to) {
  (void)line_of(text, from);
  return std::string(text).replace(text.find(from), from.size(), to);
}

std::string quick_text() { return read_text(HONE_SOURCE_DIR "/experiments/studies/quick.toml"); }

std::string tiny_text() {
  return R"([study]
name = "tiny"
seeds = [1]
[[data]]
name = "teacher"
kind = "teacher"
inputs = 8
[[models]]
name = "mlp"
kind = "mlp"
data = "teacher"
widths = [8]
tokens = 1600
first_tokens = 400
checkpoints = 2
lr = 3e-3
[train]
batch = 16
warmup_steps = 10
[measure]
evaluation_windows = 8
curvature_windows = 4
eigenpairs = 2
lanczos_steps = 10
slq_probes = 2
slq_steps = 4
trace_probes = 2
[quantize]
bits = [3, 4]
[noise]
draws = 2
)";
}

std::vector<std::string> Workplace::arguments(const std::string& command, const std::vector<std::string>& more) const {
  std::vector<std::string> words = {command, file(), "--out", out().string()};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Said Workplace::says(const std::string& command, const std::vector<std::string>& more) const {
  return hone_says(arguments(command, more));
}

std::vector<experiments::RunSpec> Workplace::runs() const {
  return experiments::plan_runs(experiments::read_study(file_));
}

fs::path Workplace::finished(size_t i) const { return experiments::finished_path(out(), runs().at(i)); }

fs::path Workplace::partial(size_t i) const {
  const auto states = experiments::saved_states(out(), runs().at(i));
  return states.empty() ? experiments::saved_path(out(), runs().at(i), 0, 0) : states.front().path;
}

const Workplace& quick() {
  static const Workplace place(quick_text());
  static const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  return place;
}

namespace {

Dataset comparable(const Dataset& manifest) {
  Dataset kept;
  for (const auto& [name, value] : manifest.attributes())
    if (name != "threads" && name != "command") kept.set_attribute(name, value);
  return kept;
}

std::string difference(RunFile a, RunFile b) {
  if (!same_bits(a.attributes, b.attributes)) return "attributes";
  for (RunFile* file : {&a, &b}) file->groups["manifest"] = comparable(file->group("manifest"));
  std::set<std::string> names;
  for (const RunFile* file : {&a, &b})
    for (const auto& [name, group] : file->groups) names.insert(name);
  for (const std::string& name : names)
    if (!a.groups.contains(name) || !b.groups.contains(name) || !(a.group(name) == b.group(name))) return "/" + name;
  return "";
}

}  // namespace

std::string difference(const Workplace& a, const Workplace& b) {
  const auto runs = a.runs(), others = b.runs();
  if (runs.size() != others.size()) return "number of runs";
  for (size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].id() != others[i].id()) return "ids " + runs[i].id() + " and " + others[i].id();
    const std::string found = difference(a.read(i), b.read(i));
    if (!found.empty()) return runs[i].id() + found;
  }
  return "";
}

}  // namespace hone::test
