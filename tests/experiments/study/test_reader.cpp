#include <doctest/doctest.h>
#include <fmt/format.h>

#include "experiments/study/reader.hpp"
#include "tests/experiments/program.hpp"

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

/// A change that spoils the quick study, and what the message must say.
struct Spoiled {
  const char* what;
  std::string from, to;
  std::string line_with;  ///< the message names the line with this text; "" = no line to name
  std::vector<std::string> parts;
};

const std::string first_model = "[[models]]\nname = \"tiny\"";
const std::string second_model = "[[models]]\nname = \"mlp\"";
const std::string mlp_kind = "kind = \"mlp\"\ndata = \"teacher\"";

/// Runs the study and expects one line that names the file, the line and all parts.
void expect_refused(const Spoiled& spoiled) {
  CAPTURE(spoiled.what);
  const std::string text = replaced(quick_text(), spoiled.from, spoiled.to);
  const Workplace place(text);
  const Said said = place.says("run");
  CHECK(said.code == 2);
  CHECK(said.out == "");
  CHECK_MESSAGE(count_lines(said.err) == 1, said.err);
  CHECK_MESSAGE(mentions(said.err, "hone: " + place.file() + ": "), said.err);
  if (!spoiled.line_with.empty()) {
    const std::string line = fmt::format("line {}: ", line_of(text, spoiled.line_with));
    CHECK_MESSAGE(mentions(said.err, line), line << " not in " << said.err);
  }
  for (const std::string& part : spoiled.parts) CHECK_MESSAGE(mentions(said.err, part), part << " not in " << said.err);
  CHECK(!std::filesystem::exists(place.out()));
}

}  // namespace

TEST_CASE("read_study: one line names file, line and fix [bad TOML, unknown keys]") {
  expect_refused({"open list", "seeds = [1, 2]", "seeds = [1, 2", "", {"line ", "mend the TOML"}});
  expect_refused({"bare word", "title = \"Smallest", "title = Small # \"", "title = ", {"mend the TOML"}});
  expect_refused({"key twice", "layers = 1", "layers = 1\nlayers = 2", "layers = 2", {"layers"}});
  expect_refused({"unknown key", "heads = 2", "haeds = 2", "haeds", {"models[0].haeds", "did you mean \"heads\"?"}});
  expect_refused({"key of another section",
                  "[noise]",
                  "[noise]\nbits = [4]",
                  "bits = [4]",
                  {"noise.bits is unknown", "did you mean"}});
  expect_refused({"unknown section", "[train]", "[trian]", "[trian]", {"trian", "did you mean \"train\"?"}});
  expect_refused({"unknown threshold",
                  "[noise]",
                  "[thresholds]\nq3_tolerence = 1\n[noise]",
                  "q3_tolerence",
                  {"thresholds.q3_tolerence is unknown", "did you mean \"q3_tolerance\"?"}});
  expect_refused(
      {"thresholds no table", "# A few", "thresholds = 3\n# A few", "thresholds = 3", {"write [thresholds]"}});
  expect_refused({"unknown question",
                  "title = \"Smallest",
                  "questions = [\"Q1\", \"Q0\"]\ntitle = \"Smallest",
                  "",
                  {"study.questions holds \"Q0\", which is none; known: Q1, Q2"}});
  expect_refused({"list for section", "[noise]", "[[noise]]", "[[noise]]", {"write [noise]"}});
}

TEST_CASE("read_study: one line names line, field, value and fix [wrong type]") {
  expect_refused({"text for integer",
                  "layers = 1",
                  "layers = \"one\"",
                  "layers",
                  {"models[0].layers = \"one\" is not a whole number"}});
  expect_refused({"fraction for integer",
                  "tokens = 40960",
                  "tokens = 4.5",
                  "tokens = 4.5",
                  {"models[0].tokens = 4.5 is not a whole number"}});
  expect_refused({"flag for number", "lr = 6e-3", "lr = true", "lr = true", {"models[0].lr = true is not a number"}});
  expect_refused({"number for text",
                  "kind = \"llama\"",
                  "kind = 5",
                  "kind = 5",
                  {"models[0].kind = 5 is not text; write it in quotes"}});
  expect_refused(
      {"number for list", "seeds = [1, 2]", "seeds = 3", "seeds", {"study.seeds = 3 is not a list; write it in [ ]"}});
  expect_refused({"list for number",
                  "width = 16",
                  "width = [16]",
                  "width = [16]",
                  {"models[0].width holds a list and is not a whole number"}});
  expect_refused({"text in a list",
                  "factorial_kv = [3]",
                  "factorial_kv = [3, \"4\"]",
                  "factorial_kv",
                  {"quantize.factorial_kv[1] = \"4\" is not a whole number"}});
}

