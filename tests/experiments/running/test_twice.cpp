#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "experiments/running/files.hpp"
#include "tests/experiments/program.hpp"

namespace fs = std::filesystem;
using hone::experiments::RunSpec;
using hone::experiments::SavedState;

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

/// One transformer with ten checkpoints, about two seconds.
std::string ten_checkpoints() {
  std::string text = replaced(quick_text(), "seeds = [1, 2]", "seeds = [1]");
  return replaced(text, "tokens = 40960\nfirst_tokens = 10240\ncheckpoints = 3",
                  "tokens = 204800\nfirst_tokens = 20480\ncheckpoints = 10");
}

const Workplace& undisturbed() {
  static const Workplace place(ten_checkpoints());
  static const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  return place;
}

std::int64_t furthest(const Workplace& place) {
  const auto states = experiments::saved_states(place.out(), place.runs().at(0));
  return states.empty() ? 0 : states.front().updates;
}

/// Waits until the first run has a saved state of more than `updates`, stops the process there, and says how far it is.
std::int64_t stop_beyond(Process& process, const Workplace& place, std::int64_t updates) {
  while (process.is_running() && furthest(place) <= updates) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  REQUIRE(process.is_running());
  process.signal(SIGSTOP);
  return furthest(place);
}

}  // namespace

TEST_CASE("run files: states come the furthest first; those ahead, and one behind, survive a removal") {
  const Workplace place(tiny_text());
  const RunSpec run = place.runs().at(0);
  fs::create_directories(place.out() / "work");
  const auto save = [&](std::int64_t updates, std::int64_t checkpoints) {
    place.write("out/work/" + experiments::saved_path("", run, updates, checkpoints).filename().string(), "state");
  };
  save(90, 0), save(100, 1), save(100, 0), save(1000, 2);
  place.write("out/work/" + run.id() + ".2000.3.h5.tmp.host.1.0", "half a state");
  place.write("out/work/" + run.id() + "0.3000.3.h5", "of another run");
  const auto far = [&] {
    std::vector<std::pair<std::int64_t, std::int64_t>> found;
    for (const SavedState& state : experiments::saved_states(place.out(), run))
      found.emplace_back(state.updates, state.checkpoints);
    return found;
  };
  CHECK(far() == std::vector<std::pair<std::int64_t, std::int64_t>>{{1000, 2}, {100, 1}, {100, 0}, {90, 0}});
  experiments::remove_old_states({{}, 100, 1}, place.out(), run);
  CHECK(far() == std::vector<std::pair<std::int64_t, std::int64_t>>{{1000, 2}, {100, 1}, {100, 0}});
  fs::create_directories(place.out() / "runs");
  place.write("out/runs/" + run.id() + ".h5", "finished");
  place.write("out/runs/" + run.id() + ".h5.tmp.host.1.0", "half of it");
  experiments::remove_work(place.out(), run);
  CHECK(far().empty());
  CHECK(std::distance(fs::directory_iterator(place.out() / "work"), {}) == 1);
  CHECK(std::distance(fs::directory_iterator(place.out() / "runs"), {}) == 1);
  CHECK(fs::exists(place.finished(0)));
}

TEST_CASE("run twice: the slower process leaves what the faster one saved, and a third goes on from there") {
  const Workplace place(ten_checkpoints());
  Process slow(place.arguments("run", alone));
  const std::int64_t behind = stop_beyond(slow, place, 0);
  Process quick(place.arguments("run", alone));
  const std::int64_t ahead = stop_beyond(quick, place, 2 * behind);
  slow.signal(SIGCONT);
  const RunSpec run = place.runs().at(0);
  while (slow.is_running() && experiments::saved_states(place.out(), run).size() < 2)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  slow.signal(SIGKILL);
  quick.signal(SIGKILL);
  (void)slow.wait(), (void)quick.wait();
  CHECK(furthest(place) == ahead);
  CHECK(experiments::saved_states(place.out(), run).size() >= 2);
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK(difference(place, undisturbed()) == "");
  CHECK(fs::is_empty(place.out() / "work"));
}

TEST_CASE("run twice: a process that was overtaken keeps the other's file and ends well") {
  const Workplace place(ten_checkpoints());
  Process overtaken(place.arguments("run", alone));
  (void)stop_beyond(overtaken, place, 0);
  const Said quick = place.says("run", {"--jobs", "1", "--threads", "2"});
  REQUIRE_MESSAGE(quick.code == 0, quick.err);
  const std::string whole = read_text(place.finished(0));
  overtaken.signal(SIGCONT);
  const Said said = overtaken.wait();
  CHECK_MESSAGE(said.code == 0, said.out << said.err);
  CHECK_MESSAGE(mentions(said.err, "finished by another process"), said.err);
  CHECK(read_text(place.finished(0)) == whole);
  CHECK(fs::is_empty(place.out() / "work"));
  CHECK(difference(place, undisturbed()) == "");
}

}  // namespace hone::test

TEST_SUITE_END();
