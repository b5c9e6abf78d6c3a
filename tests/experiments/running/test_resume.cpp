#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "sim/base/rng.hpp"
#include "tests/experiments/program.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

using std::chrono::microseconds;

/// A transformer with averages and cooled branches, then a perceptron: about two seconds, ten and four checkpoints.
std::string long_text() {
  std::string text = replaced(quick_text(), "seeds = [1, 2]", "seeds = [1]");
  text = replaced(text, "tokens = 40960\nfirst_tokens = 10240\ncheckpoints = 3\n",
                  "tokens = 204800\nfirst_tokens = 51200\ncheckpoints = 10\n");
  text = replaced(text, "at = [2]\n", "at = [2, 6]\n");
  text = replaced(text, "tokens = 20480\nfirst_tokens = 5120\ncheckpoints = 2",
                  "tokens = 20480\nfirst_tokens = 5120\ncheckpoints = 4");
  return replaced(text, "chunk_rows = 128", "chunk_rows = 128\nema_decay = 0.95\nlawa_window = 20\nlawa_every = 7");
}

/// That study run once with one job and one thread.
const Workplace& undisturbed() {
  static const Workplace place(long_text());
  static const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  return place;
}

/// Partial files with the times of their last save.
std::map<std::string, fs::file_time_type> saves(const Workplace& place) {
  std::map<std::string, fs::file_time_type> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(place.out() / "work", error)) {
    const fs::path path = entry.path();
    const auto time = fs::last_write_time(path, error);
    if (!error && path.extension() == ".h5") found[path.string()] = time;
  }
  return found;
}

/// Waits until partial files were saved `count` times, or the process has ended.
void wait_for_saves(Process& process, const Workplace& place, int count) {
  auto known = saves(place);
  while (count > 0 && process.is_running()) {
    std::this_thread::sleep_for(microseconds(300));
    auto now = saves(place);
    for (const auto& [path, time] : now)
      if (!known.contains(path) || known[path] != time) --count;
    known = std::move(now);
  }
}

}  // namespace

TEST_CASE("run: Ctrl-C exits with 130, says how to go on, and the rest has the same bits") {
  const Workplace place(long_text());
  const Stream stream{.seed = 13, .domain = Domain::test};
  MESSAGE("interrupts: Philox seed " << stream.seed << ", domain test");
  int interrupts = 0;
  for (std::uint64_t draw = 0; draw < 3; ++draw) {
    const int number = draw == 1 ? SIGTERM : SIGINT;
    Process process(place.arguments("run", alone));
    wait_for_saves(process, place, 1);
    std::this_thread::sleep_for(microseconds(below(stream, draw, 100000)));
    process.signal(number);
    const Said said = process.wait();
    CHECK_MESSAGE((said.code == 130 || said.code == 0), said.err);
    if (said.code != 130) continue;
    ++interrupts;
    CHECK_MESSAGE(mentions(said.out, "run the same command again to go on"), said.out);
    CHECK_MESSAGE(!mentions(said.err, "failed"), said.err);
  }
  CHECK(interrupts >= 2);
  CHECK(mentions(place.says("plan").out, "done"));
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK(difference(place, undisturbed()) == "");
}

TEST_CASE("run: an interrupted run is partly done and holds its updates since the last checkpoint") {
  // One checkpoint at the end of 4 million updates: what is saved can only come from the interrupt.
  const Workplace place(replaced(tiny_text(), "tokens = 1600\nfirst_tokens = 400\ncheckpoints = 2",
                                 "tokens = 64000000\nfirst_tokens = 64000000\ncheckpoints = 1"));
  Process process(place.arguments("run", alone));
  while (process.is_running() && !fs::exists(place.out() / "work")) std::this_thread::sleep_for(microseconds(300));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  process.signal(SIGINT);
  const Said said = process.wait();
  REQUIRE_MESSAGE(said.code == 130, said.out << said.err);
  CHECK(mentions(place.says("plan").out, "partly done"));
  const RunFile partial = read_run_file(place.partial(0));
  const std::int64_t steps = partial.group("series").length("step");
  CHECK(steps > 0);
  CHECK(steps < 4000000);
  CHECK(partial.group("series").ints("step").back() == steps);
  CHECK(std::get<std::int64_t>(partial.group("state").attribute("checkpoints_done")) == 0);
}

TEST_CASE("run: the text of a resumed run may not change under it") {
  const TemporaryFolder texts;
  std::string text = replaced(quick_text(), "seeds = [1, 2]", "seeds = [1]");
  text = replaced(
      text, "kind = \"markov\"\nvocabulary = 64",
      fmt::format("kind = \"text\"\nvalidation_fraction = 0.2\nfiles = ['{}']", (texts.path() / "text.txt").string()));
  const auto write_text = [&](char letter) {
    std::string words;
    for (int i = 0; i < 60000; ++i) words += fmt::format("{} {} ", i % 37, letter);
    texts.write("text.txt", words);
  };
  write_text('a');
  const Workplace place(text), whole(text);
  Process process(place.arguments("run", alone));
  wait_for_saves(process, place, 1);
  process.signal(SIGKILL);
  (void)process.wait();
  REQUIRE(fs::exists(place.partial(0)));
  write_text('b');
  const Said said = place.says("run", alone);
  CHECK(said.code == 0);
  CHECK_MESSAGE(mentions(said.err, "another text"), said.err);
  REQUIRE(whole.says("run", alone).code == 0);
  CHECK(difference(place, whole) == "");
}

TEST_CASE("run: the content does not depend on threads or on jobs") {
  for (const std::vector<std::string>& how :
       {std::vector<std::string>{"--jobs", "1", "--threads", "2"}, {"--jobs", "2"}}) {
    const Workplace place(quick_text());
    const Said said = place.says("run", how);
    CHECK_MESSAGE(said.code == 0, said.err);
    CHECK(difference(place, quick()) == "");
  }
}

TEST_CASE("run: every variant is measured at its checkpoints") {
  const RunFile run = undisturbed().read(0);
  std::map<std::string, int> counts;
  for (const std::string& variant : run.group("checkpoints").strings("variant")) ++counts[variant];
  CHECK(counts == std::map<std::string, int>{{"trunk", 10}, {"ema", 10}, {"lawa", 10}, {"cooled", 2}});
}

}  // namespace hone::test

TEST_SUITE_END();
