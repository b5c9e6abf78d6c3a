// A clone without Git LFS holds small text files in place of the large ones: every reader names them as such.
#include "sim/base/error.hpp"
#include "sim/import/checkpoint.hpp"
#include "sim/import/safetensors.hpp"
#include "sim/import/tokenizers/text_tokenizer.hpp"
#include "tests/import/stored.hpp"

namespace fs = std::filesystem;

namespace hone::test {
namespace {

constexpr const char* pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1842767\n";

/// The message, checked, that `read` has about a pointer of this name.
void check_named(const char* name, const std::function<void(const fs::path& file)>& read) {
  const TemporaryFolder folder;
  CAPTURE(name);
  const fs::path file = folder.write(name, pointer);
  const std::string message = message_of<FormatError>([&] { read(file); });
  CHECK_MESSAGE(
      mentions(message, fmt::format("{}: a Git LFS pointer in place of the file of 1842767 bytes", file.string())),
      message);
  CHECK(mentions(message, "git lfs pull"));
}

TEST_SUITE_BEGIN("import");

TEST_CASE("Git LFS: a pointer in place of a file -> FormatError naming file, size and git lfs pull [every reader]") {
  for (const char* name : {"tokenizer.json", "tokenizer.bin"})
    check_named(name, [](const fs::path& file) { import_tokenizer(file); });
  check_named("stories.bin", [](const fs::path& file) { import_checkpoint(file); });
  check_named("config.json", [](const fs::path& file) { import_checkpoint(file.parent_path()); });
  check_named("model.safetensors", [](const fs::path& file) { list_safetensors(file); });
  check_named("model.safetensors", [](const fs::path& file) {
    fs::copy_file(stored_folder("gpt2") / "config.json", file.parent_path() / "config.json");
    import_checkpoint(file.parent_path());
  });
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
