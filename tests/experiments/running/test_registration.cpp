#include <doctest/doctest.h>

#include "sim/base/atomic_file.hpp"
#include "sim/base/hash.hpp"
#include "sim/record/schema.hpp"
#include "tests/experiments/program.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("studies");

namespace hone::test {

TEST_CASE("register: a study that was registered and run as it was says so, and its runs carry the hash") {
  const Workplace place(tiny_text());
  const Said said = place.says("register");
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const std::string text = read_text(place.out() / "registration.json");
  for (const char* part : {"\"rules_sha256\"", "\"q3_tolerance\": 0.1", "\"question\": \"Q10\"", "\"seeds\""})
    CHECK_MESSAGE(mentions(text, part), part);
  for (const auto& run : place.runs()) CHECK(mentions(text, run.id()));
  REQUIRE(place.says("register").code == 0);  // again, unchanged
  REQUIRE(place.says("run", alone).code == 0);
  CHECK(value_of(place.read(0).group("manifest"), schema::manifest.registration_sha256) ==
        sha256_of_file(place.out() / "registration.json"));
  CHECK(mentions(place.says("judge").out, "registration: registered before the first run"));
  CHECK(mentions(read_text(place.out() / "verdict.json"), "\"registration\": \"registered before the first run\""));
}

TEST_CASE("register: a study without registration says so, and one that was run first cannot register") {
  const Workplace place(tiny_text());
  REQUIRE(place.says("run", alone).code == 0);
  CHECK(mentions(place.says("judge").out, "registration: not registered"));
  const Said late = place.says("register");
  CHECK(late.code == 2);
  CHECK_MESSAGE(mentions(late.err, "runs are measured already"), late.err);
  CHECK(!fs::exists(place.out() / "registration.json"));
}

TEST_CASE("register: a registration may be corrected until the first run is measured, and not after") {
  const Workplace place(tiny_text());
  REQUIRE(place.says("register").code == 0);
  place.write("study.toml", tiny_text() + "[thresholds]\nq3_tolerance = 0.2\n");
  REQUIRE(place.says("register").code == 0);
  CHECK(mentions(read_text(place.out() / "registration.json"), "\"q3_tolerance\": 0.2"));
  REQUIRE(place.says("run", alone).code == 0);
  place.write("study.toml", tiny_text() + "[thresholds]\nq3_tolerance = 0.3\n");
  const Said late = place.says("register");
  CHECK(late.code == 2);
  CHECK_MESSAGE(mentions(late.err, "measured under another registration"), late.err);
}

TEST_CASE("register: what changed after the registration is named") {
  const Workplace place(tiny_text());
  REQUIRE(place.says("register").code == 0);
  REQUIRE(place.says("run", alone).code == 0);
  const fs::path file = place.out() / "registration.json";
  const std::string text = read_text(file);
  place.write("out/registration.json", replaced(text, "\"q3_tolerance\": 0.1", "\"q3_tolerance\": 0.2"));
  const Said said = place.says("judge");
  CHECK_MESSAGE(
      mentions(said.out, "registered, but since then: other thresholds (q3_tolerance), 1 runs were made without it"),
      said.out);
  place.write("out/registration.json", replaced(text, "\"question\": \"Q10\"", "\"question\": \"Q11\""));
  CHECK(mentions(place.says("judge").out, "since then: other rules (Q11), 1 runs were made without it"));
  place.write("out/registration.json", text);
  place.write("study.toml", replaced(tiny_text(), "[study]\n", "[study]\nquestions = [\"Q3\"]\n"));
  const Said named = place.says("judge");
  CHECK_MESSAGE(mentions(named.out, "since then: other questions"), named.out);
  CHECK(mentions(named.out, "secondary, not corrected"));
  place.write("out/registration.json", "{}");
  CHECK(mentions(place.says("judge").err, "is no registration of schema 2"));
}

TEST_CASE("register: rules of questions that a study does not name are no change of its registration") {
  const Workplace place(replaced(tiny_text(), "[study]\n", "[study]\nquestions = [\"Q3\"]\n"));
  REQUIRE(place.says("register").code == 0);
  REQUIRE(place.says("run", alone).code == 0);
  const std::string text = read_text(place.out() / "registration.json");
  place.write("out/registration.json", replaced(text, "\"question\": \"Q10\"", "\"question\": \"Q99\""));
  CHECK(!mentions(place.says("judge").out, "other rules"));
  place.write("out/registration.json", replaced(text, "\"name\": \"Holm's correction\"", "\"name\": \"none\""));
  CHECK(mentions(place.says("judge").out, "other rules (all)"));
}

TEST_CASE("register: seeds that were run apart are judged together from their tables, under one registration") {
  const Workplace place(replaced(tiny_text(), "seeds = [1]", "seeds = [1, 2]"));
  REQUIRE(place.says("register").code == 0);
  fs::create_directories(place.path("second"));
  for (const char* name : {"registration.json", "study.toml"})
    fs::copy_file(place.out() / name, place.path("second") / name);
  const auto seed = [&](const fs::path& out, const char* number, const char* command) {
    std::vector<std::string> words{command, place.file(), "--out", out.string()};
    if (std::string(command) == "run") words.insert(words.end(), {"--seed", number, "--jobs", "1", "--threads", "1"});
    const Said said = hone_says(words);
    REQUIRE_MESSAGE(said.code == 0, said.err);
    return said.out;
  };
  for (const auto& [out, number] : {std::pair{place.out(), "1"}, std::pair{place.path("second"), "2"}}) {
    seed(out, number, "run");
    CHECK(mentions(seed(out, number, "judge"), "registration: registered before the first run"));
  }
  const std::string first = (place.out() / "tables").string(), second = (place.path("second") / "tables").string();
  const auto judged = [&](const std::vector<std::string>& tables) {
    std::vector<std::string> words{"judge", place.file(), "--out", place.path("both").string(), "--table"};
    words.insert(words.end(), tables.begin(), tables.end());
    return hone_says(words);
  };
  CHECK(mentions(judged({first, second}).out, "registration: registered before the first run"));
  CHECK(mentions(read_text(place.path("both") / "verdict.json"),
                 "\"registration\": \"registered before the first run\""));
  CHECK_MESSAGE(mentions(judged({first, first + "/../tables"}).err, "is in"),
                judged({first, first + "/../tables"}).err);
  fs::remove(fs::path(second) / "registration.json");
  CHECK(mentions(judged({first, second}).out, "registration: not registered"));
  place.write("second/tables/registration.json",
              replaced(read_text(fs::path(first) / "registration.json"), "\"Q10\"", "\"Q11\""));
  CHECK(mentions(judged({first, second}).out, "registered in parts that differ"));
}

}  // namespace hone::test
