// config.json of a Hugging Face folder: what is read has a layout, and the weights of a small model of its family either
// fit it or are refused.
#include <cmath>

#include "sim/import/folder_weights.hpp"
#include "tests/fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hone;
  fuzz::limit_time();
  static fuzz::InputFile input;
  const std::filesystem::path& file = input.holding(fuzz::text_of(data, size));
  FolderConfig config;
  if (!fuzz::is_read(file.string(), [&] { config = read_folder_config(file); })) return 0;
  const std::string name = config.family == Family::llama ? "llama" : config.family == Family::gpt2 ? "gpt2" : "neox";
  const std::filesystem::path folder = std::filesystem::path(HONE_GOLDEN) / "import" / name;
  fuzz::is_read(folder.string(), [&] {
    const FolderWeights weights = read_folder_weights(folder, config);
    if (Index(weights.theta.size()) != config.options.layout().size()) fuzz::fail("parameters without a place");
    for (const double value : weights.theta)
      if (!std::isfinite(value)) fuzz::fail("a parameter is not finite");
  });
  return 0;
}
