// A series in place of a trunk: what is measured is what the files hold, a kill changes no bit, and what is wrong with the
// files is said before anything is measured.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>

#include "experiments/study/reader.hpp"
#include "experiments/study/series.hpp"
#include "sim/base/mean.hpp"
#include "sim/data/batch.hpp"
#include "sim/data/corpus.hpp"
#include "sim/model/objective.hpp"
#include "sim/quantize/weights.hpp"
#include "sim/record/schema.hpp"
#include "sim/train/checkpoint.hpp"
#include "tests/experiments/program.hpp"
#include "tests/experiments/series_folder.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("series");

namespace hone::test {
namespace {

constexpr std::int64_t steps[] = {10, 20, 40, 80};

/// A study of a series in the folder that SERIES of the environment names.
std::string series_text() {
  return R"([study]
name = "others"
seeds = [3]
[[data]]
name = "text"
tokenizer = "checkpoint"
held_out = ["${SERIES}/text.txt"]
[[models]]
name = "small"
kind = "series"
data = "text"
folders = "${SERIES}/small/step{step}"
tokens_per_step = 1000
context = 32
lr = 2e-3
[train]
batch = 4
warmup_steps = 0
[measure]
evaluation_windows = 8
curvature_windows = 4
losses = "float64"
eigenpairs = 2
lanczos_steps = 20
slq_probes = 2
slq_steps = 8
trace_probes = 4
[quantize]
bits = [3, 4]
factorial_w = [3, 16]
factorial_a = [3, 16]
[noise]
draws = 2
)";
}

std::string sheep(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += fmt::format("The {} sheep of the {} hill slept; ", i * i % 17, i % 5);
  return text;
}

/// Four checkpoints with leading zeros in their names, and a text; SERIES names the folder.
class Fleet {
 public:
  Fleet() {
    for (const std::int64_t step : steps) write_llama(place(step), 5, int(step));
    write_text_atomically(path() / "text.txt", sheep(60));
    write_text_atomically(path() / "train.txt", sheep(200));
    ::setenv("SERIES", path().c_str(), 1);
  }
  fs::path path() const { return folder_.path(); }
  fs::path place(std::int64_t step) const { return path() / "small" / fmt::format("step{:05}", step); }
  TokenBatch windows() const {
    TokenStream stream;
    for (const char c : sheep(60)) stream.validation.push_back(std::uint8_t(c));
    return evaluation_windows(stream, 32, 8, 1);
  }

 private:
  TemporaryFolder folder_;
};

double mean_loss(const TransformerOptions& options, const AlignedVector<float>& theta, const TokenBatch& windows) {
  const Transformer<double> model(options);
  const AlignedVector<double> wide(theta.begin(), theta.end());
  return mean_with_error(Objective<Transformer<double>>(model, {}).example_losses(wide.data(), windows)).mean;
}

}  // namespace

