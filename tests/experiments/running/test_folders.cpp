#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>

#include "tests/experiments/program.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

void overwrite(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

void truncate_to_half(const fs::path& path) {
  const std::string whole = read_text(path);
  overwrite(path, whole.substr(0, whole.size() / 2));
}

/// A finished tiny study to spoil.
struct Finished : Workplace {
  explicit Finished(const std::string& text = tiny_text()) : Workplace(text) {
    const Said said = says("run", alone);
    REQUIRE_MESSAGE(said.code == 0, said.err);
  }
};

void expect_one_line(const Said& said, int code, const std::vector<std::string>& parts) {
  CHECK(said.code == code);
  CHECK_MESSAGE(count_lines(said.err) == 1, said.err);
  for (const std::string& part : parts) CHECK_MESSAGE(mentions(said.err, part), part << " not in " << said.err);
}

}  // namespace

TEST_CASE("run: an output folder that cannot be made is one line with the fix") {
  const Workplace place(tiny_text());
  place.write("file", "in the way");
  const std::string under = place.path("file") / "out", itself = place.path("file");
  for (const std::string& out : {std::string("/proc/hone-out"), under, itself})
    expect_one_line(hone_says({"run", place.file(), "--out", out}), 1, {out, "choose another --out"});
  CHECK(read_text(place.path("file")) == "in the way");
}

TEST_CASE("run: the folder of another study is refused and left as it was") {
  const Finished place;
  const std::string before = read_text(place.finished(0));
  const auto other = place.write("other.toml", replaced(tiny_text(), "lr = 3e-3", "lr = 2e-3"));
  const std::string out = place.out();
  expect_one_line(hone_says({"run", other.string(), "--out", out}), 2, {out, "other options", "choose another --out"});
  const auto strict = place.write("strict.toml", tiny_text() + "[thresholds]\nq3_tolerance = 0.2\n");
  expect_one_line(hone_says({"run", strict.string(), "--out", out}), 2, {"other thresholds"});
  CHECK(read_text(place.finished(0)) == before);
  CHECK(read_text(place.out() / "study.toml") == tiny_text());
}

TEST_CASE("run: a corrected study takes the folder of a first run that measured nothing") {
  // Diverges before its first checkpoint; the corrected one is the tiny study.
  const std::string wrong = replaced(replaced(tiny_text(), "lr = 3e-3", "lr = 900"), "warmup_steps = 10",
                                     "warmup_steps = 0\noptimizer = \"sgd\"\nclip_norm = 0");
  const Workplace place(wrong), whole(tiny_text());
  const Said first = place.says("run", alone);
  REQUIRE_MESSAGE(mentions(first.err, "diverged"), first.err);
  const fs::path old_run = place.finished(0);
  REQUIRE(fs::exists(old_run));
  overwrite(place.file(), tiny_text());
  CHECK(mentions(place.says("plan").out, "to do"));
  CHECK(mentions(place.says("status").out, "missing"));
  CHECK(read_text(place.out() / "study.toml") == wrong);
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK_MESSAGE(mentions(said.err, "it takes this study"), said.err);
  CHECK(read_text(place.out() / "study.toml") == tiny_text());
  CHECK(!fs::exists(old_run));
  CHECK(place.says("judge").code == 0);
  REQUIRE(whole.says("run", alone).code == 0);
  CHECK(difference(place, whole) == "");
}

TEST_CASE("run: a corrected study takes a folder of failed and of half trained runs, thresholds too") {
  const Workplace place(tiny_text());
  fs::create_directories(place.out() / "runs"), fs::create_directories(place.out() / "work");
  overwrite(place.out() / "study.toml", replaced(tiny_text(), "lr = 3e-3", "lr = 2e-3"));
  const fs::path old_state = place.out() / "work/mlp-0-s1.12.0.h5", old_note = place.out() / "work/mlp-0-s1.failed";
  overwrite(old_state, "of 12 updates"), overwrite(old_note, "the disk was full");
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK(!fs::exists(old_state));
  CHECK(!fs::exists(old_note));
  const Workplace strict(tiny_text() + "[thresholds]\nq3_tolerance = 0.2\n");
  fs::create_directories(strict.out());
  overwrite(strict.out() / "study.toml", tiny_text());
  CHECK(strict.says("run", alone).code == 0);
}

TEST_CASE("run: one measured checkpoint, saved or finished, or a run file that nobody can read, keeps the folder") {
  for (const char* name : {"work/mlp-0-s1.12.1.h5", "work/mlp-0-s1.12.10.h5", "runs/mlp-0-s1.h5"}) {
    const Workplace place(tiny_text());
    fs::create_directories(place.out() / "runs"), fs::create_directories(place.out() / "work");
    const std::string other = replaced(tiny_text(), "lr = 3e-3", "lr = 2e-3");
    overwrite(place.out() / "study.toml", other);
    overwrite(place.out() / name, "measured");
    expect_one_line(place.says("run"), 2, {"other options", "choose another --out"});
    CHECK(read_text(place.out() / name) == "measured");
    CHECK(read_text(place.out() / "study.toml") == other);
  }
}

