#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <type_traits>
#include <utility>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "tests/record/example_run.hpp"

TEST_SUITE_BEGIN("record");

namespace hone {
namespace {

namespace fs = std::filesystem;

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("run_file: read gives back what was written, bit for bit [all types, NaN, empty, UTF-8]") {
  const test::TemporaryFolder folder;
  const RunFile run = test::example_run();
  write_run_file(folder / "run.h5", run);
  const RunFile back = read_run_file(folder / "run.h5");
  CHECK(same_bits(back.attributes, run.attributes));
  REQUIRE(back.groups.size() == run.groups.size());
  for (const auto& [name, data] : run.groups) CHECK_MESSAGE(back.group(name) == data, name);
  CHECK(back.group("series").length("col") == 4);
  CHECK(std::signbit(back.group("ptq").doubles("delta_nats")[2]));
}

TEST_CASE("run_file: round trip [no title, no groups; 9 axes; chunks of an uneven shape]") {
  const test::TemporaryFolder folder;
  RunFile run;
  write_run_file(folder / "run.h5", run);
  CHECK(read_run_file(folder / "run.h5").attributes.empty());
  CHECK(read_run_file(folder / "run.h5").groups.empty());

  Dataset& data = run.groups["wide"];
  Variable deep{{}, {}, std::vector<double>(1024), "1", ""};
  for (int i = 0; i < 10; ++i) deep.dims.push_back(fmt::format("d{}", i)), deep.shape.push_back(2);
  data.set("deep", deep);
  std::vector<double> values(3 * 100003);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1.0 / static_cast<double>(i + 1);
  data.set("table", matrix_variable({"row", "col"}, {3, 100003}, values, "1", ""));
  write_run_file(folder / "run.h5", run);
  CHECK(read_run_file(folder / "run.h5").group("wide") == data);
}

TEST_CASE("run_file: equal content gives equal bytes, seconds later and from a dirty heap") {
  const test::TemporaryFolder folder;
  write_run_file(folder / "a.h5", test::example_run());
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  {
    std::vector<std::string> dirt;
    for (int i = 0; i < 2000; ++i) dirt.emplace_back(static_cast<std::size_t>(16 + 13 * i % 9000), '\xA5');
  }
  write_run_file(folder / "b.h5", read_run_file(folder / "a.h5"));
  CHECK(read_text(folder / "a.h5") == read_text(folder / "b.h5"));
}

TEST_CASE("run_file: numbers above 4 KiB are compressed") {
  const test::TemporaryFolder folder;
  RunFile run;
  run.groups["x"].set("zeros", vector_variable("i", std::vector<double>(1 << 20), "1", ""));
  write_run_file(folder / "run.h5", run);
  CHECK(fs::file_size(folder / "run.h5") < 100000);  // 8 MiB plain
  CHECK(read_run_file(folder / "run.h5").group("x") == run.groups["x"]);
}

TEST_CASE("run_file: a group of a file that ends with the statement is a copy, of any other a reference") {
  CHECK(!std::is_reference_v<decltype(std::declval<RunFile>().group(""))>);
  CHECK(std::is_reference_v<decltype(std::declval<RunFile&>().group(""))>);
  CHECK(std::is_reference_v<decltype(std::declval<const RunFile&>().group(""))>);
}

TEST_CASE("run_file: a missing group -> FormatError naming the file and its groups") {
  const test::TemporaryFolder folder;
  write_run_file(folder / "run.h5", test::example_run());
  const RunFile run = read_run_file(folder / "run.h5");
  const std::string path = (folder / "run.h5").string();
  CHECK_THROWS_WITH_AS(run.group("noise"),
                       (path + " has no group /noise; it has: /manifest, /nothing, /ptq, /series, /state").c_str(),
                       FormatError);
  CHECK_THROWS_WITH_AS(
      run.group("ptq").at("x"),
      (path + ": /ptq has no variable 'x'; it has: bits, damage, delta_nats, variant, verdict").c_str(), FormatError);
}

TEST_CASE("run_file: an attribute of the file itself or a bad group name -> ContractError") {
  const test::TemporaryFolder folder;
  for (const char* name : {"schema", "schema_version", "Conventions", "a/b"}) {
    RunFile run;
    run.attributes[name] = "mine";
    CHECK_THROWS_AS(write_run_file(folder / "run.h5", run), ContractError);
  }
  RunFile run;
  run.groups["a/b"];
  CHECK_THROWS_AS(write_run_file(folder / "run.h5", run), ContractError);
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("run_file: missing or read-only folder -> IoError naming the path") {
  const test::TemporaryFolder folder;
  const fs::path missing = folder / "none" / "run.h5";
  for (const fs::path& path : {missing, fs::path("/proc/hone-run.h5")}) {
    std::string message;
    try {
      write_run_file(path, test::example_run());
    } catch (const IoError& error) {
      message = error.what();
    }
    CHECK_MESSAGE(message.find(path.string()) != std::string::npos, message);
    CHECK_THROWS_AS(read_run_file(path), IoError);
  }
  CHECK_THROWS_AS(read_run_file(folder.path()), IoError);
}

// A limit on file size makes write() fail half-way, as a full disk does, without a file system of
// one's own.
TEST_CASE("run_file: disk full -> IoError, the old file stays whole and no temporary file is left") {
  const test::TemporaryFolder folder;
  RunFile old;
  old.attributes["title"] = "old";
  write_run_file(folder / "run.h5", old);
  const std::string before = read_text(folder / "run.h5");

  rlimit unlimited{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &unlimited) == 0);
  rlimit tight = unlimited;
  tight.rlim_cur = 16384;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &tight) == 0);
  bool is_refused = false;
  try {
    write_run_file(folder / "run.h5", test::example_run());
  } catch (const IoError&) {
    is_refused = true;
  }
  setrlimit(RLIMIT_FSIZE, &unlimited);
  std::signal(SIGXFSZ, handler);
  CHECK(is_refused);
  CHECK(read_text(folder / "run.h5") == before);
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("run_file: threads that write and read at once do not meet") {
  const test::TemporaryFolder folder;
  std::vector<int> is_same(4, 0);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        const auto path = folder / fmt::format("{}.h5", t);
        bool same = true;
        for (int i = 0; i < 8; ++i) {
          RunFile run;
          run.groups["g"].set("x", scalar_variable(std::int64_t{100 * t + i}, "1", ""));
          write_run_file(path, run);
          same = same && read_run_file(path).group("g") == run.groups["g"];
        }
        is_same[static_cast<std::size_t>(t)] = same;
      });
  }
  CHECK(is_same == std::vector<int>(4, 1));
}

TEST_SUITE_END();

}  // namespace hone
