// tokenizer.bin of llama2.c.
#include "tests/fuzz/tokenizer_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hone::fuzz::try_tokenizer(hone::fuzz::text_of(data, size));
  return 0;
}
