// A real model, when a folder with it is named by HONE_STORIES260K: 260 thousand parameters trained on short stories.
#include <cstdlib>

#include "sim/import/checkpoint.hpp"
#include "sim/import/greedy.hpp"
#include "sim/import/tokenizers/text_tokenizer.hpp"
#include "sim/model/objective.hpp"
#include "tests/import/stored.hpp"

namespace hone::test {
namespace {

TEST_SUITE_BEGIN("import");

TEST_CASE(
    "stories260K: the opening of a story is far likelier than by chance, and goes on in words [HONE_STORIES260K]") {
  const char* folder = std::getenv("HONE_STORIES260K");
  if (!folder) {
    MESSAGE("skipped: set HONE_STORIES260K to a folder with stories260K.bin and tok512.bin");
    return;
  }
  const std::filesystem::path path = folder;
  const auto tokenizer = import_tokenizer(path / "tok512.bin");
  CHECK(tokenizer->vocabulary() == 512);
  const std::string text =
      "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.";
  std::vector<std::uint16_t> tokens = tokenizer->encode(text);
  CHECK(tokenizer->decode(tokens) == text);
  tokens.insert(tokens.begin(), tokenizer->begin_of_text().value());
  const Index positions = Index(tokens.size()) - 1;
  const ImportedModel imported = import_checkpoint(path / "stories260K.bin", {.positions = positions});
  CHECK(imported.options.vocabulary == 512);
  const Transformer<float> model(imported.options);
  Objective<Transformer<float>> objective(model, {});
  const double loss = objective.value(imported.theta.data(), {1, positions, tokens});
  MESSAGE("loss ", loss, " nats per token");
  CHECK(loss < 2);
  const auto greedy = greedy_continue(model, imported.theta.data(), std::span(tokens).first(5), positions - 5);
  MESSAGE("continuation:", tokenizer->decode(greedy));
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
