// Imported checkpoints against PyTorch in float64: logits, loss, gradient, Hessian product, greedy continuation.
#include "sim/import/checkpoint.hpp"

#include "sim/base/error.hpp"
#include "sim/import/folder_weights.hpp"
#include "sim/import/greedy.hpp"
#include "sim/model/decoder.hpp"
#include "tests/import/stored.hpp"
#include "tests/support/model_passes.hpp"

namespace fs = std::filesystem;

namespace hone::test {
namespace {

/// A vector stored under the model's own tensor names, in hone's order: read as if it were the model's weights.
Vector<double> named_vector(const fs::path& folder, const std::string& name, Index positions) {
  const TemporaryFolder copy;
  fs::copy_file(folder / (name + ".safetensors"), copy.path() / "model.safetensors");
  const FolderWeights read = read_folder_weights(copy.path(), read_folder_config(folder / "config.json", positions));
  return ConstVecView<double>(read.theta.data(), Index(read.theta.size()));
}

template <class Passes>
void check_logits(Passes& passes, const Vector<double>& theta, const nlohmann::json& answers, double tolerance) {
  CHECK_NEAR(passes.loss(theta), answers["loss"].get<double>(), tolerance, 0.0);
  const std::vector<double> stored = answers["logits"];
  const Block<double>& logits = passes.acts().logits;
  CHECK(relative_error(Vector<double>(ConstVecView<double>(logits.data, logits.size())),
                       Vector<double>(ConstVecView<double>(stored.data(), Index(stored.size())))) <= tolerance);
}

void check_folder(const std::string& name, const std::string& format) {
  CAPTURE(name);
  const fs::path folder = stored_folder(name);
  const nlohmann::json answers = stored_answers(name);
  const TokenBatch data = stored_tokens(answers);
  const ImportedModel imported = import_checkpoint(folder, {.positions = data.positions});
  CHECK(imported.format == format);
  CHECK(imported.source == folder.string());
  CHECK(imported.sha256.size() == 64);
  const Transformer<double> model(imported.options);
  REQUIRE(Index(imported.wide.size()) == model.layout().size());
  const Vector<double> theta = ConstVecView<double>(imported.wide.data(), Index(imported.wide.size()));
  CHECK(std::equal(imported.theta.begin(), imported.theta.end(), theta.begin(),
                   [](float rounded, double value) { return rounded == float(value); }));

  ModelPasses<Transformer<double>> passes(model, data);
  check_logits(passes, theta, answers, 1e-12);
  const auto part = [&](const char* file) { return named_vector(folder, file, data.positions); };
  CHECK(relative_error(passes.gradient(theta), part("gradient")) <= 1e-11);
  CHECK(relative_error(passes.hessian_product(theta, part("direction")), part("hessian_product")) <= 1e-11);

  const auto prompt = std::span(data.tokens).first(3);
  const std::vector<std::uint16_t> greedy = answers["greedy"];
  CHECK(greedy_continue(model, theta.data(), prompt, 5) == greedy);
  CHECK(greedy_continue(Transformer<float>(imported.options), imported.theta.data(), prompt, 5) == greedy);
}

TEST_SUITE_BEGIN("import");

TEST_CASE("checkpoint: logits, loss, gradient and Hessian product are PyTorch's to 1e-11 [Llama, attention biases]") {
  check_folder("llama", "llama");
}

TEST_CASE(
    "checkpoint: logits, loss, gradient and Hessian product are PyTorch's to 1e-11 [Llama, tied, 2 of 4 kv heads, "
    "narrow heads]") {
  check_folder("llama_tied_gqa", "llama");
}

TEST_CASE("checkpoint: logits, loss, gradient and Hessian product are PyTorch's to 1e-11 [GPT-2]") {
  check_folder("gpt2", "gpt2");
}

TEST_CASE("checkpoint: logits, loss, gradient and Hessian product are PyTorch's to 1e-11 [GPT-NeoX in five files]") {
  check_folder("neox", "gpt_neox");
}

TEST_CASE("checkpoint: logits of scaled rotary frequencies are the library's to 1e-12 [llama3; linear, half a head]") {
  for (const char* name : {"llama3_rope", "neox_linear_rope"}) {
    CAPTURE(name);
    const nlohmann::json answers = stored_answers(name);
    const TokenBatch data = stored_tokens(answers);
    const ImportedModel imported = import_checkpoint(stored_folder(name));
    REQUIRE(imported.options.positions == data.positions);
    const Transformer<double> model(imported.options);
    ModelPasses<Transformer<double>> passes(model, data);
    const Vector<double> theta = ConstVecView<double>(imported.wide.data(), model.layout().size());
    check_logits(passes, theta, answers, 1e-12);
    Decoder<double> decoder(model, theta.data(), {});
    const std::vector<double> stored = answers["logits"];
    double furthest = 0;
    decoder.feed(std::span(data.tokens).first(size_t(data.positions)),
                 [&](Index, Index t, ConstVecView<double> logits) {
                   const ConstVecView<double> row(stored.data() + t * logits.size(), logits.size());
                   furthest = std::max(furthest, (logits - row).cwiseAbs().maxCoeff());
                 });
    CHECK(furthest <= 1e-11);
  }
}

TEST_CASE("checkpoint: a head that a tied config denies is used, and the model says so") {
  const TemporaryFolder copy;
  std::string config = read_text(stored_folder("llama") / "config.json");
  const std::string untied = "\"tie_word_embeddings\": false";
  REQUIRE(mentions(config, untied));
  config.replace(config.find(untied), untied.size(), "\"tie_word_embeddings\": true");
  copy.write("config.json", config);
  fs::copy_file(stored_folder("llama") / "model.safetensors", copy.path() / "model.safetensors");
  const ImportedModel told = import_checkpoint(copy.path()), plain = import_checkpoint(stored_folder("llama"));
  CHECK(told.theta == plain.theta);
  CHECK(told.options == plain.options);
  REQUIRE(told.notes.size() == 1);
  CHECK(mentions(told.notes[0], "config.json: tie_word_embeddings = true, but the files store a head"));
  CHECK(plain.notes.empty());
}

TEST_CASE("checkpoint: a llama2.c file gives PyTorch's logits to 1e-12 [first format, version 1]") {
  const nlohmann::json answers = stored_answers("llama2c");
  const TokenBatch data = stored_tokens(answers);
  for (const char* file : {"model.bin", "version1.bin"}) {
    CAPTURE(file);
    const ImportedModel imported = import_checkpoint(stored_folder("llama2c") / file, {.positions = data.positions});
    CHECK(imported.format == "llama2.c");
    CHECK(imported.wide.empty());
    const Transformer<double> model(imported.options);
    ModelPasses<Transformer<double>> passes(model, data);
    const Vector<double> theta = ConstVecView<float>(imported.theta.data(), model.layout().size()).cast<double>();
    check_logits(passes, theta, answers, 1e-12);
    const std::vector<std::uint16_t> greedy = answers["greedy"];
    CHECK(greedy_continue(model, theta.data(), std::span(data.tokens).first(3), 5) == greedy);
  }
}

TEST_CASE("checkpoint: a shorter context changes no logit of the positions that remain") {
  for (const char* name : {"gpt2", "neox"}) {
    CAPTURE(name);
    const fs::path folder = stored_folder(name);
    const ImportedModel whole = import_checkpoint(folder), cut = import_checkpoint(folder, {.positions = 3});
    CHECK(whole.options.positions == (name == std::string("gpt2") ? 12 : 24));
    CHECK(cut.options.positions == 3);
    const std::vector<std::uint16_t> prompt = {5, 9};
    CHECK(greedy_continue(Transformer<float>(whole.options), whole.theta.data(), prompt, 2) ==
          greedy_continue(Transformer<float>(cut.options), cut.theta.data(), prompt, 2));
    CHECK(message_of<OptionError>([&] { import_checkpoint(folder, {.positions = 25}); }) ==
          fmt::format("{}: context = 25 asked for, the checkpoint has {} positions; ask for 1 to {}",
                      (folder / "config.json").string(), whole.options.positions, whole.options.positions));
  }
}

TEST_CASE("checkpoint: the hash is that of the named files, and changes with any of them") {
  const TemporaryFolder copy;
  for (const char* file : {"config.json", "model.safetensors"})
    fs::copy_file(stored_folder("gpt2") / file, copy.path() / file);
  const std::string before = import_checkpoint(copy.path()).sha256;
  CHECK(before == import_checkpoint(stored_folder("gpt2")).sha256);
  std::string config = read_text(copy.path() / "config.json");
  copy.write("config.json", config + "\n");
  CHECK(import_checkpoint(copy.path()).sha256 != before);
  copy.write("config.json", config);
  CHECK(import_checkpoint(copy.path()).sha256 == before);
  std::string weights = read_text(copy.path() / "model.safetensors");
  weights.back() ^= 1;
  copy.write("model.safetensors", weights);
  CHECK(import_checkpoint(copy.path()).sha256 != before);
}

TEST_CASE("checkpoint: a path that is no checkpoint -> an error that says what to give") {
  const TemporaryFolder folder;
  const auto io = [](const fs::path& path) { return message_of<IoError>([&] { import_checkpoint(path); }); };
  CHECK(
      mentions(io(folder.path()), "holds no config.json; give the folder of a Hugging Face model or a llama2.c file"));
  CHECK(mentions(io(folder.path() / "absent.bin"), "absent.bin: cannot be read"));
  const fs::path single = stored_folder("gpt2") / "model.safetensors";
  CHECK(mentions(message_of<FormatError>([&] { import_checkpoint(single); }), "give the folder that holds it"));
}

TEST_CASE("greedy_continue: what does not fit in the context breaks the contract") {
  const ImportedModel imported = import_checkpoint(stored_folder("gpt2"), {.positions = 4});
  const Transformer<float> model(imported.options);
  const std::vector<std::uint16_t> prompt = {1, 2, 3};
  CHECK(greedy_continue(model, imported.theta.data(), prompt, 2).size() == 2);
  CHECK(greedy_continue(model, imported.theta.data(), prompt, 0).empty());
  CHECK_THROWS_AS(greedy_continue(model, imported.theta.data(), prompt, 3), ContractError);
  CHECK_THROWS_AS(greedy_continue(model, imported.theta.data(), std::span(prompt).first(0), 1), ContractError);
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
