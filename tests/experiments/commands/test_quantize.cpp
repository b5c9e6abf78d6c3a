// hone quantize as a user runs it, on a checkpoint made here.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "tests/experiments/checkpoint.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/messages.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

Said quantize(const Checkpoint& checkpoint, const std::vector<std::string>& more = {}, const char* windows = "12",
              const char* calibration_windows = "16") {
  std::vector<std::string> all = {"quantize",
                                  checkpoint.path(),
                                  "--text",
                                  checkpoint.file("text.txt").string(),
                                  "--out",
                                  checkpoint.out().string(),
                                  "--windows",
                                  windows,
                                  "--curvature-windows",
                                  "4",
                                  "--calibration-windows",
                                  calibration_windows};
  all.insert(all.end(), more.begin(), more.end());
  return hone_says(all);
}

TEST_CASE("quantize: a public checkpoint gives a table of schemes and a run file with it") {
  const Checkpoint checkpoint;
  const Said said = quantize(checkpoint, {"--schemes", "rtn", "gptq", "rotate+rtn", "nf4", "--bits", "6", "3"});
  REQUIRE_MESSAGE(said.code == 0, said.err);
  CHECK(said.out.find("rotate+rtn") != std::string::npos);
  const RunFile file = read_run_file(checkpoint.out());
  const Dataset& schemes = file.group("schemes");
  CHECK(schemes.length("entry") == 7);
  CHECK(file.group("scheme_blocks").length("block") == 14);
  for (size_t i = 0; i < 7; ++i) {
    CHECK(std::abs(schemes.doubles("reference_delta_nats")[i]) < 1e-5);
    CHECK(schemes.doubles("kl_nats")[i] > 0);
  }
  // Three bits hurt more than six, whatever the scheme.
  for (size_t i = 0; i < 6; i += 2) CHECK(schemes.doubles("kl_nats")[i + 1] > 4 * schemes.doubles("kl_nats")[i]);
  CHECK(std::get<std::string>(file.group("manifest").attribute("checkpoint")) == checkpoint.path());
}

TEST_CASE("quantize: calibration text too short for a Gram matrix is said, recorded, and cured by what it says") {
  const Checkpoint checkpoint;
  const std::vector<std::string> more = {"--schemes", "rtn", "awq", "gptq",      "guided", "lnq",
                                         "--bits",    "4",   "3",   "--context", "16"};
  const auto warning_of = [&](const Said& said) {
    REQUIRE_MESSAGE(said.code == 0, said.err);
    const RunFile file = read_run_file(checkpoint.out());
    const auto& attributes = file.group("schemes").attributes();
    const auto at = attributes.find("calibration_warning");
    const std::string recorded = at == attributes.end() ? "" : std::get<std::string>(at->second);
    const size_t place = said.err.find("calibration is short");
    const std::string shown = place == said.err.npos ? "" : said.err.substr(place, said.err.find('\n', place) - place);
    CHECK(recorded == shown);
    return shown;
  };
  const std::string singular = warning_of(quantize(checkpoint, more, "12", "1"));
  for (const char* part : {"short for gptq, guided, lnq", "fewer tokens than inputs, so that the damping decides",
                           "raise --calibration-windows from 1 to "})
    CHECK_MESSAGE(mentions(singular, part), singular);
  CHECK(!mentions(singular, "rtn"));
  const std::string needed = singular.substr(singular.rfind(' ') + 1);
  CHECK(warning_of(quantize(checkpoint, more, "12", needed.c_str())) == "");
  const std::string fewer = std::to_string(std::stoi(needed) - 1);
  const std::string thin = warning_of(quantize(checkpoint, more, "12", fewer.c_str()));
  CHECK_MESSAGE(mentions(thin, "have fewer than 10 tokens per input"), thin);
  CHECK(!mentions(thin, "damping decides"));
  CHECK_MESSAGE(mentions(thin, fmt::format("raise --calibration-windows from {} to {}", fewer, needed)), thin);
  CHECK(warning_of(quantize(checkpoint, {"--schemes", "rtn", "awq", "nf4", "--bits", "4", "--context", "16"}, "12",
                            "1")) == "");
}

TEST_CASE("quantize: activation and cache bits are in force when the schemes are evaluated") {
  const Checkpoint checkpoint;
  const std::vector<std::string> only = {"--schemes", "rtn", "--bits", "16"};
  REQUIRE(quantize(checkpoint, only).code == 0);
  CHECK(read_run_file(checkpoint.out()).group("schemes").doubles("delta_nats").front() == 0);
  for (const char* option : {"--activation-bits", "--kv-bits"}) {
    auto more = only;
    more.insert(more.end(), {option, "3"});
    REQUIRE(quantize(checkpoint, more).code == 0);
    CHECK(read_run_file(checkpoint.out()).group("schemes").doubles("kl_nats").front() > 1e-4);
  }
}

TEST_CASE("quantize: equal commands write equal bytes on any number of threads") {
  const Checkpoint checkpoint;
  const std::vector<std::string> names = {"--schemes", "gptq", "awq", "--bits", "4"};
  std::vector<Dataset> found;
  for (const char* threads : {"1", "3"}) {
    auto more = names;
    more.insert(more.end(), {"--threads", threads});
    REQUIRE(quantize(checkpoint, more).code == 0);
    found.push_back(read_run_file(checkpoint.out()).group("schemes"));
  }
  CHECK(found[0] == found[1]);
}

TEST_CASE("quantize: wrong options name the option and the fix, and nothing is written") {
  const Checkpoint checkpoint;
  const auto refused = [&](const std::vector<std::string>& more, const char* part, const char* windows = "12",
                           const char* calibration_windows = "16") {
    const Said said = quantize(checkpoint, more, windows, calibration_windows);
    CAPTURE(said.err);
    CHECK(said.code == 2);
    CHECK(said.err.find(part) != std::string::npos);
    CHECK(count_lines(said.err) == 1);
    CHECK(!fs::exists(checkpoint.out()));
  };
  refused({"--schemes", "gtpq"}, "did you mean \"gptq\"");
  refused({"--schemes", "rtn", "--bits", "1"}, "--bits = 1");
  refused({"--schemes", "rtn", "--granularity", "group"}, "--group = 0");
  refused({"--schemes", "rtn", "--grid", "restrictd"}, "did you mean 'restricted'");
  refused({}, "--windows", "100000");
  refused({}, "--calibration-windows", "12", "100000");
}

}  // namespace
}  // namespace hone::test
