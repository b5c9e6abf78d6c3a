#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "sim/base/instruction_class.hpp"
#include "tests/experiments/program.hpp"
#include "theory/claims/claims.hpp"
#include "theory/questions/judge.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

constexpr int modules_missing = 77;

constexpr const char* script = R"(
import sys
try:
    import h5py, h5netcdf, xarray as xr
except ImportError as error:
    print(error)
    sys.exit(77)
opened = 0
for path in sys.argv[1:]:
    with h5py.File(path, "r") as file:
        groups = list(file)
        for group in file.values():
            for name, variable in group.items():
                if variable.attrs.get("CLASS") == b"DIMENSION_SCALE" and "units" not in variable.attrs:
                    continue
                for key in ("units", "long_name"):
                    assert variable.attrs.get(key), (path, variable.name, key)
    assert {"manifest", "options", "series", "checkpoints", "curvature", "ptq", "factorial",
            "noise"} <= set(groups), groups
    for group in groups:
        data = xr.open_dataset(path, engine="h5netcdf", group=group)
        opened += bool(data.sizes)
        for name, variable in data.data_vars.items():
            assert variable.attrs["units"] and variable.attrs["long_name"], (group, name)
        if group == "checkpoints":
            assert set(data.variant.values) <= {"trunk", "cooled"}, data.variant
            assert data.loss_nats.dims == ("checkpoint",)
assert opened >= 6 * len(sys.argv[1:]), opened
)";

}  // namespace

TEST_CASE("hone: --help of the program and of every subcommand has text and exit code 0") {
  for (const char* command : {"", "plan", "run", "judge", "report", "inspect"}) {
    std::vector<std::string> arguments = {"--help"};
    if (*command) arguments.insert(arguments.begin(), command);
    const Said said = hone_says(arguments);
    CHECK(said.code == 0);
    CHECK_MESSAGE(count_lines(said.out) > 3, said.out);
    CHECK(said.err == "");
  }
}

TEST_CASE("hone: no subcommand, an unknown one and unknown options do not exit with 0") {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{}, {"rum"}, {"run"}, {"plan", "x.toml", "--sed", "1"}, {"inspect"}}) {
    const Said said = hone_says(arguments);
    CHECK(said.code > 0);
    CHECK(said.err != "");
  }
}

TEST_CASE("run: a second call executes nothing, says so and leaves the files alone") {
  const Workplace& place = quick();
  const auto before = fs::last_write_time(place.finished(0));
  const Said said = place.says("run", alone);
  CHECK(said.code == 0);
  CHECK_MESSAGE(mentions(said.out, "0 runs finished, 4 were done before, 0 failed"), said.out);
  CHECK(said.err == "");
  CHECK(fs::last_write_time(place.finished(0)) == before);
}

TEST_CASE("plan: names every run with its state, memory and time, and executes nothing") {
  const Workplace fresh(quick_text());
  const Said todo = fresh.says("plan");
  CHECK_MESSAGE(todo.code == 0, todo.err);
  for (const auto& run : fresh.runs()) CHECK(mentions(todo.out, run.id()));
  CHECK(mentions(todo.out, " to do\n"));
  CHECK(!mentions(todo.out, "done\n"));
  CHECK(mentions(todo.out, "left to do: 4 runs"));
  CHECK(mentions(todo.out, "probed on the smallest and the largest model"));
  CHECK(mentions(todo.out, "interval widths: unknown without finished runs"));
  CHECK(!fs::exists(fresh.out()));
  const Said done = quick().says("plan");
  CHECK(!mentions(done.out, " to do\n"));
  CHECK(mentions(done.out, "left to do: 0 runs"));
  CHECK_MESSAGE(mentions(done.out, "measured on 4 finished runs"), done.out);
}

TEST_CASE("plan: what is behind a saved state is not left to do") {
  const Workplace place(tiny_text());
  CHECK(mentions(place.says("plan").out, "left to do: 1 runs, 1.6 k training tokens"));
  // 50 of 100 updates of 16 tokens, and the first of two measurements.
  fs::create_directories(place.out() / "work");
  place.write(fmt::format("out/work/{}.50.1.h5", place.runs().front().id()), "saved");
  const std::string left = place.says("plan").out;
  CHECK_MESSAGE(mentions(left, "partly done"), left);
  CHECK_MESSAGE(mentions(left, "left to do: 1 runs, 800 training tokens"), left);
}

TEST_CASE("plan: finished runs, the study's own or a pilot's, tell the intervals to expect") {
  const Workplace fresh(quick_text());
  const Said said = fresh.says("plan", {"--pilot", quick().out().string()});
  CHECK_MESSAGE(said.code == 0, said.err);
  for (const char* question : {"Q1", "Q2", "Q3", "Q6"}) CHECK(mentions(said.out, question));
  CHECK(mentions(said.out, "gamma_D of the trace"));
  CHECK(mentions(said.out, "half-width"));
  CHECK_MESSAGE(mentions(said.out, "seeds needed"), said.out);
  const Said none = fresh.says("plan", {"--pilot", fresh.path(".").string()});
  CHECK(none.code == 2);
  CHECK_MESSAGE(mentions(none.err, "--pilot"), none.err);
}

