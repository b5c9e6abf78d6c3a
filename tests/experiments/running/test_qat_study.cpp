// Training at low precision as a part of studies.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "experiments/study/build.hpp"
#include "sim/base/error.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/near.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

using experiments::ModelSpec;
using experiments::QuantizeSpec;
using experiments::training_precision;

/// The transformer of the quick study, one seed, trained as `more` says.
std::string qat_text(const std::string& more) {
  std::string text = replaced(quick_text(), "seeds = [1, 2]", "seeds = [1]");
  const auto mlp = text.find("[[models]]\nname = \"mlp\"");
  text = text.substr(0, mlp) + text.substr(text.find("[train]"));
  return replaced(text, "lr = 6e-3\n", "lr = 6e-3\n" + more);
}

QatOptions precision_of_training(const ModelSpec& model, const QuantizeSpec& spec = {}) {
  return training_precision(model, model, spec);
}

const std::string four_bits = "train_weight_bits = 4\ntrain_activation_bits = 4\ntrain_kv_bits = 4\n";

RunFile run_of(const Workplace& place) {
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  return place.read(0);
}

/// Starts the study, waits for its first partial file, and kills it.
void kill_after_first_save(const Workplace& place) {
  Process process(place.arguments("run", alone));
  while (process.is_running() && !fs::exists(place.partial(0)))
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  process.signal(SIGKILL);
  (void)process.wait();
}

TEST_CASE("study: training at low precision resumes after a kill with equal bits [qat, lsq with averages, bitnet]") {
  for (const std::string& more :
       {four_bits + "ste = \"clipped\"\n", "method = \"lsq\"\n" + four_bits,
        std::string("method = \"bitnet\"\nsub_norms = \"on\"\nschedule = \"two_stage\"\ndecay_share = 0.5\n")}) {
    CAPTURE(more);
    const std::string text = replaced(qat_text(more), "chunk_rows = 128", "chunk_rows = 128\nema_decay = 0.95");
    const Workplace whole(text), killed(text);
    const RunFile run = run_of(whole);
    kill_after_first_save(killed);
    CHECK(fs::exists(killed.partial(0)));
    const Said said = killed.says("run", alone);
    CHECK_MESSAGE(said.code == 0, said.err);
    CHECK(difference(killed, whole) == "");
    const auto& points = run.group("checkpoints");
    const auto &latent = points.doubles("loss_nats"), &low = run.group("qat").doubles("loss_nats");
    CHECK(points.strings("variant").front() == "qat_trunk");
    REQUIRE(low.size() == latent.size());
    for (size_t i = 0; i < low.size(); ++i) {
      CHECK(std::isfinite(low[i]));
      CHECK(low[i] != latent[i]);
    }
  }
}

TEST_CASE("study: branches at low precision leave the float trunk as it is and end below its rounded copy") {
  const std::string branch =
      "\n[[models.branches]]\nname = \"lowered\"\nat = [2, 3]\nshare = 0.5\ntrain_weight_bits = 2\n";
  const std::string plain_text = qat_text(""), last = "name = \"cooled\"\nat = [2]\n";
  const RunFile plain = run_of(Workplace(plain_text)),
                run = run_of(Workplace(replaced(plain_text, last, last + branch)));
  const auto& variants = run.group("checkpoints").strings("variant");
  CHECK(variants == std::vector<std::string>{"trunk", "trunk", "cooled", "lowered", "trunk", "lowered"});
  CHECK(run.group("checkpoints").strings("kind") ==
        std::vector<std::string>{"trunk", "trunk", "cooldown", "lowered", "trunk", "lowered"});
  const auto& low = run.group("qat").doubles("loss_nats");
  const auto& before = run.group("qat").doubles("before_nats");
  for (const size_t full : {0, 1, 2, 4}) CHECK(std::isnan(low[full]));
  CHECK(low[3] < before[3] - 0.02);
  CHECK(low[5] < before[5] - 0.02);
  CHECK(run.group("checkpoints").strings("theta_sha256").front() ==
        plain.group("checkpoints").strings("theta_sha256").front());
  CHECK(run.group("checkpoints").strings("theta_sha256")[4] ==
        plain.group("checkpoints").strings("theta_sha256").back());
  CHECK(!plain.groups.contains("qat"));
}