TEST_CASE("series: a run measures the parameters of the files, in the order of their tokens") {
  const Fleet fleet;
  const Workplace place(series_text());
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const RunFile file = place.read(0);
  const Dataset &points = file.group("checkpoints"), &ptq = file.group("ptq");
  CHECK(values_of(points, schema::checkpoints.step) == std::vector<std::int64_t>{10, 20, 40, 80});
  CHECK(values_of(points, schema::checkpoints.tokens) == std::vector<std::int64_t>{10000, 20000, 40000, 80000});
  CHECK(values_of(points, schema::checkpoints.lr) == std::vector<double>(4, 2e-3));
  const TokenBatch windows = fleet.windows();
  for (size_t i = 0; i < 4; ++i) {
    const ImportedModel imported = import_checkpoint(fleet.place(steps[i]), {32});
    CHECK(checkpoint_sha256(fleet.place(steps[i])) == imported.sha256);
    CHECK(values_of(points, schema::checkpoints.theta_sha256)[i] == parameter_hash(imported.theta));
    const double loss = mean_loss(imported.options, imported.theta, windows);
    CHECK(values_of(points, schema::checkpoints.loss_nats)[i] == doctest::Approx(loss).epsilon(1e-12));
    const auto rounded = quantize_weights(imported.theta.data(), imported.options.layout(), {.bits = 3}).theta;
    CHECK(values_of(ptq, schema::ptq.delta_nats)[2 * i] ==
          doctest::Approx(mean_loss(imported.options, rounded, windows) - loss).epsilon(1e-9));
  }
  CHECK(file.groups.contains("noise"));
  CHECK(file.groups.contains("factorial"));
  const Dataset& options = file.group("options");
  CHECK(std::get<std::string>(options.attribute("model.kind")) == "llama");
  CHECK(std::get<std::int64_t>(options.attribute("model.layers")) == 1);
  CHECK(std::get<std::int64_t>(options.attribute("model.tokens")) == 80000);
  CHECK(!file.group("manifest").attributes().contains("data_epochs"));
  CHECK(std::get<std::string>(file.group("manifest").attribute("corpus")) == "text");
  CHECK(place.says("judge").code == 0);
  CHECK(place.says("table").code == 0);
  const std::string plan = place.says("plan", alone).out;
  for (const char* part : {"80 k", "done", "measured on 1 finished runs"}) CHECK_MESSAGE(mentions(plan, part), plan);
}

TEST_CASE("series: a killed run goes on with the same bits, and anew when a checkpoint has changed meanwhile") {
  const Fleet fleet;
  const Workplace whole(series_text()), killed(series_text());
  REQUIRE(whole.says("run", alone).code == 0);
  const auto kill_after_first = [&] {
    Process process(killed.arguments("run", alone));
    while (process.is_running() && !fs::exists(killed.out() / "work" / fs::path(killed.partial(0)).filename()))
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    process.signal(SIGKILL);
    process.wait();
  };
  kill_after_first();
  REQUIRE(!fs::exists(killed.finished(0)));
  CHECK(mentions(killed.says("plan", alone).out, "partly done"));
  const Said said = killed.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK(difference(whole, killed) == "");

  fs::remove_all(killed.out());
  kill_after_first();
  write_llama(fleet.place(80), 6, 80);
  const Said other = killed.says("run", alone);
  CHECK_MESSAGE(other.code == 0, other.err);
  CHECK_MESSAGE(mentions(other.err, "was measured on other checkpoints of models.small"), other.err);
  CHECK(mentions(other.err, "starting"));
}

TEST_CASE("series: branches and calibration read the training text beside the held-out one") {
  const Fleet fleet;
  std::string text = replaced(series_text(), "held_out = [", "files = [\"${SERIES}/train.txt\"]\nheld_out = [");
  text = replaced(text, "[train]", "[[models.branches]]\nname = \"cooled\"\nat = [2]\ntokens = 1280\n[train]");
  text = replaced(text, "bits = [3, 4]", "bits = [4]\nschemes = [\"rtn\", \"gptq\"]\nscheme_bits = [4]");
  const Workplace place(text);
  const std::string plan = place.says("plan", alone).out;
  for (const char* part : {"1.28 k training tokens", "tokens/s in training"}) CHECK_MESSAGE(mentions(plan, part), plan);
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const RunFile file = place.read(0);
  const Dataset& points = file.group("checkpoints");
  CHECK(values_of(points, schema::checkpoints.variant) ==
        std::vector<std::string>{"trunk", "trunk", "cooled", "trunk", "trunk"});
  CHECK(values_of(points, schema::checkpoints.branched_at)[2] == 20000);
  CHECK(values_of(points, schema::checkpoints.tokens)[2] == 20000 + 10 * 4 * 32);
  CHECK(values_of(points, schema::checkpoints.theta_sha256)[2] !=
        values_of(points, schema::checkpoints.theta_sha256)[1]);
  CHECK(file.groups.contains("schemes"));
}

