// hone measure as a user runs it, on a checkpoint made here.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

#include <algorithm>

#include "sim/base/atomic_file.hpp"
#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"
#include "tests/experiments/checkpoint.hpp"
#include "tests/experiments/program.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

/// A checkpoint with the arguments that measure it quickly.
class Measured : public Checkpoint {
 public:
  std::vector<std::string> arguments(const std::vector<std::string>& more = {}, const char* windows = "12",
                                     const char* curvature_windows = "4") const {
    std::vector<std::string> all = {"measure",
                                    path(),
                                    "--text",
                                    file("text.txt").string(),
                                    "--windows",
                                    windows,
                                    "--curvature-windows",
                                    curvature_windows,
                                    "--out",
                                    out().string(),
                                    "--lanczos-steps",
                                    "60",
                                    "--threads",
                                    "1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
};

TEST_CASE("measure: a public checkpoint gives loss, certified spectrum and a ladder of bits") {
  const Measured checkpoint;
  const Said said = hone_says(checkpoint.arguments({"--continue", "The sheep", "--continue-tokens", "4"}));
  CAPTURE(said.out);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  CHECK(said.out.find("greedy continuation: The sheep") != std::string::npos);
  CHECK(said.out.find("FAILED") == std::string::npos);
  CHECK(said.out.find("memory: ") != std::string::npos);
  const RunFile file = read_run_file(checkpoint.out());
  const double loss = file.group("checkpoints").doubles("loss_nats").front();
  CHECK(loss > 4);  // untrained: near ln 256
  CHECK(loss < 9);
  CHECK(file.group("curvature").ints("dimension").front() == layers * (4 * width * width + 3 * width * mlp));
  CHECK(file.group("curvature").doubles("lambda").size() == 5);
  CHECK(file.group("curvature").doubles("lambda_smallest").size() == 2);
  CHECK(file.group("ptq").ints("bits") == std::vector<std::int64_t>{8, 7, 6, 5, 4, 3, 2});
  const auto& passed = file.group("certificates").ints("passed");
  CHECK(passed.size() >= 15);
  CHECK(std::count(passed.begin(), passed.end(), 1) == std::ptrdiff_t(passed.size()));
  CHECK(!fs::exists(checkpoint.out().string() + ".products"));
}

TEST_CASE("measure: two solves with other blocks and seeds agree on every eigenvalue within their bounds") {
  const Measured checkpoint;
  REQUIRE(hone_says(checkpoint.arguments()).code == 0);
  const RunFile products = read_run_file(checkpoint.out());
  REQUIRE(hone_says(checkpoint.arguments({"--block", "3", "--seed", "2"})).code == 0);
  const RunFile other = read_run_file(checkpoint.out());
  for (const char* name : {"lambda", "lambda_smallest"}) {
    const auto& a = products.group("curvature").doubles(name);
    const auto& b = other.group("curvature").doubles(name);
    const auto& bound_a = products.group("curvature").doubles(std::string(name) + "_bound");
    const auto& bound_b = other.group("curvature").doubles(std::string(name) + "_bound");
    for (size_t i = 0; i < a.size(); ++i) CHECK(std::abs(a[i] - b[i]) <= bound_a[i] + bound_b[i]);
  }
}

TEST_CASE("measure: without eigenpairs traces and density remain, and the trace is that beside eigenpairs") {
  const Measured checkpoint;
  const Said said = hone_says(checkpoint.arguments({"--eigenpairs", "0", "--eigenpairs-smallest", "0"}));
  REQUIRE_MESSAGE((said.code == 0 || said.code == 4), said.err);  // 4: few nodes do not resolve an outlier
  CHECK(said.out.find("GiB at the peak") != std::string::npos);
  const RunFile alone = read_run_file(checkpoint.out());
  REQUIRE(hone_says(checkpoint.arguments({"--seed", "2"})).code == 0);
  const RunFile deflated = read_run_file(checkpoint.out());
  const auto of = [](const RunFile& file, const char* name) { return file.group("curvature").doubles(name); };
  CHECK(of(alone, "lambda").empty());
  CHECK(of(alone, "lambda_smallest").empty());
  CHECK(of(deflated, "lambda").size() == 5);
  const double error = std::hypot(of(alone, "trace_se").front(), of(deflated, "trace_se").front());
  CHECK(error > 0);
  CHECK(std::abs(of(alone, "trace").front() - of(deflated, "trace").front()) <= 5 * error);
}

TEST_CASE("measure: killed at any moment and run again it writes the same bits") {
  const Measured checkpoint;
  REQUIRE(hone_says(checkpoint.arguments()).code == 0);
  const std::string undisturbed = read_text(checkpoint.out());
  fs::remove(checkpoint.out());
  int killed = 0;
  for (int attempt = 0; attempt < 40 && !fs::exists(checkpoint.out()); ++attempt) {
    Process process(checkpoint.arguments());
    std::this_thread::sleep_for(std::chrono::milliseconds(30 + 40 * attempt));
    if (!process.is_running()) break;
    process.signal(SIGKILL);
    process.wait();
    ++killed;
  }
  if (!fs::exists(checkpoint.out())) REQUIRE(hone_says(checkpoint.arguments()).code == 0);
  CHECK(killed >= 2);
  CHECK(read_text(checkpoint.out()) == undisturbed);
}

TEST_CASE("measure: products of another model of equal parameters are never taken from the journal") {
  const Measured checkpoint;
  // A kill leaves a journal behind; then the architecture changes and the weights do not.
  for (int attempt = 0; !fs::exists(checkpoint.out().string() + ".products"); ++attempt) {
    REQUIRE(attempt < 50);
    Process process(checkpoint.arguments());
    std::this_thread::sleep_for(std::chrono::milliseconds(100 + 20 * attempt));
    process.signal(SIGKILL);
    process.wait();
  }
  const std::string config = read_text(checkpoint.file("config.json"));
  write_text_atomically(checkpoint.file("config.json"), replaced(config, "10000.0", "500.0"));
  REQUIRE(hone_says(checkpoint.arguments()).code == 0);
  const RunFile after_kill = read_run_file(checkpoint.out());
  fs::remove(checkpoint.out());
  REQUIRE(hone_says(checkpoint.arguments()).code == 0);
  CHECK(after_kill.group("curvature") == read_run_file(checkpoint.out()).group("curvature"));
}

TEST_CASE("measure: the tokenizer beside a checkpoint file is found, also in the folder where the program runs") {
  const std::string folder = std::string(HONE_GOLDEN) + "/import/llama2c";
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  const Said said = hone_says({"measure", "model.bin", "--text", "expected.json", "--windows", "2"});
  fs::current_path(before);
  CHECK(said.code == 2);  // that tiny model and its tokenizer have other vocabularies: read, and told apart
  CAPTURE(said.err);
  CHECK(said.err.find("has a vocabulary of 40") != std::string::npos);
}

TEST_CASE("measure: what cannot be done is refused with the fix") {
  const Measured checkpoint;
  const auto expect_refusal = [](const Said& said, const std::string& part) {
    CAPTURE(said.err);
    CHECK(said.code == 2);
    CHECK(said.err.find(part) != std::string::npos);
  };
  const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
    expect_refusal(hone_says(checkpoint.arguments(more)), part);
  };
  refused({"--memory", "0.0001"}, "raise --memory");
  refused({"--context", "64"}, "choose at most that");
  expect_refusal(hone_says(checkpoint.arguments({}, "100000")), "windows");
  refused({"--grid", "restrictd"}, "restricted");
  refused({"--eigenpairs", "0", "--noise", "0.01"}, "ask for 1 or more");
  const Said said =
      hone_says({"measure", checkpoint.file("text.txt").string(), "--text", checkpoint.file("text.txt").string()});
  CHECK(said.code == 1);
  CHECK(said.err.find("text.txt") != std::string::npos);
}

}  // namespace
}  // namespace hone::test

TEST_SUITE_END();