TEST_CASE("read_study: one line names line, field, value and limits [out of range]") {
  expect_refused({"negative", "width = 16", "width = -16", "width = -16", {"= -16 (expected 1 "}});
  expect_refused({"no tokens", "tokens = 40960", "tokens = 0", "tokens = 0", {"= 0 (expected 1 "}});
  expect_refused({"not finite", "lr = 6e-3", "lr = inf", "lr = inf", {"models[0].lr = inf"}});
  expect_refused({"absurd lr", "lr = 6e-3", "lr = 1e6", "lr = 1e6", {"expected", "to 999"}});
  expect_refused({"no bits",
                  "bits = [2, 3, 4, 5, 6]",
                  "bits = [2, 0]",
                  "bits = [2, 0]",
                  {"quantize.bits[1] = 0 (expected 1 to 16)"}});
  expect_refused({"17 bits",
                  "bits = [2, 3, 4, 5, 6]",
                  "bits = [17]",
                  "bits = [17]",
                  {"quantize.bits[0] = 17 (expected 1 to 16)"}});
  expect_refused({"negative seed", "seeds = [1, 2]", "seeds = [-1]", "seeds", {"seeds[0] = -1"}});
  expect_refused({"one window",
                  "evaluation_windows = 32",
                  "evaluation_windows = 1",
                  "evaluation_windows",
                  {"measure.evaluation_windows = 1 (expected 2"}});
}

TEST_CASE("read_study: one line names the model, its line and the fix [fields that do not fit]") {
  expect_refused({"heads", "heads = 2", "heads = 3", first_model, {"heads = 3", "width = 16"}});
  expect_refused({"kv_heads", "heads = 2", "heads = 2\nkv_heads = 3", first_model, {"kv_heads = 3", "heads"}});
  expect_refused({"experts_per_token",
                  "heads = 2",
                  "heads = 2\nexperts = 2\nexperts_per_token = 3",
                  first_model,
                  {"experts_per_token = 3", "experts = 2"}});
  expect_refused({"gates of experts",
                  "heads = 2",
                  "heads = 2\nexperts = 2\ngates = \"renormalised\"",
                  first_model,
                  {"gates = \"renormalised\"", "did you mean \"renormalized\"?"}});
  expect_refused({"tokens below a batch",
                  "tokens = 40960\nfirst_tokens = 10240",
                  "tokens = 511\nfirst_tokens = 1",
                  first_model,
                  {"models.tiny", "tokens = 511", "one batch of 512", "train longer"}});
  expect_refused({"first_tokens",
                  "first_tokens = 10240",
                  "first_tokens = 50000",
                  first_model,
                  {"first_tokens = 50000 above tokens = 40960"}});
  expect_refused(
      {"branch", "at = [2]", "at = [4]", "[[models.branches]]", {"branches.cooled: at = 4, there are 3 checkpoints"}});
  expect_refused({"branch of no checkpoint", "at = [2]", "share = 1", first_model, {"branches.cooled: at is missing"}});
  expect_refused({"branch with a variant's name",
                  "name = \"cooled\"",
                  "name = \"trunk\"",
                  first_model,
                  {"branches.trunk: name is missing or that of another variant"}});
  expect_refused({"branch whose name is no file name",
                  "name = \"cooled\"",
                  "name = \"cooled/twice\"",
                  first_model,
                  {"branches.cooled/twice: name holds a blank or slash"}});
  expect_refused({"branch on data of other tokens",
                  "at = [2]",
                  "at = [2]\ndata = \"teacher\"",
                  first_model,
                  {"branches.data = \"teacher\"", "both are text"}});
  expect_refused({"branch on no data",
                  "at = [2]",
                  "at = [2]\ndata = \"zipff\"",
                  first_model,
                  {"branches.data = \"zipff\"", "did you mean \"zipf\"?"}});
  expect_refused({"data typo",
                  "data = \"zipf\"",
                  "data = \"zip\"",
                  first_model,
                  {"models.tiny", "data = \"zip\"", "did you mean \"zipf\"?"}});
  expect_refused({"mlp on a language",
                  mlp_kind,
                  "kind = \"mlp\"\ndata = \"zipf\"",
                  second_model,
                  {"kind = \"mlp\"", "of kind \"markov\"", "use kind = \"llama\""}});
  expect_refused({"llama on vectors",
                  "data = \"zipf\"",
                  "data = \"teacher\"",
                  first_model,
                  {"kind = \"llama\"", "of kind \"teacher\"", "use kind = \"mlp\""}});
  expect_refused({"windows",
                  "curvature_windows = 8",
                  "curvature_windows = 64",
                  "",
                  {"curvature_windows = 64 above evaluation_windows = 32"}});
  expect_refused({"one-bit weights",
                  "factorial_w = [3, 4, 16]",
                  "factorial_w = [1]",
                  "",
                  {"quantize.factorial_w.bits = 1", "bits = 2 or more"}});
  expect_refused({"one-bit activations",
                  "factorial_a = [3, 4, 16]",
                  "factorial_a = [1]",
                  "",
                  {"quantize.factorial_a.bits = 1", "bits = 2 or more"}});
  expect_refused({"one-bit residual",
                  "draws = 2",
                  "draws = 2\nresidual_bits = 1",
                  "",
                  {"noise.residual.bits = 1", "bits = 2 or more"}});
}