TEST_CASE("study: a model that names 16 bits of training is the same run as one that names none") {
  const Workplace plain(qat_text("")),
      named(qat_text("train_weight_bits = 16\nmethod = \"qat\"\nste = \"identity\"\n"));
  CHECK(plain.runs()[0].id() == named.runs()[0].id());
}

TEST_CASE("study: mixed precision is a trunk of its own numbers at full precision, and resumes with equal bits") {
  const std::string text = qat_text("train_format = \"fp16\"\n");
  const Workplace plain(qat_text("")), whole(text), killed(text);
  const RunFile run = run_of(whole);
  CHECK(run.group("checkpoints").strings("variant") == run_of(plain).group("checkpoints").strings("variant"));
  CHECK(run.group("checkpoints").strings("theta_sha256") != plain.read(0).group("checkpoints").strings("theta_sha256"));
  CHECK(!run.groups.contains("qat"));
  CHECK_NEAR(run.group("checkpoints").doubles("loss_nats").back(),
             plain.read(0).group("checkpoints").doubles("loss_nats").back(), 0.02, 0);
  kill_after_first_save(killed);
  CHECK(run_of(killed).group("checkpoints") == run.group("checkpoints"));
}

TEST_CASE(
    "training_precision: numbers of 16 bits leave no quantizer on, and are refused with one or for a perceptron") {
  ModelSpec model;
  model.train_format = "bf16";
  CHECK(precision_of_training(model).format == NumberFormat::bf16);
  CHECK(precision_of_training(model).is_full());
  const auto refusal = [](const ModelSpec& wrong) {
    return message_of<OptionError>([&] { precision_of_training(wrong); });
  };
  ModelSpec wrong = model;
  wrong.kind = "mlp";
  CHECK(mentions(refusal(wrong), "train_format = \"bf16\" with kind = \"mlp\""));
  wrong = model, wrong.train_weight_bits = 4;
  CHECK(mentions(refusal(wrong), "train_format = \"bf16\" with quantizers in training"));
  wrong = model, wrong.train_format = "fp166";
  CHECK(mentions(refusal(wrong), "did you mean 'fp16'?"));
}

TEST_CASE("training_precision: names become quantizers, contradictions are refused") {
  ModelSpec model;
  CHECK(precision_of_training(model).is_full());
  model.train_weight_bits = 3, model.ste = "llm_qat";
  QatOptions options = precision_of_training(model, QuantizeSpec{.grid = "midrise", .granularity = "tensor"});
  CHECK(options.precision.weight.grid == Grid::midrise);
  CHECK(options.precision.weight.granularity == Granularity::tensor);
  CHECK(options.weight_ste == SteKind::llm_qat);
  CHECK(options.precision.ste == SteKind::llm_qat);
  CHECK(!options.precision.quantizes_forward());
  model.method = "lsq";
  CHECK(precision_of_training(model).learned_steps);
  const auto refused = [](const ModelSpec& wrong) { CHECK_THROWS_AS(precision_of_training(wrong), OptionError); };
  ModelSpec wrong = model;
  wrong.method = "bitnet", refused(wrong);
  wrong.train_weight_bits = 16;
  CHECK(precision_of_training(wrong).precision.weight.format == Format::ternary);
  CHECK(precision_of_training(wrong, QuantizeSpec{.scale = "fp16"}).precision.weight.scale == ScaleKind::fp16);
  wrong.method = "binary";
  CHECK(precision_of_training(wrong).precision.weight.bits == 1);
  CHECK(precision_of_training(wrong).precision.weight.grid == Grid::llm_qat);
  wrong.train_weight_bits = 2, refused(wrong);
  wrong = model, wrong.kind = "mlp", wrong.train_kv_bits = 8, refused(wrong);
  wrong = model, wrong.train_weight_bits = 16, refused(wrong);
  wrong = {}, wrong.ste = "clippd", refused(wrong);
}

}  // namespace
}  // namespace hone::test

TEST_SUITE_END();