TEST_CASE("series: a table gives sizes, seeds, steps and rates") {
  const Fleet fleet;
  for (const int seed : {3, 4}) {
    write_llama(fleet.path() / fmt::format("a{}", seed), std::uint64_t(seed), 10);
    write_llama(fleet.path() / fmt::format("b{}", seed), std::uint64_t(seed), 20);
    write_llama(fleet.path() / fmt::format("c{}", seed), std::uint64_t(seed), 20, 2);
  }
  std::string table = "model,seed,folder,step,tokens,rate\n";
  for (const int seed : {3, 4})
    table += fmt::format("small,{0},b{0},9,700,0.001\nsmall,{0},a{0},5,400,0.5\ndeep,{0},c{0},7,600,0\n", seed);
  write_text_atomically(fleet.path() / "all.csv", table);
  std::string text = replaced(series_text(), "seeds = [3]", "seeds = [3, 4]");
  text = replaced(text, "folders = \"${SERIES}/small/step{step}\"\ntokens_per_step = 1000",
                  "table = \"${SERIES}/all.csv\"");
  text = replaced(text, "[train]",
                  "[[models]]\nname = \"deep\"\nkind = \"series\"\ndata = \"text\"\ntable = \"${SERIES}/all.csv\"\n"
                  "context = 32\n[train]");
  const Workplace place(text);
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  REQUIRE(place.runs().size() == 4);
  for (const size_t run : {0, 1}) {
    const RunFile file = place.read(run);
    const Dataset& points = file.group("checkpoints");
    CHECK(values_of(points, schema::checkpoints.step) == std::vector<std::int64_t>{5, 9});
    CHECK(values_of(points, schema::checkpoints.tokens) == std::vector<std::int64_t>{400, 700});
    CHECK(values_of(points, schema::checkpoints.lr) == std::vector<double>{0.5, 0.001});
    const auto imported = import_checkpoint(fleet.path() / (run == 0 ? "a3" : "a4"), {32});
    CHECK(values_of(points, schema::checkpoints.theta_sha256)[0] == parameter_hash(imported.theta));
  }
  const RunFile deep = place.read(2);
  CHECK(std::get<std::int64_t>(deep.group("options").attribute("model.layers")) == 2);
}

namespace {

/// Runs the study, with its text or its files spoiled, and expects a line with all parts; nothing is left behind.
void expect_refused(const std::string& text, const std::vector<std::string>& parts) {
  const Workplace place(text);
  for (const char* command : {"run", "plan"}) {
    const Said said = place.says(command);
    CHECK((said.code == 1 || said.code == 2));  // 2 for options, 1 for files
    CHECK_MESSAGE(count_lines(said.err) == 1, said.err);
    for (const std::string& part : parts) CHECK_MESSAGE(mentions(said.err, part), part << " not in " << said.err);
    CHECK(!fs::exists(place.out()));
  }
}

}  // namespace

TEST_CASE("series: fields that do not fit are named with value and fix") {
  const Fleet fleet;
  const std::string text = series_text(), folders = "folders = \"${SERIES}/small/step{step}\"";
  expect_refused(replaced(text, folders, ""), {"models.small", "folders = \"\"", "one of the two"});
  expect_refused(replaced(text, folders, folders + "\ntable = \"t.csv\""), {"table = \"t.csv\"", "one of the two"});
  expect_refused(replaced(text, "step{step}", "step10"), {"holds no {step}", "table"});
  expect_refused(replaced(text, "seeds = [3]", "seeds = [3, 4]"), {"holds no {seed}", "[3, 4]"});
  expect_refused(replaced(text, "context = 32", "context = 32\nlayers = 3"), {"model.layers = 3", "leave it out"});
  expect_refused(replaced(text, "batch = 4", "batch = 4\nema_decay = 0.9"), {"train.ema_decay = 0.9"});
  expect_refused(replaced(text, "kind = \"series\"", "kind = \"llama\""), {"kind = \"llama\"", "kind = \"series\""});
  expect_refused(
      replaced(text, "tokenizer = \"checkpoint\"\nheld_out = [\"${SERIES}/text.txt\"]", "files = [\"text.txt\"]"),
      {"tokenizer = \"bytes\"", "tokenizer = \"checkpoint\""});
  expect_refused(replaced(text, "tokenizer = \"checkpoint\"", "tokenizer = \"raw_bytes\""),
                 {"held_out", "tokenizer = \"raw_bytes\""});
  expect_refused(replaced(text, "losses = \"float64\"", "losses = \"double\""), {"measure.losses = \"double\""});
  expect_refused(replaced(text, "context = 32", "context = 65"), {"config.json", "65", "64"});
  expect_refused(replaced(text, "context = 32", "context = 32\nsteps = [10, 30, 80]"), {"steps = [30]", "fetch"});
  expect_refused(replaced(text, "small/step{step}", "small/stage{step}"), {"nothing lies at", "small/stage{step}"});
  expect_refused(replaced(text, folders, "folders = \"${SERIES_OF_NOBODY}/step{step}\""),
                 {"SERIES_OF_NOBODY", "not set", "export"});
  expect_refused(replaced(text, "[train]", "[[models.branches]]\nname = \"cooled\"\nat = [5]\n[train]"),
                 {"branches.cooled", "at = 5", "4 checkpoints"});
}