TEST_CASE("read_study: raw_bytes without files is refused: corpora are packed") {
  expect_refused({"raw bytes of a corpus",
                  "kind = \"markov\"\nvocabulary = 64",
                  "kind = \"text\"\ntokenizer = \"raw_bytes\"",
                  "[[data]]\nname = \"zipf\"",
                  {"tokenizer = \"raw_bytes\" takes files as they are", "give files"}});
}

TEST_CASE("read_study: unknown names of things are refused with the nearest known one") {
  const auto named = [](const char* what, const std::string& from, const std::string& to, const std::string& line_with,
                        const std::string& value, const std::string& nearest) {
    expect_refused({what, from, to, line_with, {what, value, nearest}});
  };
  named("kind", "kind = \"markov\"", "kind = \"markof\"", "[[data]]\nname = \"zipf\"", "markof", "\"markov\"");
  named("tokenizer", "vocabulary = 64", "tokenizer = \"byte\"", "[[data]]\nname = \"zipf\"", "\"byte\"", "\"bytes\"");
  named("kind", "kind = \"llama\"", "kind = \"lama\"", first_model, "\"lama\"", "\"llama\"");
  named("schedule", "lr = 6e-3", "lr = 6e-3\nschedule = \"cosin\"", first_model, "\"cosin\"", "\"cosine\"");
  named("rope", "lr = 6e-3", "lr = 6e-3\nrope = \"haf\"", first_model, "\"haf\"", "\"half\"");
  named("head", "lr = 6e-3", "lr = 6e-3\nhead = \"tide\"", first_model, "\"tide\"", "\"tied\"");
  named("activation", "widths = [16]", "widths = [16]\nactivation = \"tahn\"", second_model, "\"tahn\"", "\"tanh\"");
  named("optimizer", "batch = 16", "batch = 16\noptimizer = \"adam\"", first_model, "\"adam\"", "\"adamw\"");
  named("precision", "eigenpairs = 3", "precision = \"float16\"", "", "\"float16\"", "float32 or float64");
  named("grid", "factorial_kv = [3]", "grid = \"midrize\"", "", "midrize", "midrise");
  named("granularity", "factorial_kv = [3]", "granularity = \"rows\"", "", "rows", "row");
  named("granularity", "factorial_kv = [3]", "activation_granularity = \"tokn\"", "", "tokn", "known");
}

