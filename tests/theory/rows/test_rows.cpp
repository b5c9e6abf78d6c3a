#include "theory/rows/rows.hpp"

#include <cmath>

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "tests/support/near.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

using Strings = std::vector<std::string>;
using Doubles = std::vector<double>;
using Ints = std::vector<std::int64_t>;

Variable variable(Strings dims, std::vector<std::int64_t> shape, Values values) {
  return {std::move(dims), std::move(shape), std::move(values), "1", "test"};
}

/// Two checkpoints with every group; the value of each entry tells where it stands.
RunFile full_run() {
  RunFile run;
  Dataset manifest, checkpoints, ptq, curvature, factorial, noise;
  manifest.set_attribute("run_id", std::string("abc"));
  manifest.set_attribute("seed", std::string("18446744073709551615"));
  manifest.set_attribute("model_params", std::int64_t{26600});
  manifest.set_attribute("architecture", std::string("transformer"));
  checkpoints.set("tokens", variable({"checkpoint"}, {2}, Ints{1000, 2000}));
  checkpoints.set("variant", variable({"checkpoint"}, {2}, Strings{"trunk", "cooled"}));
  checkpoints.set("kind", variable({"checkpoint"}, {2}, Strings{"trunk", "cooldown"}));
  checkpoints.set("lr", variable({"checkpoint"}, {2}, Doubles{0.1, 0}));
  checkpoints.set("loss_nats", variable({"checkpoint"}, {2}, Doubles{3, 2}));
  checkpoints.set("weight_norm2", variable({"checkpoint"}, {2}, Doubles{20, 30}));
  ptq.set("bits", variable({"bits"}, {3}, Ints{4, 2, 3}));
  const auto grid = [&](const char* name, Doubles values) {
    ptq.set(name, variable({"checkpoint", "bits"}, {2, 3}, std::move(values)));
  };
  grid("delta_nats", {1, 2, 3, 4, 5, 6});
  grid("delta_se_nats", {.1, .2, .3, .4, .5, .6});
  grid("predicted_nats", {10, 20, 30, 40, 50, 60});
  grid("mean_step2", {2, 2, 3, 2, 2, 4});
  curvature.set("trace", variable({"checkpoint"}, {2}, Doubles{7, 8}));
  curvature.set("trace_se", variable({"checkpoint"}, {2}, Doubles{.7, .8}));
  curvature.set("lambda", variable({"checkpoint", "rank"}, {2, 2}, Doubles{1, 5, 9, 2}));
  factorial.set("w_bits", variable({"cell"}, {2}, Doubles{3, 16}));
  factorial.set("a_bits", variable({"cell"}, {2}, Doubles{16, 4}));
  factorial.set("kv_bits", variable({"cell"}, {2}, Doubles{16, 8}));
  factorial.set("delta_nats", variable({"checkpoint", "cell"}, {2, 2}, Doubles{1, 2, 3, 4}));
  factorial.set("delta_se_nats", variable({"checkpoint", "cell"}, {2, 2}, Doubles{.1, .2, .3, .4}));
  noise.set("subspace", variable({"subspace"}, {2}, Strings{"top", "random"}));
  noise.set("energy", variable({"checkpoint", "amplitude"}, {2, 3}, Doubles{1, 2, 3, 4, 5, 6}));
  noise.set("delta_nats", variable({"checkpoint", "subspace", "amplitude"}, {2, 2, 3},
                                   Doubles{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  noise.set("residual_share", variable({"checkpoint"}, {2}, Doubles{.3, .4}));
  noise.set("null_share", variable({"checkpoint"}, {2}, Doubles{.1, .2}));
  run.groups = {{"manifest", manifest},   {"checkpoints", checkpoints}, {"ptq", ptq},
                {"curvature", curvature}, {"factorial", factorial},     {"noise", noise}};
  return run;
}

Table table_of(const RunFile& run) {
  Table table;
  append_run(table, run, "run.h5");
  return table;
}

}  // namespace

TEST_SUITE("table") {
  TEST_CASE("append_run: every ptq row carries its checkpoint, its bits and its entry") {
    const Table t = table_of(full_run());
    REQUIRE(t.ptq.size() == 6);
    const PtqRow& r = t.ptq[5];
    CHECK(r.run == "abc");
    CHECK(r.seed == -1);  // all 64 bits of the recorded seed
    CHECK(r.architecture == Architecture::transformer);
    CHECK(r.variant == "cooled");
    CHECK(r.N == 26600);
    CHECK(r.D == 2000);
    CHECK(r.P == 3);
    CHECK(r.lr == 0);
    CHECK(r.loss == 2);
    CHECK(r.delta == 6);
    CHECK(r.delta_se == 0.6);
    CHECK(r.predicted == 60);
    CHECK(r.mean_step2 == 4);
    CHECK(std::isnan(r.quadratic));  // not recorded
    CHECK(t.ptq[1].P == 2);
    CHECK(t.ptq[1].delta == 2);
  }

  TEST_CASE(
      "append_run: lambda_max is the largest rank, the weighted trace uses the least bits from 3 "
      "on") {
    Table t;
    append_run(t, full_run(), "first.h5");
    append_run(t, full_run(), "second.h5");
    REQUIRE(t.sharpness.size() == 4);
    for (const std::size_t i : {0u, 2u}) {
      CHECK(t.sharpness[i].lambda_max == 5);
      CHECK(t.sharpness[i + 1].lambda_max == 9);
      CHECK_NEAR(t.sharpness[i].weighted_trace, 24 * 30.0 / 3, 1e-12, 0);
      CHECK_NEAR(t.sharpness[i + 1].weighted_trace, 24 * 60.0 / 4, 1e-12, 0);
      CHECK(t.sharpness[i + 1].trace == 8);
      CHECK(t.sharpness[i + 1].weight_norm2 == 30);
    }
  }

  TEST_CASE("append_run: factorial and noise rows are unrolled in recorded order") {
    const Table t = table_of(full_run());
    REQUIRE(t.factorial.size() == 4);
    CHECK(t.factorial[3].a_bits == 4);
    CHECK(t.factorial[3].kv_bits == 8);
    CHECK(t.factorial[3].delta == 4);
    REQUIRE(t.noise.size() == 12);
    CHECK(t.noise[10].subspace == "random");
    CHECK(t.noise[10].energy == 5);
    CHECK(t.noise[10].delta == 10);
    CHECK(t.noise[11].delta == 11);
    CHECK(t.noise[5].subspace == "random");
    CHECK(t.noise[5].delta == 5);
    CHECK(std::isnan(t.noise[10].predicted));
    CHECK(t.noise[10].residual_share == 0.4);
    CHECK(t.noise[10].null_share == 0.2);
  }

  TEST_CASE("append_run: a run without instruments gives no rows and no error") {
    RunFile run = full_run();
    for (const char* name : {"ptq", "curvature", "factorial", "noise"}) run.groups.erase(name);
    const Table t = table_of(run);
    CHECK(t.ptq.empty());
    CHECK(t.sharpness.empty());
    CHECK(t.factorial.empty());
    CHECK(t.noise.empty());
  }

  TEST_CASE("append_run: curvature without ptq has no weighted trace") {
    RunFile run = full_run();
    run.groups.erase("ptq");
    CHECK(std::isnan(table_of(run).sharpness[0].weighted_trace));
  }

  TEST_CASE(
      "append_run: swapped dimensions, text for numbers and another checkpoint count -> "
      "FormatError") {
    RunFile swapped = full_run();
    Dataset ptq;
    ptq.set("bits", variable({"bits"}, {2}, Ints{3, 4}));
    ptq.set("delta_nats", variable({"bits", "checkpoint"}, {2, 2}, Doubles{1, 2, 3, 4}));
    swapped.groups["ptq"] = ptq;
    CHECK_THROWS_AS(table_of(swapped), FormatError);
    CHECK_THROWS_WITH(table_of(swapped), doctest::Contains("run.h5"));

    RunFile text = full_run();
    text.groups["checkpoints"].set("lr", variable({"checkpoint"}, {2}, Strings{"a", "b"}));
    CHECK_THROWS_AS(table_of(text), FormatError);

    RunFile shorter = full_run();
    Dataset curvature;
    curvature.set("trace", variable({"checkpoint"}, {1}, Doubles{7}));
    shorter.groups["curvature"] = curvature;
    CHECK_THROWS_AS(table_of(shorter), FormatError);

    RunFile seedless = full_run();
    seedless.groups["manifest"].set_attribute("seed", std::string("12x"));
    CHECK_THROWS_AS(table_of(seedless), FormatError);
  }

  TEST_CASE(
      "append_run: files without the later columns and options get the defaults of a main trunk and its branches") {
    const Table t = table_of(full_run());
    REQUIRE(t.losses.size() == 2);
    const LossRow &trunk = t.losses[0], &cooled = t.losses[1];
    CHECK(trunk.arm == "main");
    CHECK(trunk.kind == Kind::trunk);
    CHECK(trunk.branched_at == trunk.D);
    CHECK(trunk.step == 0);
    CHECK(cooled.kind == Kind::cooldown);
    CHECK(cooled.branched_at == 0);
    CHECK(trunk.is_full_precision());
    CHECK(trunk.batch == 0);
    CHECK(trunk.schedule.empty());
    CHECK(trunk.loss == 3);
    CHECK(t.shift.empty());
    CHECK(t.schemes.empty());
  }

  TEST_CASE("append_run: a checkpoint without a kind, of an unknown kind or architecture is an error that says so") {
    RunFile unknown = full_run();
    unknown.groups["checkpoints"].set("kind", variable({"checkpoint"}, {2}, Strings{"trunk", "branch"}));
    CHECK_THROWS_WITH_AS(table_of(unknown), doctest::Contains("cooldown"), FormatError);
    RunFile other = full_run();
    other.groups["manifest"].set_attribute("architecture", std::string("tree"));
    CHECK_THROWS_WITH_AS(table_of(other), doctest::Contains("transformer"), FormatError);
  }

  TEST_CASE("append_run: length and data of a branch are its own where the study gives them") {
    RunFile run = full_run();
    Dataset options;
    options.set_attribute("branch1.name", std::string("cooled"));
    options.set_attribute("branch1.tokens", std::int64_t{500});
    options.set_attribute("branch1.data", std::string("essays"));
    run.groups["options"] = options;
    const Table t = table_of(run);
    CHECK(t.losses[0].branch_tokens == 0);
    CHECK(t.losses[1].branch_tokens == 500);
    CHECK(t.losses[0].branch_data.empty());
    CHECK(t.losses[1].branch_data == "essays");
  }

  TEST_CASE("append_run: recipe, kind and branching point are those of the file") {
    RunFile run = full_run();
    Dataset options;
    options.set_attribute("model.arm", std::string("lr"));
    options.set_attribute("model.schedule", std::string("cosine"));
    options.set_attribute("model.data", std::string("prose"));
    options.set_attribute("model.lr", 0.003);
    options.set_attribute("model.tokens", std::int64_t{2000});
    options.set_attribute("train.batch", std::int64_t{8});
    options.set_attribute("train.weight_decay", 0.1);
    options.set_attribute("model.train_format", std::string("fp16"));
    options.set_attribute("quantize.rounding", std::string("stochastic"));
    run.groups["options"] = options;
    run.groups["checkpoints"].set("kind", variable({"checkpoint"}, {2}, Strings{"trunk", "tuned"}));
    run.groups["checkpoints"].set("branched_at", variable({"checkpoint"}, {2}, Ints{1000, 1500}));
    run.groups["checkpoints"].set("step", variable({"checkpoint"}, {2}, Ints{10, 20}));
    const PtqRow r = table_of(run).ptq[5];
    CHECK(r.arm == "lr");
    CHECK(r.schedule == "cosine");
    CHECK(r.data == "prose");
    CHECK(r.peak_lr == 0.003);
    CHECK(r.horizon == 2000);
    CHECK(r.batch == 8);
    CHECK(r.weight_decay == 0.1);
    CHECK(r.train_format == "fp16");
    CHECK(r.rounding == "stochastic");
    CHECK(r.weighted_trace() == 12 * r.predicted / r.mean_step2);
    CHECK(r.kind == Kind::tuned);
    CHECK(r.branched_at == 1500);
    CHECK(r.step == 20);
  }

  TEST_CASE("append_run: the precision of training is the model's for qat_ rows, the branch's for lowered ones") {
    RunFile run = full_run();
    Dataset options, qat;
    options.set_attribute("model.train_weight_bits", std::int64_t{4});
    options.set_attribute("model.method", std::string("qat"));
    options.set_attribute("branch1.name", std::string("warm"));
    options.set_attribute("branch1.train_weight_bits", std::int64_t{16});
    options.set_attribute("branch2.name", std::string("low"));
    options.set_attribute("branch2.train_activation_bits", std::int64_t{3});
    options.set_attribute("branch2.method", std::string("lsq"));
    run.groups["options"] = options;
    qat.set("loss_nats", variable({"checkpoint"}, {2}, Doubles{3.5, 2.5}));
    run.groups["qat"] = qat;
    run.groups["checkpoints"].set("variant", variable({"checkpoint"}, {2}, Strings{"qat_trunk", "low"}));
    run.groups["checkpoints"].set("kind", variable({"checkpoint"}, {2}, Strings{"trunk", "lowered"}));
    const Table t = table_of(run);
    CHECK(t.losses[0].train_w_bits == 4);
    CHECK(t.losses[0].method == "qat");
    CHECK(t.losses[0].loss == 3.5);
    CHECK(t.losses[1].train_w_bits == 16);
    CHECK(t.losses[1].train_a_bits == 3);
    CHECK(t.losses[1].method == "lsq");
    CHECK(t.losses[1].loss == 2.5);
    run.groups["checkpoints"].set("variant", variable({"checkpoint"}, {2}, Strings{"trunk", "low"}));
    const Table full = table_of(run);
    CHECK(full.losses[0].is_full_precision());  // the trunk of a branch at low precision
    CHECK(full.losses[0].loss == 3);
    CHECK(std::isnan(full.losses[0].loss_se));
  }

  TEST_CASE("append_run: ternary and binary training have their own bits, whose options stay at 16") {
    const auto trained_by = [](const std::string& method) {
      RunFile run = full_run();
      Dataset options;
      options.set_attribute("model.method", method);
      options.set_attribute("model.train_weight_bits", std::int64_t{16});
      options.set_attribute("model.train_activation_bits", std::int64_t{16});
      run.groups["options"] = options;
      run.groups["checkpoints"].set("variant", variable({"checkpoint"}, {2}, Strings{"qat_trunk", "qat_trunk"}));
      run.groups["checkpoints"].set("kind", variable({"checkpoint"}, {2}, Strings{"trunk", "trunk"}));
      run.groups["qat"].set("loss_nats", variable({"checkpoint"}, {2}, Doubles{2.5, 2.4}));
      Table table;
      append_run(table, run, "run.h5");
      return table.losses.at(1);
    };
    const LossRow ternary = trained_by("bitnet"), binary = trained_by("binary");
    CHECK_NEAR(ternary.train_w_bits, std::log2(3.0), 1e-15, 0);
    CHECK(ternary.train_a_bits == 8);
    CHECK(binary.train_w_bits == 1);
    CHECK(binary.train_a_bits == 16);
    for (const LossRow& r : {ternary, binary}) {
      CHECK_FALSE(r.is_full_precision());
      CHECK(r.loss == 2.4);  // at the precision of training, not of the latent weights
    }
  }

  TEST_CASE("append_run: what a model is built of comes from its options, and older files leave it open") {
    RunFile run = full_run();
    Table old;
    append_run(old, run, "run.h5");
    CHECK(old.ptq[0].style.empty());
    CHECK(old.ptq[0].layers == 0);
    CHECK_FALSE(old.ptq[0].has_experts());
    Dataset options;
    options.set_attribute("model.kind", std::string("gpt2"));
    options.set_attribute("model.sub_norms", std::string("on"));
    std::int64_t number = 2;
    for (const char* name : {"layers", "width", "heads", "kv_heads", "mlp_width", "experts", "experts_per_token"})
      options.set_attribute(std::string("model.") + name, number++);
    run.groups["options"] = options;
    Dataset experts;
    experts.set("bits", variable({"entry"}, {3}, Ints{4, 4, 4}));
    experts.set("layer", variable({"entry"}, {3}, Ints{0, 0, 1}));
    experts.set("expert", variable({"entry"}, {3}, Ints{0, 1, 0}));
    experts.set("load", variable({"checkpoint", "entry"}, {2, 3}, Doubles{1, 2, 3, 4, 5, 6}));
    experts.set("delta_nats", variable({"checkpoint", "entry"}, {2, 3}, Doubles{.1, .2, .3, .4, .5, .6}));
    experts.set("delta_se_nats", variable({"checkpoint", "entry"}, {2, 3}, Doubles{1, 1, 1, 1, 1, 1}));
    run.groups["experts"] = experts;
    Table table;
    append_run(table, run, "run.h5");
    const PtqRow& r = table.ptq[0];
    CHECK(r.style == "gpt2");
    CHECK(r.sub_norms == "on");
    CHECK(std::vector{r.layers, r.width, r.heads, r.kv_heads, r.mlp_width, r.experts, r.experts_per_token} ==
          Doubles{2, 3, 4, 5, 6, 7, 8});
    REQUIRE(table.expert_damage.size() == 6);
    CHECK(table.expert_damage[4].load == 5);
    CHECK(table.expert_damage[4].delta == .5);
    CHECK(table.expert_damage[4].expert == 1);
    CHECK(table.expert_damage[5].layer == 1);
    CHECK(table.expert_damage[5].D == 2000);
  }

  TEST_CASE("append_run: shifted windows have rows of their own") {
    RunFile run = full_run();
    Dataset shift;
    shift.set_attribute("data", std::string("essays"));
    shift.set("bits", variable({"bits"}, {2}, Ints{3, 4}));
    shift.set("loss_nats", variable({"checkpoint"}, {2}, Doubles{5, 6}));
    shift.set("delta_nats", variable({"checkpoint", "bits"}, {2, 2}, Doubles{1, 2, 3, 4}));
    shift.set("delta_se_nats", variable({"checkpoint", "bits"}, {2, 2}, Doubles{.1, .2, .3, .4}));
    run.groups["shift"] = shift;
    const Table t = table_of(run);
    REQUIRE(t.shift.size() == 4);
    CHECK(t.shift[3].shifted_data == "essays");
    CHECK(t.shift[3].P == 4);
    CHECK(t.shift[3].D == 2000);
    CHECK(t.shift[3].loss == 6);
    CHECK(t.shift[2].delta == 3);
    CHECK(t.shift[2].delta_se == .3);
  }

  TEST_CASE("append_run: a scheme belongs to the last trunk") {
    RunFile run = full_run();
    Dataset schemes;
    schemes.set("scheme", variable({"entry"}, {2}, Strings{"rtn", "rotate+rtn"}));
    schemes.set("bits", variable({"entry"}, {2}, Ints{3, 4}));
    schemes.set("delta_nats", variable({"entry"}, {2}, Doubles{.5, .6}));
    schemes.set("quadratic_nats", variable({"entry"}, {2}, Doubles{.7, .8}));
    run.groups["schemes"] = schemes;
    const Table t = table_of(run);
    REQUIRE(t.schemes.size() == 2);
    CHECK(t.schemes[1].scheme == "rotate+rtn");
    CHECK(t.schemes[1].variant == "trunk");
    CHECK(t.schemes[1].D == 1000);
    CHECK(t.schemes[1].P == 4);
    CHECK(t.schemes[1].delta == .6);
    CHECK(t.schemes[1].quadratic == .8);
    CHECK(std::isnan(t.schemes[1].gradient));
    run.groups["checkpoints"].set("kind", variable({"checkpoint"}, {2}, Strings{"trunk", "trunk"}));
    CHECK(table_of(run).schemes[1].D == 2000);
  }

  TEST_CASE("append_run: schemes at every checkpoint stand for those at the end, and precisions beside are read") {
    RunFile run = full_run();
    Dataset schemes;
    schemes.set("scheme", variable({"entry"}, {1}, Strings{"rtn"}));
    schemes.set("bits", variable({"entry"}, {1}, Ints{3}));
    schemes.set("delta_nats", variable({"entry"}, {1}, Doubles{.5}));
    schemes.set_attribute("activation_bits", std::int64_t(4));
    run.groups["schemes"] = schemes;
    REQUIRE(table_of(run).schemes.size() == 1);
    CHECK(table_of(run).schemes[0].a_bits == 4);
    CHECK(table_of(run).schemes[0].kv_bits == 16);
    CHECK(!table_of(run).schemes[0].is_of_weights());
    CHECK(std::isnan(table_of(run).schemes[0].quadratic_other));
    Dataset along;
    along.set("scheme", variable({"entry"}, {2}, Strings{"rtn", "rotate+rtn"}));
    along.set("bits", variable({"entry"}, {2}, Ints{3, 4}));
    along.set("delta_nats", variable({"checkpoint", "entry"}, {2, 2}, Doubles{.1, .2, .3, .4}));
    along.set("remainder_se_nats", variable({"checkpoint", "entry"}, {2, 2}, Doubles{1, 2, 3, 4}));
    along.set("quadratic_other_nats", variable({"checkpoint", "entry"}, {2, 2}, Doubles{5, 6, 7, 8}));
    run.groups["schemes_along"] = along;
    const Table t = table_of(run);
    REQUIRE(t.schemes.size() == 4);
    CHECK(t.schemes[1].scheme == "rotate+rtn");
    CHECK(t.schemes[1].P == 4);
    CHECK(t.schemes[1].D == 1000);
    CHECK(t.schemes[2].D == 2000);
    CHECK(t.schemes[2].delta == .3);
    CHECK(t.schemes[2].remainder_se == 3);
    CHECK(t.schemes[3].quadratic_other == 8);
    CHECK(t.schemes[3].is_of_weights());
  }
}
