// What a model of a study can ask for beside its own fields: grids, tables of its own, branches, other data.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "experiments/instruments/cost.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/reader.hpp"
#include "sim/data/text_tasks.hpp"
#include "sim/record/schema.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/near.hpp"
#include "theory/rows/rows.hpp"

TEST_SUITE_BEGIN("studies");

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
  names.reserve(runs.size());
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
    for (const size_t other_row : {size_t{0}, size_t{1}, size_t{3}}) CHECK(std::isnan(delta[other_row * 12 + c]));
    CHECK(std::isfinite(delta[24 + c]));
    if (w[c] == 16 && a[c] == 16 && kv[c] == 16) CHECK(delta[24 + c] == 0);
    if (w[c] == 2 && a[c] == 16 && kv[c] == 16) CHECK(delta[24 + c] == run.group("ptq").doubles("delta_nats")[6]);
  }
  CHECK(all.size() == 12);
}

TEST_CASE("study: a branch on preferences is a tuned one, costs more, and is refused where there are no pairs") {
  const TemporaryFolder texts;
  const std::string own = texts.write("own.txt", prose(1)).string();
  const auto with = [&](const std::string& more) {
    std::string text = replaced(two_corpora(), "shifted_data = \"other\"\n", "");
    text = replaced(replaced(text, "files = [\"OTHER\"]", "kind = \"markov\""), "OWN", own);
    return replaced(text, "data = \"other\"\ntokens = 5120\n", "tokens = 5120\n" + more);
  };
  const Workplace place(with("dpo_beta = 0.5\n")), cooled(with(""));
  const double extra = experiments::work_of(place.runs()[0]).updates - experiments::work_of(cooled.runs()[0]).updates;
  CHECK_NEAR(extra, (10 / 3.0 - 1) * 2 * 10, 1e-12, 0);  // two branches of 10 updates
  REQUIRE(place.says("run", alone).code == 0);
  REQUIRE(cooled.says("run", alone).code == 0);
  const RunFile preferred = place.read(0), other = cooled.read(0);
  CHECK(preferred.group("checkpoints").strings("kind") == std::vector<std::string>{"trunk", "tuned", "trunk", "tuned"});
  CHECK(other.group("checkpoints").strings("kind") ==
        std::vector<std::string>{"trunk", "cooldown", "trunk", "cooldown"});
  const auto loss = [](const RunFile& run, size_t row) { return run.group("checkpoints").doubles("loss_nats")[row]; };
  CHECK(loss(preferred, 2) == loss(other, 2));  // the trunk is not touched
  CHECK(loss(preferred, 3) > loss(other, 3));   // the branch learns something else than the text
  const auto refusal_of = [](const std::string& text) { return Workplace(text).says("plan").err; };
  CHECK(mentions(refusal_of(with("dpo_beta = 0.5\ntrain_weight_bits = 4\n")), "training at low precision"));
  CHECK(mentions(refusal_of(replaced(with("dpo_beta = 0.5\n"), "layers = 1\n", "layers = 1\nexperts = 2\n")),
                 "balance loss"));
  CHECK(mentions(refusal_of(replaced(with("dpo_beta = 0.5\n"), "batch = 16\n", "batch = 1\n")), "train.batch = 1"));
}

TEST_CASE("study: context.toml, tasks.toml and tuned.toml ask for what Q19 to Q22 read, over three seeds") {
  const auto runs_of = [](const std::string& name) {
    return plan_runs(experiments::read_study(fmt::format(HONE_SOURCE_DIR "/experiments/studies/{}.toml", name)));
  };
  for (const char* name : {"context", "tasks", "tuned"}) CHECK(runs_of(name).size() == 3);
  const RunSpec context = runs_of("context")[0], tasks = runs_of("tasks")[0], tuned = runs_of("tuned")[0];
  CHECK(context.decode.length == 16 * context.model.context);
  CHECK(context.decode.policies.size() == 3);
  CHECK(std::find(context.decode.average_bits.begin(), context.decode.average_bits.end(), 4) !=
        context.decode.average_bits.end());
  CHECK(tasks.data.tasks == text_task_names());
  CHECK(tasks.model.checkpoints > 5);  // a curve of accuracy over loss
  CHECK(!tasks.model.shifted_data.empty());
  std::set<std::string> branches;
  for (const auto& branch : tuned.branches) {
    branches.insert(branch.name);
    CHECK(branch.is_tuning());
  }
  CHECK(branches == std::set<std::string>{"tuned_near", "tuned_far", "preferred"});
}

