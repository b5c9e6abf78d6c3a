#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/record/schema.hpp"
#include "tests/experiments/program.hpp"

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

/// A tiny transformer on a text of one sentence with exercises.
std::string task_text(const std::string& file, const std::string& tasks) {
  return fmt::format(
      "[study]\nname = \"fox\"\nseeds = [1]\n"
      "[[data]]\nname = \"fox\"\nfiles = ['{}']\nvalidation_fraction = 0.2\n{}\n"
      "[[models]]\nname = \"tiny\"\ndata = \"fox\"\nlayers = 1\nwidth = 16\nheads = 2\nmlp_width = 32\ncontext = 32\n"
      "tokens = 40960\nfirst_tokens = 5120\ncheckpoints = 2\nlr = 1e-2\n"
      "[train]\nbatch = 16\nwarmup_steps = 5\n"
      "[measure]\nexercises = 40\nevaluation_windows = 16\ncurvature_windows = 4\neigenpairs = 2\n"
      "eigenpairs_smallest = 0\nlanczos_steps = 20\nslq_steps = 8\ntrace_probes = 2\npreconditioned_steps = 0\n"
      "[quantize]\nbits = [2, 16]\nfactorial_w = []\nfactorial_a = []\nfactorial_kv = []\n",
      file, tasks);
}

std::string sentences() {
  std::string text;
  while (text.size() < 400'000) text += "the quick brown fox jumps over the lazy dog.\n";
  return text;
}

}  // namespace

TEST_CASE("tasks: scores at every checkpoint and width; 16 bits change nothing and 2 bits cost loss") {
  const TemporaryFolder texts;
  const std::string file = texts.write("fox.txt", sentences()).string();
  const Workplace place(task_text(file, "tasks = [\"copy\", \"brackets\"]\ntask_share = 0.4"));
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const RunFile run = place.read(0);
  const Dataset& rows = run.group(schema::tasks.group);
  constexpr const schema::Tasks& f = schema::tasks;
  CHECK(rows.strings("task") == std::vector<std::string>{"copy", "brackets"});
  const auto points = size_t(rows.length("checkpoint"));
  CHECK(points == size_t(run.group("checkpoints").length("checkpoint")));
  const auto &loss = values_of(rows, f.loss_nats), &accuracy = values_of(rows, f.accuracy),
             &delta = values_of(rows, f.delta_nats), &change = values_of(rows, f.accuracy_delta);
  REQUIRE(loss.size() == 2 * points);
  REQUIRE(delta.size() == 4 * points);
  for (size_t i = 0; i < loss.size(); ++i) {
    CHECK(accuracy[i] >= 0);
    CHECK(accuracy[i] <= 1);
    CHECK(accuracy[i] + change[2 * i] >= 0);
    CHECK(delta[2 * i + 1] == 0);  // 16 bits
    CHECK(change[2 * i + 1] == 0);
    CHECK(delta[2 * i] != 0);
  }
  CHECK(loss[2 * (points - 1)] < loss[0]);  // training teaches to copy
  CHECK(loss[2 * (points - 1) + 1] < loss[1]);
  CHECK(place.says("judge").code == 0);
}

TEST_CASE("tasks: without them there is no group, and what cannot hold them is refused by name") {
  CHECK(!quick().read(0).groups.contains("tasks"));
  const TemporaryFolder texts;
  const std::string file = texts.write("fox.txt", sentences()).string();
  const auto message = [&](const std::string& text) { return Workplace(text).says("plan").err; };
  CHECK(mentions(message(task_text(file, "tasks = [\"copi\"]")), "did you mean \"copy\""));
  CHECK(mentions(message(task_text(file, "tasks = [\"copy\"]\ntokenizer = \"bpe\"")), "tokenizer = \"bytes\""));
  CHECK(
      mentions(message(replaced(task_text(file, "tasks = [\"copy\"]"), "context = 32", "context = 8")), "at least 15"));
}

}  // namespace hone::test
