#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "tests/experiments/program.hpp"
#include "tests/support/near.hpp"
#include "theory/questions/judge.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

/// Plain gradient descent without a brake, so that a high learning rate diverges.
std::string unbraked(const std::string& text) {
  return replaced(text, "warmup_steps = 10", "warmup_steps = 0\noptimizer = \"sgd\"\nclip_norm = 0");
}

std::string outcome(const RunFile& run) { return std::get<std::string>(run.group("manifest").attribute("outcome")); }

/// The rows of a variable whose first dimension is the checkpoint and whose variant is `variant`.
Values rows_of(const Variable& variable, const std::vector<std::string>& variants, const std::string& variant) {
  return std::visit(
      [&](auto values) -> Values {
        decltype(values) kept;
        const size_t stride = values.size() / variants.size();
        for (size_t i = 0; i < variants.size(); ++i)
          if (variants[i] == variant)
            kept.insert(kept.end(), values.begin() + std::ptrdiff_t(i * stride),
                        values.begin() + std::ptrdiff_t((i + 1) * stride));
        return kept;
      },
      variable.values);
}

}  // namespace

TEST_CASE("run: a diverged run is recorded as such, is no failure, and the others are judged") {
  const Workplace place(replaced(unbraked(quick_text()), "lr = 3e-3", "lr = 900"));
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK_MESSAGE(mentions(said.err, ", diverged: "), said.err);
  CHECK(outcome(place.read(0)) == "complete");
  for (size_t i : {2, 3}) {
    const RunFile run = place.read(i);
    CHECK_MESSAGE(outcome(run).starts_with("diverged: update "), outcome(run));
    CHECK(mentions(outcome(run), "lr 900"));
    CHECK(!run.groups.contains("checkpoints"));
  }
  CHECK(mentions(place.says("run", alone).out, "0 runs finished, 4 were done before"));
  const Said judged = place.says("judge");
  CHECK_MESSAGE(judged.code == 0, judged.err);
  CHECK_MESSAGE(count_lines(judged.err) == 2, judged.err);
  CHECK(mentions(judged.err, place.finished(2).string()));
  const std::string path = place.out() / "verdict.json";
  CHECK(theory::verdicts_from_json(read_text(path), path).size() == theory::judge({}, {}).size());
}

TEST_CASE("judge: a study of which all runs diverged is one line with the fix") {
  const Workplace place(replaced(unbraked(tiny_text()), "lr = 3e-3", "lr = 900"));
  REQUIRE(place.says("run", alone).code == 0);
  for (const char* command : {"judge", "report"}) {
    const Said said = place.says(command);
    CHECK(said.code == 2);
    CHECK_MESSAGE(count_lines(said.err) == 1, said.err);
    CHECK_MESSAGE((mentions(said.err, "diverged") && mentions(said.err, "lower lr")), said.err);
  }
  CHECK(!fs::exists(place.out() / "verdict.json"));
}

TEST_CASE("run: whatever the learning rate, measured losses are finite and no run fails") {
  const std::string checkpoints = "tokens = 1600\nfirst_tokens = 400\ncheckpoints = 2";
  for (const char* lr : {"0.5", "2", "5", "20", "100", "900"}) {
    CAPTURE(lr);
    std::string text = unbraked(tiny_text());
    text = replaced(text, checkpoints, "tokens = 640\nfirst_tokens = 16\ncheckpoints = 40");
    text = replaced(text, "lr = 3e-3", fmt::format("lr = {}", lr));
    const Workplace place(replaced(text, "seeds = [1]", "seeds = [1, 2, 3]"));
    const Said said = place.says("run", alone);
    CHECK_MESSAGE(said.code == 0, said.err);
    for (size_t i = 0; i < 3; ++i) {
      const RunFile run = place.read(i);
      CHECK((outcome(run) == "complete" || outcome(run).starts_with("diverged: ")));
      if (!run.groups.contains("checkpoints")) continue;
      for (double loss : run.group("checkpoints").doubles("loss_nats")) CHECK(std::isfinite(loss));
    }
  }
}

TEST_CASE("run: a Hessian of rank one has one eigenvalue and zeros, by the matrix and by products alike") {
  // A linear model on one example.
  std::string text = replaced(tiny_text(), "widths = [8]", "widths = []");
  text = replaced(text, "curvature_windows = 4", "curvature_windows = 1");
  for (const char* dense : {"dense_max = 0", "dense_max = 1000"}) {
    CAPTURE(dense);
    const Workplace place(replaced(text, "eigenpairs = 2", fmt::format("eigenpairs = 5\n{}", dense)));
    const Said said = place.says("run", alone);
    REQUIRE_MESSAGE(said.code == 0, said.err);
    const RunFile run = place.read(0);
    const Dataset& curvature = run.group("curvature");
    CHECK(curvature.length("rank") == 5);
    for (const std::int64_t checkpoint : {0, 1}) {
      const double* lambda = curvature.doubles("lambda").data() + 5 * checkpoint;
      CHECK(lambda[0] > 0.01);
      for (int rank = 1; rank < 5; ++rank) CHECK_NEAR(lambda[rank], 0.0, 0.0, 1e-9);
    }
    CHECK(place.says("judge").code == 0);
  }
}

TEST_CASE("run: a cooled branch does not disturb the trunk") {
  const Workplace without(replaced(quick_text(), "[[models.branches]]\nname = \"cooled\"\nat = [2]\n", ""));
  REQUIRE(without.says("run", alone).code == 0);
  for (size_t i : {0, 1}) {
    CHECK(quick().finished(i).filename() != without.finished(i).filename());
    const RunFile branched = quick().read(i), plain = without.read(i);
    CHECK(branched.group("series") == plain.group("series"));
    const auto& variants = branched.group("checkpoints").strings("variant");
    const auto& trunks = plain.group("checkpoints").strings("variant");
    CHECK(variants == std::vector<std::string>{"trunk", "trunk", "cooled", "trunk"});
    CHECK(trunks == std::vector<std::string>{"trunk", "trunk", "trunk"});
    for (const char* name : {"checkpoints", "curvature", "ptq", "factorial", "noise"})
      for (const auto& [key, variable] : branched.group(name).variables()) {
        if (variable.dims.front() != "checkpoint") continue;
        CHECK_MESSAGE(
            same_bits(rows_of(variable, variants, "trunk"), rows_of(plain.group(name).at(key), trunks, "trunk")),
            name << "/" << key);
      }
  }
}

TEST_CASE("run: a cooled branch ends where its length says, at a lower loss than it left") {
  const RunFile run = quick().read(0);
  const Dataset& points = run.group("checkpoints");
  const auto& steps = points.ints("step");
  const auto& tokens = points.ints("tokens");
  const auto& loss = points.doubles("loss_nats");
  CHECK(steps[2] == steps[1] + std::llround(0.2 * double(steps[1])));
  CHECK(tokens[2] == steps[2] * 512);
  CHECK(loss[2] < loss[1]);
}

}  // namespace hone::test

TEST_SUITE_END();