TEST_CASE("series: a gap, one step twice, other shapes and broken files are named before anything is measured") {
  const std::string text = series_text();
  const auto spoiled = [&](const std::function<void(const Fleet&)>& spoil, const std::vector<std::string>& parts) {
    const Fleet fleet;
    spoil(fleet);
    expect_refused(text, parts);
  };
  spoiled([](const Fleet& f) { fs::remove_all(f.place(20)); },
          {"gap between steps 10 and 40", "fetch", "steps = [...]"});
  spoiled([](const Fleet& f) { write_llama(f.path() / "small" / "step20", 5, 20); },
          {"step20", "step00020", "tokens = 20000", "keep one"});
  spoiled([](const Fleet& f) { write_llama(f.place(0), 5, 1); }, {"step00000", "before the first update", "steps"});
  spoiled([](const Fleet& f) { write_llama(f.place(40), 5, 40, 2); },
          {"step00040", "num_hidden_layers = 2, not 1", "[[models]]"});
  spoiled([](const Fleet& f) { fs::remove(f.place(40) / "model.safetensors"); },
          {"step00040", "holds neither model.safetensors"});
  spoiled([](const Fleet& f) { fs::remove(f.place(40) / "config.json"); }, {"step00040", "holds no config.json"});
  spoiled([](const Fleet& f) { fs::resize_file(f.place(40) / "model.safetensors", 9000); },
          {"step00040", "model.safetensors", "fetch"});
  spoiled(
      [](const Fleet& f) {
        write_text_atomically(f.place(40) / "model.safetensors",
                              "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1842767\n");
      },
      {"step00040", "Git LFS pointer", "git lfs pull"});
  spoiled([](const Fleet& f) { write_text_atomically(f.place(40) / "tokenizer.json", byte_tokenizer() + "\n"); },
          {"step00040", "tokenizer.json", "differs from", "step00010"});
}

TEST_CASE("series: what is wrong with its text or tokenizer ends the run and leaves no finished file") {
  const auto failed = [](const std::string& text, const std::vector<std::string>& parts) {
    const Workplace place(text);
    const Said said = place.says("run", alone);
    CHECK(said.code == 1);
    for (const std::string& part : parts) CHECK_MESSAGE(mentions(said.err, part), part << " not in " << said.err);
    CHECK(!fs::exists(place.finished(0)));
  };
  const Fleet fleet;
  failed(replaced(series_text(), "evaluation_windows = 8", "evaluation_windows = 800"), {"data.text", "800 windows"});
  failed(replaced(series_text(), "text.txt", "none.txt"), {"none.txt"});
  failed(replaced(series_text(), "bits = [3, 4]", "bits = [3, 4]\nschemes = [\"gptq\"]"),
         {"data.text", "no text to train on", "quantize.schemes", "files"});
  for (const std::int64_t step : steps)  // a token beyond the vocabulary for "x" and what follows it
    write_text_atomically(fleet.place(step) / "tokenizer.json",
                          replaced(byte_tokenizer(), "\"\\u0054\": 84", "\"\\u0054\": 300"));
  failed(series_text(), {"tokenizer.json", "token 300", "vocab_size = 256"});
  for (const std::int64_t step : steps) fs::remove(fleet.place(step) / "tokenizer.json");
  failed(series_text(), {"step00010", "holds no tokenizer.json", "models.small"});
}