TEST_CASE("read_study: names that cannot name a folder, a file or one thing are refused") {
  expect_refused({"slash", "name = \"quick\"", "name = \"a/b\"", "", {"study.name = \"a/b\""}});
  expect_refused({"dots", "name = \"quick\"", "name = \"..\"", "", {"study.name = \"..\""}});
  expect_refused({"model slash", "name = \"tiny\"", "name = \"a/b\"", "[[models]]\nname = \"a/b\"", {"a/b"}});
  expect_refused({"model twice", "name = \"mlp\"", "name = \"tiny\"", "", {"models.name = \"tiny\"", "twice"}});
  expect_refused({"data twice", "name = \"teacher\"", "name = \"zipf\"", "", {"data.name = \"zipf\"", "twice"}});
  expect_refused({"no seed", "seeds = [1, 2]", "seeds = []", "", {"study.seeds is empty", "give at least one"}});
  expect_refused({"seed twice", "seeds = [1, 2]", "seeds = [2, 2]", "", {"study.seeds = [2, 2]", "leave it out"}});
}

TEST_CASE("read_study: all errors of a file come in one line") {
  std::string text = replaced(quick_text(), "layers = 1", "layers = 0");
  text = replaced(text, "heads = 2", "haeds = 2");
  text = replaced(text, "draws = 2", "draws = \"two\"");
  const Workplace place(text);
  const Said said = place.says("plan");
  CHECK(said.code == 2);
  CHECK_MESSAGE(count_lines(said.err) == 1, said.err);
  for (const char* part : {"layers = 0", "haeds", "draws = \"two\""})
    CHECK_MESSAGE(mentions(said.err, fmt::format("line {}: ", line_of(text, part))), said.err);

  const Workplace unfit(
      replaced(replaced(quick_text(), "heads = 2", "heads = 3"), "curvature_windows = 8", "curvature_windows = 33"));
  const Said both = unfit.says("run");
  CHECK_MESSAGE(count_lines(both.err) == 1, both.err);
  CHECK_MESSAGE((mentions(both.err, "heads = 3") && mentions(both.err, "= 33")), both.err);
}

TEST_CASE("read_study: a grid of too many models and seeds for too many runs are refused before they fill the memory") {
  const std::string ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
  std::string grid = "[models.grid]\n", seeds = "seeds = [0";
  for (const char* field : {"layers", "heads", "checkpoints", "tokens", "train.batch", "train.warmup_steps"})
    grid += fmt::format("{} = {}\n", field, ten);
  for (int seed = 1; seed <= 10'000; ++seed) seeds += fmt::format(", {}", seed);
  const std::string mlp = "[[models]]\nname = \"mlp\"";
  expect_refused({"a million models", mlp, grid + mlp, first_model, {"above 1000 models", "shorten its grid"}});
  expect_refused({"too many runs", "seeds = [1, 2]", seeds + "]", "", {"20002 runs, at most 10000", "leave some out"}});
}

TEST_CASE("read_study: a study without a name has that of its file, whole but for .toml") {
  const Workplace place("");
  const std::string text = replaced(tiny_text(), "name = \"tiny\"\n", "");
  for (const auto& [file, name] : {std::pair{"small.v1.toml", "small.v1"}, {"small.v2", "small.v2"}})
    CHECK(experiments::read_study(place.write(file, text)).name == name);
}

TEST_CASE("read_study: a study without models, an empty file and no file are one line each") {
  for (const std::string& text : {std::string("[study]\nname = \"x\"\n"), std::string()}) {
    const Workplace place(text);
    const Said said = place.says("run");
    CHECK(said.code == 2);
    CHECK_MESSAGE(count_lines(said.err) == 1, said.err);
    CHECK_MESSAGE(mentions(said.err, "write at least one [[models]]"), said.err);
  }
  const Workplace place("");
  for (const std::string& name : {place.path("none.toml").string(), place.path("").string()}) {
    const Said said = hone_says({"run", name, "--out", place.out().string()});
    CHECK(said.code == 1);
    CHECK_MESSAGE(count_lines(said.err) == 1, said.err);
    CHECK_MESSAGE((mentions(said.err, name) && mentions(said.err, "check the path")), said.err);
    CHECK(!std::filesystem::exists(place.out()));
  }
}

TEST_CASE("read_study: a spoiled study file leaves a finished folder as it was") {
  const Workplace& place = quick();
  const std::string before = read_text(place.finished(0));
  const auto spoiled = place.write("spoiled.toml", replaced(quick_text(), "heads = 2", "heads = 3"));
  CHECK(hone_says({"run", spoiled.string(), "--out", place.out().string()}).code == 2);
  CHECK(read_text(place.finished(0)) == before);
  CHECK(read_text(place.out() / "study.toml") == quick_text());
}

}  // namespace hone::test

TEST_SUITE_END();
