// kill -9 at random moments, also in the middle of writes, and two processes at once: what is finished in the end has
// the bits of a run that nothing disturbed.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "sim/base/rng.hpp"
#include "tests/experiments/disturbed.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("faults");

namespace hone::test {
namespace {

using std::chrono::microseconds;

/// Files in the folders of a study whose names hold `part`.
int count_files(const Workplace& place, const std::string& part) {
  int count = 0;
  for (const char* name : {"", "work", "runs"}) {
    std::error_code error;
    for (fs::directory_iterator at(place.out() / name, error), end; !error && at != end; at.increment(error))
      count += mentions(at->path().filename().string(), part);
  }
  return count;
}

/// Sees each creation, write and renaming of a file in work/ and runs/ as it happens.
class Watch {
 public:
  explicit Watch(const Workplace& place) : notices_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    REQUIRE(notices_ >= 0);
    for (const char* name : {"work", "runs"}) {
      const fs::path folder = place.out() / name;
      fs::create_directories(folder);
      REQUIRE(::inotify_add_watch(notices_, folder.c_str(), IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_CLOSE_WRITE) >= 0);
    }
  }
  ~Watch() { ::close(notices_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Waits until `count` things have happened to files whose names hold `part`, or the process has ended.
  void wait_for(Process& process, int count, const std::string& part) {
    alignas(inotify_event) char buffer[1 << 14];
    while (count > 0 && process.is_running()) {
      pollfd readable{notices_, POLLIN, 0};
      if (::poll(&readable, 1, 20) <= 0) continue;
      const ssize_t bytes = ::read(notices_, buffer, sizeof(buffer));
      for (ssize_t at = 0; at < bytes;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        count -= event->len > 0 && mentions(event->name, part);
        at += ssize_t(sizeof(inotify_event) + event->len);
      }
    }
  }

 private:
  int notices_;
};

/// Starts the study and kills it: in its first milliseconds, after some writes of any kind, or in the middle of the
/// writing of a run file. Moments are counted in writes, so that a busy machine does not change what is met.
/// True when the process was still under way.
bool start_and_kill(const Workplace& place, const Stream& stream, std::uint64_t draw) {
  const auto drawn = [&](std::uint64_t index, std::uint64_t bound) { return below(stream, 4 * draw + index, bound); };
  Watch watch(place);
  Process process(place.arguments("run", alone));
  switch (drawn(0, 4)) {
    case 0: std::this_thread::sleep_for(microseconds(drawn(1, 25000))); break;
    case 1: watch.wait_for(process, 1 + int(drawn(1, 300)), ""); break;
    default: watch.wait_for(process, 1 + int(drawn(1, 8)), ".h5.tmp.");
  }
  if (drawn(2, 4) == 0) std::this_thread::sleep_for(microseconds(drawn(3, 2000)));
  process.signal(SIGKILL);
  const Said said = process.wait();
  CHECK_MESSAGE((said.code == -SIGKILL || said.code == 0), said.err);
  return said.code == -SIGKILL;
}

void claim(const Workplace& place, const std::string& text) {
  fs::create_directories(place.out());
  place.write("out/study.toml", text);
}

}  // namespace

TEST_CASE("run: a hundred kills at random moments leave the bits of an undisturbed run") {
  const Stream stream{.seed = 11, .domain = Domain::test};
  MESSAGE("kill moments: Philox seed " << stream.seed << ", domain test");
  int kills = 0, torn = 0, resumable = 0, rounds = 0;
  for (std::uint64_t draw = 0; kills < 100; ++rounds) {
    REQUIRE(rounds < 50);
    const Workplace place(disturbed_text());
    claim(place, disturbed_text());
    int known = 0;
    while (kills < 100 && start_and_kill(place, stream, draw++)) {
      ++kills;
      const int halves = count_files(place, ".tmp.");
      torn += halves > known;
      known = halves;
      resumable += fs::exists(place.partial(0)) || fs::exists(place.partial(1));
    }
    const Said said = place.says("run", alone);
    CHECK_MESSAGE(said.code == 0, said.err);
    CHECK(difference(place, undisturbed()) == "");
    CHECK(count_files(place, ".tmp.") == 0);
    CHECK(fs::is_empty(place.out() / "work"));
  }
  MESSAGE(rounds << " studies, " << torn << " kills with a half-written file, " << resumable << " with a saved state");
  CHECK(torn >= 10);
  CHECK(resumable >= 40);
}

TEST_CASE("run: kills during the first milliseconds never make the folder unusable") {
  const Workplace place(tiny_text()), whole(tiny_text());
  const Stream stream{.seed = 12, .domain = Domain::test};
  for (std::uint64_t draw = 0; draw < 20; ++draw) {
    Process process(place.arguments("run", alone));
    std::this_thread::sleep_for(microseconds(below(stream, draw, 25000)));
    process.signal(SIGKILL);
    const Said said = process.wait();
    CHECK_MESSAGE((said.code == -SIGKILL || said.code == 0), said.err);
  }
  REQUIRE(whole.says("run", alone).code == 0);
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK(difference(place, whole) == "");
}

TEST_CASE("run: two processes on one study, one of them killed, leave the bits of one undisturbed process") {
  const Stream stream{.seed = 14, .domain = Domain::test};
  MESSAGE("kill moments: Philox seed " << stream.seed << ", domain test");
  int kills = 0;
  for (std::uint64_t draw = 0; draw < 4; ++draw) {
    const Workplace place(disturbed_text());
    Process first(place.arguments("run", alone)), second(place.arguments("run", {"--jobs", "2"}));
    std::this_thread::sleep_for(microseconds(50000 + below(stream, draw, 400000)));
    Process& killed = draw % 2 ? second : first;
    Process& left = draw % 2 ? first : second;
    killed.signal(SIGKILL);
    kills += killed.wait().code == -SIGKILL;
    const Said said = left.wait();
    CHECK_MESSAGE(said.code == 0, said.err);
    CHECK(difference(place, undisturbed()) == "");
  }
  CHECK(kills >= 2);
}

TEST_CASE("run: two processes on one study from its first moment both end well and leave the bits of one") {
  for (int repeat = 0; repeat < 2; ++repeat) {
    const Workplace place(disturbed_text());
    Process first(place.arguments("run", alone)), second(place.arguments("run", alone));
    for (const Said& said : {first.wait(), second.wait()}) CHECK_MESSAGE(said.code == 0, said.err);
    CHECK(difference(place, undisturbed()) == "");
    const Said again = place.says("run", alone);
    CHECK_MESSAGE(mentions(again.out, "0 runs finished, 2 were done before"), again.out);
    CHECK(fs::is_empty(place.out() / "work"));
  }
}

}  // namespace hone::test

TEST_SUITE_END();
