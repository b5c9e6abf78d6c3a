// A safetensors file. The first byte says what the others are: 0 a whole file; n > 0 a header, which gets its length
// before it and 4(n-1) bytes of numbers behind it, so that mutations reach the entries.
#include <cstring>

#include "sim/import/safetensors.hpp"
#include "tests/fuzz/target.hpp"

namespace {

std::string file_of(std::string_view input) {
  const auto kind = static_cast<unsigned char>(input[0]);
  if (kind == 0) return std::string(input.substr(1));
  const std::uint64_t length = input.size() - 1;
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file + std::string(input.substr(1)) + std::string(4 * (kind - 1u), '<');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hone;
  if (size == 0) return 0;
  fuzz::limit_time();
  static fuzz::InputFile input;
  const std::filesystem::path& file = input.holding(file_of(fuzz::text_of(data, size)));
  fuzz::is_read(file.string(), [&] {
    for (const StoredTensor& tensor : list_safetensors(file))
      if (tensor.type != StoredType::other && Index(read_tensor(file, tensor).size()) != tensor.size())
        fuzz::fail("tensor " + tensor.name + " has another size than its shape");
  });
  return 0;
}