TEST_CASE("run: a study without a name knows its own folder again") {
  const Workplace place(tiny_text());
  const std::string file = place.write("mine.toml", replaced(tiny_text(), "name = \"tiny\"\n", "")).string();
  for (const char* command : {"run", "run", "judge"}) {
    const Said said = hone_says({command, file, "--out", place.out().string()});
    CHECK_MESSAGE(said.code == 0, said.err);
  }
}

TEST_CASE("run: a folder with foreign files is refused and left as it was") {
  const Workplace place(tiny_text());
  fs::create_directories(place.out());
  overwrite(place.out() / "thesis.tex", "ten years of work");
  expect_one_line(place.says("run"), 2, {"is not empty", "choose another --out"});
  CHECK(std::distance(fs::directory_iterator(place.out()), {}) == 1);
}

TEST_CASE("run: a folder that a killed start left behind is taken up") {
  const Workplace place(tiny_text());
  fs::create_directories(place.out());
  overwrite(place.out() / "study.toml.tmp.host.1.0", "[stu");
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
}

TEST_CASE("run: a truncated finished file is reported and made again with the same bits") {
  const Finished whole, place;
  truncate_to_half(place.finished(0));
  CHECK(mentions(place.says("plan").out, "damaged, to do again"));
  const Said said = place.says("run", alone);
  CHECK(said.code == 0);
  CHECK_MESSAGE(mentions(said.err, place.finished(0).string()), said.err);
  CHECK_MESSAGE(mentions(said.err, "will be made again"), said.err);
  CHECK(mentions(said.out, "1 runs finished, 0 were done before"));
  CHECK(difference(place, whole) == "");
}

TEST_CASE("run: a damaged partial file is reported, and the run starts anew with the same bits") {
  const Finished whole;
  const std::string finished = read_text(whole.finished(0));
  for (const std::string& content : {finished.substr(0, finished.size() / 2), std::string("no run file"), finished}) {
    const Workplace place(tiny_text());
    fs::create_directories(place.out() / "work");
    place.write("out/study.toml", tiny_text());
    overwrite(place.partial(0), content);
    const Said said = place.says("run", alone);
    CHECK(said.code == 0);
    CHECK_MESSAGE(mentions(said.err, "anew"), said.err);
    CHECK(difference(place, whole) == "");
    CHECK(fs::is_empty(place.out() / "work"));
  }
}

TEST_CASE("judge, report, inspect: truncated, missing and foreign files are one line each") {
  const Finished place;
  const fs::path run = place.finished(0);
  const std::string name = run.string(), whole = read_text(run);
  CHECK(place.says("judge").code == 0);
  const auto expect_refused_everywhere = [&](const std::string& content) {
    overwrite(run, content);
    for (const char* command : {"judge", "report"}) expect_one_line(place.says(command), 1, {name});
    expect_one_line(hone_says({"inspect", name}), 1, {name});
  };
  expect_refused_everywhere(whole.substr(0, whole.size() / 2));
  expect_refused_everywhere("");
  expect_refused_everywhere("\x89HDF\r\n\x1a\n and nothing more");
  fs::remove(run);
  for (const char* command : {"judge", "report"})
    expect_one_line(place.says(command), 2, {"no finished run", "hone run " + place.file()});
  expect_one_line(hone_says({"inspect", name}), 1, {name});
}

TEST_CASE("inspect: a foreign HDF5 file is one line [h5py]") {
  const Workplace place("");
  const std::string file = place.path("foreign.h5");
  const std::string command =
      fmt::format("'" HONE_TEST_PYTHON "' -c \"import h5py; h5py.File('{}', 'w')['x'] = 1\" 2>/dev/null", file);
  if (std::system(command.c_str()) != 0) {
    MESSAGE("SKIPPED: h5py is missing");
    return;
  }
  expect_one_line(hone_says({"inspect", file}), 1, {file});
}

TEST_CASE("judge before run, report before judge: one line names the command to run first") {
  const Workplace empty(tiny_text());
  for (const char* command : {"judge", "report"})
    expect_one_line(empty.says(command), 2, {"hone run " + empty.file() + " --out " + empty.out().string() + " first"});
  const Finished place;
  expect_one_line(place.says("report"), 2, {"no verdict.json", "hone judge " + place.file()});
}

TEST_CASE("inspect: an unknown group is one line that lists the known ones") {
  const Finished place;
  const std::string file = place.finished(0);
  expect_one_line(hone_says({"inspect", file, "--group", "ptk"}), 1, {"ptk", "ptq"});
  const Said said = hone_says({"inspect", file, "--group", "ptq"});
  CHECK(said.code == 0);
  CHECK(mentions(said.out, "/ptq"));
  CHECK(mentions(said.out, "predicted_nats(checkpoint, bits) [nats]"));
  CHECK(!mentions(said.out, "/noise"));
}

}  // namespace hone::test

TEST_SUITE_END();