TEST_CASE("study: removed_bits.toml and rounding.toml ask for what Q23 and Q24 read, over three seeds") {
  const auto runs_of = [](const std::string& name) {
    return plan_runs(experiments::read_study(fmt::format(HONE_SOURCE_DIR "/experiments/studies/{}.toml", name)));
  };
  const theory::Thresholds thresholds;
  const auto removed = runs_of("removed_bits"), rounding = runs_of("rounding");
  CHECK(removed.size() == 3);
  CHECK(rounding.size() == 6);
  const RunSpec& spec = removed[0];
  REQUIRE(spec.branches.size() == 2);
  const auto &few = spec.branches[0], &many = spec.branches[1];
  CHECK(few.is_tuning());
  CHECK(few.at == many.at);
  CHECK(few.data == many.data);
  CHECK(double(many.tokens) >= thresholds.q23_ratio_min * double(few.tokens));
  CHECK(double(spec.model.tokens) >= thresholds.q23_ratio_min * double(spec.model.first_tokens));
  CHECK(std::find(spec.quantize.bits.begin(), spec.quantize.bits.end(), 8) != spec.quantize.bits.end());
  std::map<std::int64_t, std::map<std::string, const RunSpec*>> seeds;
  for (const RunSpec& run : rounding) seeds[run.seed][run.quantize.rounding] = &run;
  for (const auto& [seed, modes] : seeds) {
    REQUIRE(modes.size() == 2);
    const RunSpec &nearest = *modes.at("nearest_even"), &chance = *modes.at("stochastic");
    CHECK(nearest.model.arm == "main");
    CHECK(chance.quantize.draws >= 4);
    CHECK(chance.quantize.bits == nearest.quantize.bits);
    CHECK(chance.model.tokens == nearest.model.tokens);
    CHECK(chance.model.width == nearest.model.width);
  }
}

TEST_CASE("study: derivation.toml has checkpoints enough at one rate for two slopes of Q25, over three seeds") {
  const experiments::Study study = experiments::read_study(HONE_SOURCE_DIR "/experiments/studies/derivation.toml");
  CHECK(study.questions == std::vector<std::string>{"Q25"});
  const auto runs = plan_runs(study);
  CHECK(runs.size() == 3);
  for (const RunSpec& run : runs) {
    CHECK(run.model.schedule == "constant");
    CHECK(run.model.checkpoints >= 6);  // two stretches at least in the early and in the late regime
    CHECK(run.model.tokens >= 10 * run.model.first_tokens);
    CHECK(run.quantize.bits == std::vector<std::int64_t>{3, 4});
  }
}

TEST_CASE("study: few_bits.toml holds every procedure at its widths, beside sizes in full precision") {
  const auto runs = plan_runs(experiments::read_study(HONE_SOURCE_DIR "/experiments/studies/few_bits.toml"));
  std::map<std::string, std::set<std::int64_t>> widths;
  std::set<std::int64_t> full;
  for (const RunSpec& run : runs) {
    const auto precision = training_precision(run.model, run.model, run.quantize);
    if (precision.is_full()) full.insert(run.model.width);
    if (!precision.is_full()) widths[run.model.method].insert(run.model.train_weight_bits);
    CHECK(run.model.arm == "main");
  }
  CHECK(full == std::set<std::int64_t>{8, 16, 32, 64});
  CHECK(widths == std::map<std::string, std::set<std::int64_t>>{
                      {"qat", {2, 3, 4, 6}}, {"lsq", {3, 4}}, {"bitnet", {16}}, {"binary", {16}}});
}

TEST_CASE("study: joint.toml holds both single sites of every pair, beside four sizes in full precision") {
  using Bits = std::pair<std::int64_t, std::int64_t>;
  std::map<Bits, std::set<std::int64_t>> seeds;  // of the models of the pairs
  std::set<std::int64_t> full, lowered;
  for (const RunSpec& run : plan_runs(experiments::read_study(HONE_SOURCE_DIR "/experiments/studies/joint.toml"))) {
    CHECK(run.model.arm == "main");
    const bool is_full = training_precision(run.model, run.model, run.quantize).is_full();
    (is_full ? full : lowered).insert(run.model.width);
    if (run.model.name.starts_with("pair"))
      seeds[{run.model.train_weight_bits, run.model.train_activation_bits}].insert(run.seed);
  }
  CHECK(full.size() >= 4);  // fewer do not tell alpha from A and E
  CHECK(lowered.size() == 1);
  REQUIRE(seeds.count(Bits{2, 2}) == 1);  // at more bits losses that add up stay inside the band
  for (const auto& [bits, of] : seeds) {
    CHECK(of.size() >= 3);
    for (const Bits& part : {Bits{bits.first, 16}, Bits{16, bits.second}, Bits{16, 16}}) {
      const auto found = seeds.find(part);
      CHECK((found != seeds.end() && found->second == of));
    }
  }
}