TEST_CASE("plan: the published tables of a study serve as a pilot as its runs do") {
  const Workplace fresh(quick_text());
  const std::string published = HONE_SOURCE_DIR "/outputs/reference";
  const Said said = fresh.says("plan", {"--pilot", published, "--repeats", "0"});
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK_MESSAGE(mentions(said.out, "gamma_D of the trace"), said.out);
  CHECK(!mentions(said.out, "seeds needed"));
}

TEST_CASE("run: --seed replaces the study's seeds, and the same command goes on") {
  const Workplace place(tiny_text());
  const std::vector<std::string> seeds = {"--seed", "7", "9"};
  const Said said = place.says("run", seeds);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK(mentions(said.out, "2 runs finished"));
  const Said again = place.says("run", seeds);
  CHECK_MESSAGE(mentions(again.out, "0 runs finished, 2 were done before"), again.out << again.err);
  CHECK(place.says("judge", seeds).code == 0);
  const Said original = place.says("run", alone);
  CHECK_MESSAGE(mentions(original.out, "1 runs finished"), original.out << original.err);
  CHECK(std::get<std::string>(place.read(0).group("manifest").attribute("seed")) == "1");
  CHECK(std::distance(fs::directory_iterator(place.out() / "runs"), {}) == 3);
}

TEST_CASE("run: seeds on the command line are checked like those of the file") {
  const Workplace place(tiny_text());
  const Said twice = place.says("run", {"--seed", "3", "3"});
  CHECK(twice.code == 2);
  CHECK_MESSAGE(mentions(twice.err, "one seed twice"), twice.err);
  CHECK(place.says("run", {"--seed", "three"}).code > 0);
  CHECK(!fs::exists(place.out()));
}

TEST_CASE("run: the file says which instruction class ran, and one that cannot run is refused by every command") {
  const Workplace place(tiny_text());
  for (const char* command : {"plan", "run", "judge"}) {
    const Said refused = hone_says(place.arguments(command), {"env", "HONE_ISA=v9"});
    CHECK(refused.code == 2);
    CHECK_MESSAGE(mentions(refused.err, "HONE_ISA = 'v9': this machine can run "), refused.err);
  }
  CHECK(!fs::exists(place.out()));
  const std::string least(name_of(usable_classes().front()));
  REQUIRE(hone_says(place.arguments("run", alone), {"env", "HONE_ISA=" + least}).code == 0);
  const RunFile file = place.read(0);
  CHECK(std::get<std::string>(file.group("manifest").attributes().at("isa")) == least);
}

TEST_CASE("judge: a finished quick study has a verdict for every question with numbers and thresholds") {
  const Workplace& place = quick();
  const Said said = place.says("judge");
  CHECK_MESSAGE(said.code == 0, said.err);
  const std::string path = place.out() / "verdict.json";
  const auto verdicts = theory::verdicts_from_json(read_text(path), path);
  REQUIRE(verdicts.size() == theory::judge({}, {}).size());
  for (size_t i = 0; i < 8; ++i) {
    CHECK(verdicts[i].id == fmt::format("Q{}", i + 1));
    CHECK(verdicts[i].prose != "");
    CHECK(!verdicts[i].thresholds.empty());
    CHECK(mentions(said.out, verdicts[i].question));
  }
  CHECK(verdicts[0].n > 0);
  CHECK(verdicts[1].n == 6);
}

TEST_CASE("judge: claims.json holds the published claims with answers, and one line counts their states") {
  const Workplace& place = quick();
  const Said said = place.says("judge");
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const fs::path path = place.out() / "claims.json";
  CHECK(mentions(said.out, "written: " + path.string()));
  const auto verdicts = theory::verdicts_from_json(read_text(place.out() / "verdict.json"), "verdict.json");
  const auto answers = theory::answer_claims(verdicts);
  CHECK(mentions(said.out, "claims: " + theory::count_claims(answers) + "\n"));
  CHECK(read_text(path) == theory::claims_to_json(answers));
  const auto is_measured = [](const theory::ClaimAnswer& a) { return std::isfinite(a.estimate); };
  CHECK(std::count_if(answers.begin(), answers.end(), is_measured) >= 10);
}

TEST_CASE("judge: thresholds of the study file reach the verdicts") {
  const Workplace place(tiny_text() + "[thresholds]\nq3_tolerance = 0.25\n");
  REQUIRE(place.says("run", alone).code == 0);
  REQUIRE(place.says("judge").code == 0);
  const std::string path = place.out() / "verdict.json";
  const auto verdicts = theory::verdicts_from_json(read_text(path), path);
  CHECK(verdicts.at(2).thresholds.at(0).name == "q3_tolerance");
  CHECK(verdicts.at(2).thresholds.at(0).value == 0.25);
}