TEST_CASE("series: a table with a missing folder, an empty cell or a step that goes back is refused") {
  const Fleet fleet;
  const std::string text = replaced(series_text(), "folders = \"${SERIES}/small/step{step}\"\ntokens_per_step = 1000",
                                    "table = \"${SERIES}/all.csv\"");
  const auto refused = [&](const std::string& lines, const std::vector<std::string>& parts) {
    write_text_atomically(fleet.path() / "all.csv", lines);
    expect_refused(text, parts);
  };
  refused("folder,tokens\nsmall/step00010,100\nsmall/step00011,200\n",
          {"all.csv", "folder = \"small/step00011\"", "fetch"});
  refused("folder,tokens\nsmall/step00010,\n", {"all.csv", "tokens = \"\"", "small/step00010", "mend the table"});
  refused("folder,tokens\nsmall/step00010,1.5\n", {"tokens = \"1.5\""});
  refused("folder,steps\nsmall/step00010,5\n", {"all.csv", "tokens"});
  refused("folder,tokens,rate\nsmall/step00010,5,-1\n", {"rate = \"-1\""});
  refused("folder,tokens\nsmall/step00010,5\nsmall/step00020,5\n", {"tokens = 5", "keep one"});
  refused("folder,tokens,step\nsmall/step00010,5,2\nsmall/step00020,6,2\n", {"step 2 at 5 tokens", "tokens_per_step"});
  refused("folder,tokens,seed\nsmall/step00010,5,7\n", {"seed 3", "seeds = [...]"});
}

TEST_CASE("series: pythia.toml reads folders of GPT-NeoX as they are published, and hone plan says what they cost") {
  const TemporaryFolder folder;
  const Index widths[] = {16, 32, 48, 64};
  const char* names[] = {"pythia-14m", "pythia-31m", "pythia-70m", "pythia-160m"};
  for (size_t size = 0; size < 4; ++size)
    for (const int step : {1, 4, 16, 64, 256, 512, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 96000, 143000})
      write_neox(folder.path() / names[size] / fmt::format("step{}", step), std::uint64_t(step), widths[size]);
  folder.write("text.txt", sheep(700));
  ::setenv("HONE_PYTHIA", folder.path().c_str(), 1);
  const std::string study = HONE_SOURCE_DIR "/experiments/studies/pythia.toml";
  const fs::path out = folder.path() / "out";
  const Said said = hone_says({"plan", study, "--out", out.string(), "--jobs", "1", "--threads", "1"});
  REQUIRE_MESSAGE(said.code == 0, said.err);
  for (const char* name : names) CHECK_MESSAGE(mentions(said.out, name), said.out);
  for (const char* part : {"300 G", "4 runs, 0 training tokens", "memory: at most", "time: "})
    CHECK_MESSAGE(mentions(said.out, part), said.out);
  const auto runs = experiments::plan_runs(experiments::read_study(study));
  REQUIRE(runs.size() == 4);
  const experiments::Series& series = experiments::series_of(runs[0]);
  CHECK(series.format == "gpt_neox");
  CHECK(series.checkpoints.size() == 15);
  CHECK(series.checkpoints.back().tokens == 143000ll * 2097152);
  fs::remove_all(folder.path() / "pythia-31m" / "step4000");
  const Said missing = hone_says({"plan", study, "--out", out.string()});
  CHECK(missing.code == 2);
  CHECK_MESSAGE(mentions(missing.err, "steps = [4000]"), missing.err);
}

TEST_SUITE_END();

}  // namespace hone::test
