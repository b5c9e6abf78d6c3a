// Full disks, read-only folders and damaged states: what is said names the file and the fix, nothing that was saved is
// lost, and what is finished in the end has the bits of a run that nothing disturbed.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "experiments/running/files.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "tests/experiments/disturbed.hpp"
#include "tests/support/small_disk.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("faults");

namespace hone::test {
namespace {

void overwrite(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

/// Finished runs and their bytes; nothing that is in it may ever change.
std::map<std::string, std::string> finished_bytes(const Workplace& place) {
  std::map<std::string, std::string> found;
  for (size_t i = 0; i < place.runs().size(); ++i)
    if (fs::exists(place.finished(i))) found[place.finished(i).string()] = read_text(place.finished(i));
  return found;
}

/// Every complaint of a run names a place in the folder of the study, the cause and the fix.
void expect_complaint(const Said& said, const Workplace& place, const std::string& cause, const std::string& fix) {
  CHECK(said.code == 1);
  for (const std::string& part : {place.out().string(), cause, fix})
    CHECK_MESSAGE(mentions(said.err, part), part << " not in " << said.err);
  CHECK(!mentions(said.err, "unexpected"));
}

/// A study whose first run has saved several states and was interrupted.
struct Stopped : Workplace {
  Stopped() : Workplace(disturbed_text()) {
    Process process(arguments("run", alone));
    while (process.is_running() && saved_checkpoints() < 2) std::this_thread::sleep_for(std::chrono::microseconds(500));
    process.signal(SIGINT);
    REQUIRE(process.wait().code == 130);
  }
  std::int64_t saved_checkpoints() const {
    const auto states = experiments::saved_states(out(), runs().at(0));
    return states.empty() ? 0 : states.front().checkpoints;
  }
};

}  // namespace

TEST_CASE("run: a disk that is full at any stage is named, keeps what was saved, and the rest has the same bits") {
  const Workplace place(quick_text());
  SmallDisk disk(place.out(), 4);
  if (!disk.is_mounted()) return;
  int complaints = 0;
  for (int kib : {4, 16, 64, 128, 256, 512, 768, 1024, 1536, 2048, 3072}) {
    CAPTURE(kib);
    disk.resize(kib);
    const auto before = finished_bytes(place);
    const Said said = place.says("run", alone);
    for (const auto& [path, bytes] : before) CHECK(read_text(path) == bytes);
    if (said.code == 0) break;
    expect_complaint(said, place, "No space left on device", "free some space or choose another --out");
    ++complaints;
  }
  CHECK(complaints >= 3);
  disk.resize(1 << 16);
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK(difference(place, quick()) == "");
  CHECK(fs::is_empty(place.out() / "work"));
}

TEST_CASE("run: a limit on file sizes is named like a full disk and does not kill the program") {
  const Workplace place(quick_text());
  int complaints = 0;
  for (int kib : {1, 8, 20, 40}) {
    CAPTURE(kib);
    const Said said = hone_says(place.arguments("run", alone), {"prlimit", fmt::format("--fsize={}", kib << 10)});
    if (said.code == 0) break;
    expect_complaint(said, place, "File too large", "ulimit -f");
    ++complaints;
  }
  CHECK(complaints >= 2);
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK(difference(place, quick()) == "");
}

TEST_CASE("run, judge, table: a read-only file system is named with the fix, and reading goes on [tmpfs]") {
  const Workplace place(tiny_text());
  SmallDisk disk(place.out(), 4096);
  if (!disk.is_mounted()) return;
  REQUIRE(place.says("run", alone).code == 0);
  disk.set_read_only(true);
  for (const char* command : {"run", "judge", "table"})
    expect_complaint(place.says(command), place, "Read-only file system", "make it writable or choose another --out");
  CHECK(mentions(place.says("plan").out, "done"));
  CHECK(hone_says({"inspect", place.finished(0).string()}).code == 0);
  disk.set_read_only(false);
  for (const char* command : {"run", "judge", "table"}) CHECK(place.says(command).code == 0);
}

TEST_CASE("run: a folder of another user is named with the fix [setpriv]") {
  const Workplace place(tiny_text());
  if (::geteuid() != 0) {
    MESSAGE("SKIPPED: running as another user needs root");
    return;
  }
  const std::vector<std::string> nobody = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
  fs::create_directories(place.out());
  expect_complaint(hone_says(place.arguments("run", alone), nobody), place, "Permission denied", "make it writable");
  REQUIRE(place.says("run", alone).code == 0);
  const Said said = hone_says(place.arguments("judge"), nobody);
  expect_complaint(said, place, "Permission denied", "make it writable");
  CHECK(mentions(said.err, "verdict.json"));
}

TEST_CASE("run: any flipped bit in the last saved state is named, and the run goes on from the state before it") {
  const Stopped place;
  const auto states = experiments::saved_states(place.out(), place.runs().at(0));
  REQUIRE(states.size() >= 2);
  const fs::path last = states[0].path;
  const std::string whole = read_text(last);
  const Stream stream{.seed = 15, .domain = Domain::test};
  for (std::uint64_t draw = 0; draw < 200; ++draw) {
    const size_t at = size_t(below(stream, 2 * draw, whole.size()));
    std::string flipped = whole;
    flipped[at] = char(flipped[at] ^ (1 << below(stream, 2 * draw + 1, 8)));
    overwrite(last, flipped);
    CAPTURE(at);
    CHECK_THROWS_AS((void)read_run_file(last), FormatError);
  }
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK_MESSAGE(mentions(said.err, last.string() + ": its SHA-256 differs"), said.err);
  CHECK_MESSAGE(mentions(said.err, "goes on from " + states[1].path.filename().string()), said.err);
  CHECK_MESSAGE(!mentions(said.err, "anew"), said.err);
  CHECK(difference(place, undisturbed()) == "");
  CHECK(fs::is_empty(place.out() / "work"));
}

TEST_CASE("run: with every saved state damaged the run starts anew, and each of them is named") {
  const Stopped place;
  const auto states = experiments::saved_states(place.out(), place.runs().at(0));
  REQUIRE(states.size() >= 2);
  for (const auto& state : states) overwrite(state.path, read_text(state.path).substr(0, 1000));
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  for (const auto& state : states) CHECK_MESSAGE(mentions(said.err, state.path.string()), said.err);
  CHECK_MESSAGE(mentions(said.err, "anew"), said.err);
  CHECK(difference(place, undisturbed()) == "");
}

TEST_CASE("run: one failing run does not stop the others, and Ctrl-C after it still exits with 130") {
  const std::string missing = replaced(tiny_text(), "[train]",
                                       "[[data]]\nname = \"none\"\nkind = \"text\"\nfiles = [\"/no/such/text\"]\n"
                                       "[[models]]\nname = \"lost\"\ndata = \"none\"\ntokens = 20000000\n[train]");
  const Workplace place(missing);
  const Said said = place.says("run", alone);
  CHECK(said.code == 1);
  CHECK_MESSAGE(mentions(said.out, "1 runs finished, 0 were done before, 1 failed"), said.out);
  CHECK_MESSAGE(mentions(said.err, "/no/such/text"), said.err);
  const Workplace long_one(replaced(missing, "tokens = 1600\nfirst_tokens = 400\ncheckpoints = 2",
                                    "tokens = 16000000\nfirst_tokens = 16000000\ncheckpoints = 1"));
  Process process(long_one.arguments("run", {"--jobs", "2"}));
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  process.signal(SIGINT);
  const Said stopped = process.wait();
  CHECK_MESSAGE(stopped.code == 130, stopped.out << stopped.err);
  CHECK_MESSAGE(mentions(stopped.out, "1 failed, interrupted"), stopped.out);
}

}  // namespace hone::test

TEST_SUITE_END();