TEST_CASE("judge: thresholds that changed after the run are refused and the verdicts stay as they were") {
  const Workplace place(tiny_text() + "[thresholds]\nq3_tolerance = 0.25\n");
  REQUIRE(place.says("run", alone).code == 0);
  REQUIRE(place.says("judge").code == 0);
  const std::string before = read_text(place.out() / "verdict.json");
  place.write("study.toml", tiny_text() + "[thresholds]\nq3_tolerance = 0.5\n");
  const Said said = place.says("judge");
  CHECK(said.code == 2);
  CHECK_MESSAGE(mentions(said.err, "other thresholds"), said.err);
  CHECK(read_text(place.out() / "verdict.json") == before);
}

TEST_CASE("judge: runs on two texts of one name are refused, naming the file") {
  const std::string prose = [] {
    std::string text;
    for (int i = 0; i < 9000; ++i) text += fmt::format("line {} of a plain text\n", i * i % 977);
    return text;
  }();
  const Workplace bare("");
  const std::string book = bare.write("book.txt", prose);
  const std::string text = R"([study]
seeds = [1]
[[data]]
name = "book"
files = [")" + book + R"("]
[[models]]
name = "tiny"
data = "book"
layers = 1
width = 8
heads = 2
mlp_width = 8
context = 16
tokens = 2048
first_tokens = 1024
checkpoints = 2
[train]
batch = 8
[measure]
evaluation_windows = 8
curvature_windows = 2
eigenpairs = 2
lanczos_steps = 12
slq_steps = 4
trace_probes = 2
[noise]
draws = 2
)";
  const Workplace place(text);
  REQUIRE(place.says("run", alone).code == 0);
  bare.write("book.txt", prose + "one line more\n");
  REQUIRE(place.says("run", {"--seed", "1", "2"}).code == 0);
  const Said said = place.says("judge", {"--seed", "1", "2"});
  CHECK(said.code == 1);
  CHECK_MESSAGE(mentions(said.err, "another text of data \"book\""), said.err);
}

TEST_CASE("run files: h5py and xarray open every group, every variable has unit and meaning") {
  const Workplace& place = quick();
  const std::string check = place.write("check.py", script), said = place.path("said");
  std::string command = fmt::format("'" HONE_TEST_PYTHON "' -X utf8 '{}'", check);
  for (size_t i = 0; i < 4; ++i) command += fmt::format(" '{}'", place.finished(i).string());
  const int status = std::system(fmt::format("{} > '{}' 2>&1", command, said).c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code == modules_missing || code == 127) {
    MESSAGE("SKIPPED: Python cannot read run files here: " << read_text(said));
    return;
  }
  CHECK_MESSAGE(code == 0, read_text(said));
}

TEST_CASE("report: a judged quick study becomes figures and a page [matplotlib]") {
  if (std::system("'" HONE_TEST_PYTHON "' -c 'import h5py, matplotlib' 2>/dev/null") != 0) {
    MESSAGE("SKIPPED: h5py or matplotlib is missing");
    return;
  }
  const Workplace& place = quick();
  REQUIRE(place.says("judge").code == 0);
  const Said said = place.says("report", {"--python", HONE_TEST_PYTHON});
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK(mentions(read_text(place.out() / "report.html"), "Smallest study with every instrument"));
  for (const char* figure : {"overview", "loss", "spectrum", "growth"})
    for (const char* kind : {".svg", ".png"})
      CHECK(fs::file_size(place.out() / "figures" / (std::string(figure) + kind)) > 1000);
}

TEST_CASE("report: a Python that cannot draw is named with what it lacks and how to mend that") {
  const Workplace& place = quick();
  REQUIRE(place.says("judge").code == 0);
  const auto refused = [&](const Said& said, const std::vector<std::string>& parts) {
    CHECK(said.code == 2);
    CHECK(count_lines(said.err) == 1);
    for (const std::string& part : parts) CHECK_MESSAGE(mentions(said.err, part), said.err);
  };
  refused(place.says("report", {"--python", "/bin/false"}), {"--python: /bin/false cannot be started as Python"});
  refused(place.says("report", {"--python", "no such python"}), {"no such python cannot be started as Python"});
  // Without its packages, as a fresh environment is.
  const fs::path bare = place.write("bare python", "#!/bin/sh\nexec '" HONE_TEST_PYTHON "' -I -S \"$@\"\n");
  fs::permissions(bare, fs::perms::owner_all);
  const std::string lacks = bare.string() + " lacks h5py, numpy, matplotlib";
  const std::string advice = "-m pip install h5py matplotlib";
  refused(place.says("report", {"--python", bare}), {"--python: " + lacks, "apt-get install python3-h5py", advice});
  ::setenv("HONE_PYTHON", bare.c_str(), 1);
  const Said by_variable = place.says("report");
  ::unsetenv("HONE_PYTHON");
  refused(by_variable, {"HONE_PYTHON: " + lacks, advice});
}

}  // namespace hone::test

TEST_SUITE_END();
