#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "experiments/commands/plan.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/reader.hpp"
#include "tests/experiments/program.hpp"

TEST_SUITE_BEGIN("studies");

namespace hone::experiments {
namespace {

using test::Workplace;

RunSpec example() { return test::quick().runs().front(); }

/// The same with other data, so that every part has fields.
RunSpec whole_example() {
  RunSpec run = example();
  run.others.push_back(run.data);
  return run;
}

/// A visitor that changes field number `target` of all fields it meets.
struct Changer {
  int target = 0, met = 0;
  std::string changed;

  void operator()(const char* key, std::string& value, Range = {}) {
    if (meet(key)) value += "x";
  }
  void operator()(const char* key, std::int64_t& value, Range = {}) {
    if (meet(key)) ++value;
  }
  void operator()(const char* key, double& value, Range = {}) {
    if (meet(key)) value = std::nextafter(value, 1e300);
  }
  template <class T>
  void operator()(const char* key, std::vector<T>& values, Range = {}) {
    if (meet(key)) values.emplace_back();
  }

 private:
  bool meet(const char* key) {
    if (met++ != target) return false;
    changed = key;
    return true;
  }
};

/// The run with one field of one of its parts changed; "" as the name when there is no such field.
std::pair<RunSpec, std::string> changed_run(int target) {
  RunSpec run = whole_example();
  Changer changer{target, 0, ""};
  run.data.fields(changer);
  run.others.front().fields(changer);
  run.model.fields(changer);
  run.branches.front().fields(changer);
  run.train.fields(changer);
  run.measure.fields(changer);
  run.quantize.fields(changer);
  run.noise.fields(changer);
  run.decode.fields(changer);
  return {run, changer.changed};
}

}  // namespace

TEST_CASE("plan_runs: equal options give equal ids, models and seeds in file order") {
  const auto runs = test::quick().runs(), again = Workplace(test::quick_text() + "\n\n").runs();
  REQUIRE(runs.size() == 4);
  std::set<std::string> ids;
  for (size_t i = 0; i < runs.size(); ++i) {
    CHECK(runs[i].id() == again[i].id());
    ids.insert(runs[i].id());
  }
  CHECK(ids.size() == 4);
  CHECK(runs[0].id().starts_with("tiny-s1-"));
  CHECK(runs[1].id().starts_with("tiny-s2-"));
  CHECK(runs[3].id().starts_with("mlp-s2-"));
}

TEST_CASE("plan_runs: the order of tables and keys in the file does not change an id") {
  const std::string text = test::tiny_text();
  const std::string train = "[train]\nbatch = 16\nwarmup_steps = 10\n";
  const std::string moved = "[train]\nwarmup_steps = 10\nbatch = 16\n" + test::replaced(text, train, "");
  CHECK(Workplace(moved).runs()[0].id() == Workplace(text).runs()[0].id());
}

TEST_CASE("RunSpec: every field of every part is an option and changes the id") {
  const RunSpec run = whole_example();
  std::set<std::string> ids = {run.id()};
  int fields = 0;
  for (;; ++fields) {
    const auto [other, name] = changed_run(fields);
    if (name.empty()) break;
    CHECK_MESSAGE(ids.insert(other.id()).second, name << " does not change the id");
    int different = 0;
    for (const auto& [key, value] : other.options())
      if (!same_bits(value, run.options().at(key))) {
        ++different;
        CHECK(key.ends_with("." + name));
      }
    CHECK_MESSAGE(different == 1, name);
  }
  RunSpec seed = run, study = run;
  ++seed.seed;
  study.study += "x";
  CHECK(ids.insert(seed.id()).second);
  CHECK(ids.insert(study.id()).second);
  CHECK(run.options().size() == size_t(fields) + 2);
}

TEST_CASE("read_study: a model can have experts, and experts = 0 written out renames no run") {
  const auto with = [](const std::string& more) {
    return Workplace(test::replaced(test::quick_text(), "heads = 2", "heads = 2\n" + more)).runs().front();
  };
  CHECK(with("experts = 0\nload_balance = 0.01").id() == example().id());
  const RunSpec run = with("experts = 4\nexperts_per_token = 2\nload_balance = 0.02\ngates = \"renormalized\"");
  CHECK(run.id() != example().id());
  const TransformerOptions options = transformer_options(run.model, 16);
  CHECK(options.experts == 4);
  CHECK(options.experts_per_token == 2);
  CHECK(options.load_balance == 0.02);
  CHECK(options.gates == Gates::renormalized);
}

TEST_CASE("RunSpec: lists of files that read alike have ids of their own") {
  RunSpec one = example(), two = example();
  one.data.files = {"a, b"};
  two.data.files = {"a", "b"};
  CHECK(one.id() != two.id());
}

TEST_CASE("RunSpec: comments, titles and the place in the file do not change the id") {
  std::string text = "# a comment\n" + test::quick_text();
  text = test::replaced(text, "Smallest study", "Another title");
  CHECK(Workplace(text).runs()[0].id() == example().id());
}

TEST_CASE("planned_runs: the power analysis sees the transformer trunks of the main arm with their checkpoints") {
  const Workplace place(test::quick_text());
  const auto runs = planned_runs(read_study(place.file()));
  REQUIRE(runs.size() == 2);
  for (const theory::PlannedRun& run : runs) {
    CHECK(run.model == "tiny");
    REQUIRE(run.tokens.size() == 3);
    CHECK(run.tokens.front() == 10240);
    CHECK(run.tokens.back() == 40960);
    CHECK(run.bits == std::vector<double>{2, 3, 4, 5, 6});
    CHECK(run.interactions == 4);
    CHECK(!run.interactions_at_end);
  }
  const Workplace other(test::replaced(test::quick_text(), "name = \"tiny\"", "name = \"tiny\"\narm = \"other\""));
  CHECK(planned_runs(read_study(other.file())).empty());
}

}  // namespace hone::experiments

TEST_SUITE_END();