TEST_CASE("study: the architectures of architectures.toml, and the dense models of experts.toml, are equally large") {
  const auto size = [](const RunSpec& run) { return transformer_options(run.model, 256).layout().quantizable_size(); };
  std::set<std::string> arms;
  for (const RunSpec& run :
       plan_runs(experiments::read_study(HONE_SOURCE_DIR "/experiments/studies/architectures.toml"))) {
    arms.insert(run.model.arm);
    CHECK_NEAR(double(size(run)), 13312, 0.01, 0);
  }
  CHECK(arms == std::set<std::string>{"main", "gpt2", "one_head", "deep"});
  std::set<std::int64_t> dense, mixed, active;
  for (const RunSpec& run : plan_runs(experiments::read_study(HONE_SOURCE_DIR "/experiments/studies/experts.toml"))) {
    (run.model.experts > 0 ? mixed : dense).insert(size(run));
    theory::Subject s;
    s.N = double(size(run)), s.layers = double(run.model.layers), s.width = double(run.model.width);
    s.mlp_width = double(run.model.mlp_width), s.experts = double(run.model.experts);
    s.experts_per_token = double(run.model.experts_per_token);
    if (s.has_experts()) active.insert(std::int64_t(s.active_N()));
  }
  CHECK(mixed == std::set<std::int64_t>{40960});
  CHECK(active == std::set<std::int64_t>{13312});
  CHECK(dense == std::set<std::int64_t>{3328, 13312, 40960});
}

/// A transformer with two layers of three experts on a synthetic language.
std::string experts_text(const std::string& more) {
  return R"([study]
name = "routed"
seeds = [1]
[[data]]
name = "zipf"
kind = "markov"
vocabulary = 32
[[models]]
name = "routed"
data = "zipf"
layers = 2
width = 16
heads = 2
mlp_width = 16
experts = 3
context = 16
tokens = 8192
first_tokens = 4096
checkpoints = 2
lr = 6e-3
[models.quantize]
)" + more +
         R"(
[train]
batch = 16
warmup_steps = 4
[measure]
evaluation_windows = 16
curvature_windows = 4
eigenpairs = 1
eigenpairs_smallest = 0
lanczos_steps = 8
slq_steps = 4
trace_probes = 2
preconditioned_steps = 0
[quantize]
bits = [3, 4]
)";
}

TEST_CASE("experts: each is rounded alone, its load is its share of the layer, and rows say what a token passes") {
  const Workplace place(experts_text("expert_bits = 3"));
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const RunFile run = place.read(0);
  constexpr const schema::Experts& f = schema::experts;
  const Dataset& group = run.group(f.group);
  CHECK(values_of(group, f.bits) == std::vector<std::int64_t>(6, 3));
  CHECK(values_of(group, f.layer) == std::vector<std::int64_t>{0, 0, 0, 1, 1, 1});
  CHECK(values_of(group, f.expert) == std::vector<std::int64_t>{0, 1, 2, 0, 1, 2});
  const auto &load = values_of(group, f.load), &delta = values_of(group, f.delta_nats);
  REQUIRE(load.size() == 12);
  for (size_t first = 0; first < load.size(); first += 3)
    CHECK_NEAR(load[first] + load[first + 1] + load[first + 2], 3, 1e-12, 0);
  for (size_t i = 0; i < load.size(); ++i)
    if (load[i] == 0) CHECK(delta[i] == 0);  // nobody sees an expert that no token reaches
  theory::Table table;
  theory::append_run(table, run, "routed");
  REQUIRE(table.expert_damage.size() == 12);
  const theory::ExpertRow& row = table.expert_damage[7];
  CHECK(row.load == load[7]);
  CHECK(row.delta == delta[7]);
  CHECK(row.expert == 1);
  CHECK(row.P == 3);
  CHECK(row.style == "llama");
  CHECK(row.N == 2 * (4 * 256 + 3 * 3 * 256));
  CHECK(row.active_N() == 2 * (4 * 256 + 3 * 256));
  CHECK(!Workplace(experts_text("")).runs()[0].quantize.expert_bits);
}

TEST_CASE("experts: bits for the experts of a model without them are refused with the place to set them") {
  const Workplace place(replaced(experts_text("expert_bits = 3"), "experts = 3\n", ""));
  const Said said = place.says("plan");
  CHECK(said.code != 0);
  CHECK_MESSAGE(said.err.find("quantize.expert_bits = 3") != said.err.npos, said.err);
  CHECK_MESSAGE(said.err.find("[models.quantize]") != said.err.npos, said.err);
}

}  // namespace hone::test

TEST_SUITE_END();
