// What a model of a study can ask for beside its own fields: grids, tables of its own, branches, other data.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "tests/experiments/program.hpp"
#include "tests/support/near.hpp"

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

using experiments::RunSpec;

/// The tiny study with `more` behind the fields of its model.
std::string tiny_with(const std::string& more) { return replaced(tiny_text(), "[train]", more + "\n[train]"); }

/// 300 KB of words of two syllables; an even seed has other letters than an odd one.
std::string prose(std::uint64_t seed) {
  const std::vector<std::string> odd = {"ba", "ke", "li", "mo", "nu", "ra", "se", "to"},
                                 even = {"ux", "ix", "oy", "ey", "av", "uv", "iz", "oz"};
  const auto& syllables = seed % 2 == 1 ? odd : even;
  std::string text;
  for (std::uint64_t i = 0, state = seed; text.size() < 300000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    text += syllables[state >> 61] + syllables[(state >> 58) & 7] + (i % 12 == 11 ? ".\n" : " ");
  }
  return text;
}

/// A study of one tiny model on prose, with windows of other prose, a tuned branch and a full factorial.
std::string two_corpora() {
  return R"([study]
name = "two"
[[data]]
name = "own"
files = ["OWN"]
[[data]]
name = "other"
files = ["OTHER"]
[[models]]
name = "tiny"
data = "own"
shifted_data = "other"
layers = 1
width = 16
heads = 2
mlp_width = 32
context = 32
tokens = 20480
first_tokens = 10240
checkpoints = 2
lr = 6e-3
[[models.branches]]
name = "tuned"
at = [1, 2]
data = "other"
tokens = 5120
[train]
batch = 16
warmup_steps = 10
[measure]
evaluation_windows = 32
curvature_windows = 4
eigenpairs = 2
eigenpairs_smallest = 0
lanczos_steps = 12
completeness_steps = 0
slq_probes = 2
slq_steps = 4
trace_probes = 4
windows = 0
[quantize]
bits = [2, 3, 8]
factorial_w = [2, 16]
factorial_a = [3, 16]
factorial_kv = [2, 4, 16]
factorial = "full"
factorial_at = "last"
[noise]
draws = 2
)";
}

/// The study above on two texts of its own, run once.
RunFile two_corpora_run() {
  TemporaryFolder texts;
  std::string text = replaced(two_corpora(), "OWN", texts.write("own.txt", prose(1)).string());
  text = replaced(text, "OTHER", texts.write("other.txt", prose(2)).string());
  const Workplace place(text);
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  return place.read(0);
}

}  // namespace

TEST_CASE("read_study: a grid is one model per combination, named after the values") {
  const auto runs = Workplace(tiny_with("[models.grid]\nlr = [1e-3, 3e-3]\ntrain.batch = [8, 16]\n")).runs();
  const RunSpec plain = Workplace(tiny_text()).runs().front();
  std::vector<std::string> names;
  for (const RunSpec& run : runs) names.push_back(run.model.name.substr(plain.model.name.size()));
  CHECK(names ==
        std::vector<std::string>{"-lr0.001-batch8", "-lr0.001-batch16", "-lr0.003-batch8", "-lr0.003-batch16"});
  CHECK(runs[1].model.lr == 1e-3);
  CHECK(runs[2].train.batch == 8);
  CHECK(runs[2].model.width == plain.model.width);
  RunSpec same = plain;
  same.model.name = runs[3].model.name, same.model.lr = 3e-3, same.train.batch = 16;
  CHECK(runs[3].id() == same.id());
}

TEST_CASE("read_study: a gradient penalty is refused where no exact Hessian product exists") {
  const auto said = [](const std::string& more) { return Workplace(tiny_with(more)).says("plan").err; };
  const std::string train = "[models.train]\ngradient_penalty = 0.1\n";
  CHECK(said(train).empty());
  CHECK(mentions(said("experts = 2\n" + train), "train.gradient_penalty = 0.1 with experts = 2"));
  CHECK(mentions(said("train_weight_bits = 4\n" + train), "a trunk trained at low precision; use train.sam_rho"));
  CHECK(mentions(said("[models.train]\nsam_rho = 0.1\ngradient_penalty = 0.1\n"), "at once"));
  CHECK(said("train_weight_bits = 4\n[models.train]\nsam_rho = 0.1\n").empty());
}

