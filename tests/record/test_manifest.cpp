#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <iostream>

#include "sim/base/atomic_file.hpp"
#include "sim/base/instruction_class.hpp"
#include "sim/record/manifest.hpp"
#include "tests/record/example_run.hpp"
#include "tests/support/messages.hpp"

TEST_SUITE_BEGIN("record");

namespace hone {
namespace {

using test::mentions;

bool runs(const std::string& command) { return std::system(("(" + command + ") > /dev/null 2>&1").c_str()) == 0; }

/// Runs git_id.cmake on `source` and gives the header that it wrote.
std::string git_header(const std::filesystem::path& source, const std::filesystem::path& header) {
  CHECK(runs(fmt::format("'{}' -DSOURCE='{}' -DOUTPUT='{}' -P '{}/sim/record/git_id.cmake'", HONE_CMAKE,
                         source.string(), header.string(), HONE_SOURCE_DIR)));
  return read_text(header);
}

}  // namespace

TEST_CASE("manifest: this build names its version, compiler, flags and commit") {
  const BuildInfo build = this_build();
  CHECK(build.version.find('.') != std::string::npos);
  CHECK(mentions(build.compiler, " "));
  CHECK(mentions(build.flags, "-march=" + build.march));
  CHECK(mentions(build.flags, "-fno-math-errno"));
  CHECK((build.git_id == "unknown" || build.git_id.size() >= 40));
}

TEST_CASE("manifest: attributes hold build, seed of 64 bits, threads, CPU, instruction class and inputs") {
  const BuildInfo build{"1.2.3", "abc", true, "GNU 12", "-O3", "native"};
  const auto attributes = manifest_group(build, 18446744073709551615u, 2, {{"corpus", "feed"}}).attributes();
  const std::map<std::string, Attribute> expected{{"hone_version", "1.2.3"},
                                                  {"git_id", "abc"},
                                                  {"git_dirty", std::int64_t{1}},
                                                  {"compiler", "GNU 12"},
                                                  {"flags", "-O3"},
                                                  {"march", "native"},
                                                  {"isa", std::string(name_of(instruction_class()))},
                                                  {"seed", "18446744073709551615"},
                                                  {"threads", std::int64_t{2}},
                                                  {"cpu_model", attributes.at("cpu_model")},
                                                  {"input_sha256.corpus", "feed"}};
  CHECK(same_bits(attributes, expected));
}

TEST_CASE("manifest: the CPU is the first model name of /proc/cpuinfo") {
  CHECK(cpu_model("processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2: fast\nmodel name\t: "
                  "other\n") == "Some CPU @ 2: fast");
  CHECK(cpu_model("") == "unknown");
  CHECK(cpu_model("model name\n") == "unknown");
}

TEST_CASE(
    "git_id: unknown outside git, the commit inside, dirty after a change, untouched when nothing "
    "changed") {
  const test::TemporaryFolder folder;
  const std::string source = (folder / "source").string();
  std::filesystem::create_directories(folder / "source" / "inner");
  CHECK(mentions(git_header(source, folder / "a.hpp"), "git_id = \"unknown\""));
  if (!runs("git --version")) {
    std::cout << "SKIPPED: no git here, the commit inside a repository stays untested\n";
    return;
  }
  const std::string git = fmt::format("git -C '{}' -c user.name=t -c user.email=t@t ", source);
  write_text_atomically(folder / "source" / "file", "one");
  REQUIRE(runs(git + "init && " + git + "add file && " + git + "commit -m first"));
  const std::string clean = git_header(source, folder / "a.hpp");
  CHECK(!mentions(clean, "unknown"));
  CHECK(mentions(clean, "git_is_dirty = false"));
  CHECK(mentions(git_header(folder / "source" / "inner", folder / "b.hpp"), "unknown"));

  const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::filesystem::last_write_time(folder / "a.hpp", old);
  const auto stamp = std::filesystem::last_write_time(folder / "a.hpp");
  git_header(source, folder / "a.hpp");
  CHECK(std::filesystem::last_write_time(folder / "a.hpp") == stamp);
  write_text_atomically(folder / "source" / "file", "two");
  CHECK(mentions(git_header(source, folder / "a.hpp"), "git_is_dirty = true"));
}

TEST_SUITE_END();

}  // namespace hone