TEST_CASE("read_study: wrong grids name line, value and fix") {
  const auto said = [](const std::string& grid) {
    return Workplace(tiny_with("[models.grid]\n" + grid)).says("plan").err;
  };
  CHECK(mentions(said("lr = 1e-3\n"), "models[0].grid.lr is not a list of values; write it in [ ]"));
  CHECK(mentions(said("lrr = [1e-3]\n"), "models[0].grid.lrr is unknown; did you mean \"lr\"?"));
  CHECK(mentions(said("train.bach = [8]\n"), "train.grid.bach is unknown; did you mean \"batch\"?"));
  CHECK(mentions(said("lr = [1e-3, -1.0]\n"), "models[0].lr = -1 (expected"));
  CHECK(mentions(said("lr = [1e-3, 1e-3]\n"), "used twice"));
}

TEST_CASE(
    "read_study: a model's own tables change the study's sections for it alone, its seeds only how often it runs") {
  const std::string text = tiny_with("[models.train]\nweight_decay = 0.0\n[models.measure]\neigenpairs = 1\n");
  const RunSpec plain = Workplace(tiny_text()).runs().front(), own = Workplace(text).runs().front();
  CHECK(own.train.weight_decay == 0.0);
  CHECK(own.train.batch == plain.train.batch);
  CHECK(own.measure.eigenpairs == 1);
  CHECK(own.measure.lanczos_steps == plain.measure.lanczos_steps);
  CHECK(own.id() != plain.id());
  const auto seeded = Workplace(replaced(tiny_text(), "lr = ", "seeds = [1, 5]\nlr = ")).runs();
  REQUIRE(seeded.size() == 2);
  CHECK(seeded[0].id() == plain.id());
  CHECK(seeded[1].seed == 5);
}

TEST_CASE(
    "study: other data gives shifted losses, a tuned branch learns it, the last checkpoint has the whole factorial") {
  const RunFile run = two_corpora_run();
  const Dataset &points = run.group("checkpoints"), &shift = run.group("shift"), &cells = run.group("factorial");
  CHECK(points.strings("kind") == std::vector<std::string>{"trunk", "tuned", "trunk", "tuned"});
  CHECK(points.ints("tokens") == std::vector<std::int64_t>{10240, 15360, 20480, 25600});
  CHECK(points.ints("branched_at") == std::vector<std::int64_t>{10240, 10240, 20480, 20480});
  CHECK(std::get<std::string>(shift.attribute("data")) == "other");
  const auto &own = points.doubles("loss_nats"), &other = shift.doubles("loss_nats");
  for (const size_t branch : {1, 3}) CHECK(other[branch] < other[branch - 1] - 0.2);
  CHECK(own[0] != other[0]);
  CHECK(shift.ints("bits") == run.group("ptq").ints("bits"));
  CHECK(shift.doubles("delta_nats")[0] > shift.doubles("delta_nats")[2]);

  const auto &w = cells.ints("w_bits"), &a = cells.ints("a_bits"), &kv = cells.ints("kv_bits");
  const auto& delta = cells.doubles("delta_nats");
  REQUIRE(w.size() == 12);
  std::set<std::array<std::int64_t, 3>> all;
  for (size_t c = 0; c < w.size(); ++c) {
    all.insert({w[c], a[c], kv[c]});
    for (const size_t other_row : {0, 1, 3}) CHECK(std::isnan(delta[other_row * 12 + c]));
    CHECK(std::isfinite(delta[2 * 12 + c]));
    if (w[c] == 16 && a[c] == 16 && kv[c] == 16) CHECK(delta[2 * 12 + c] == 0);
    if (w[c] == 2 && a[c] == 16 && kv[c] == 16)
      CHECK(delta[2 * 12 + c] == run.group("ptq").doubles("delta_nats")[2 * 3]);
  }
  CHECK(all.size() == 12);
}

}  // namespace hone::test

TEST_SUITE_END();
