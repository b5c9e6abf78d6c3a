// A llama2.c checkpoint. The first byte says what the others are: even a whole file; odd seven bytes of extents, then
// bytes of weights, repeated until the file has the size that the extents ask for in the first format.
#include <array>
#include <cmath>
#include <cstring>

#include "sim/import/llama2c.hpp"
#include "tests/fuzz/target.hpp"

namespace {

using hone::Index;

constexpr Index most_values = 1 << 14;

/// Numbers of a file of the first format, added up tensor by tensor.
Index values_of(const std::array<std::int32_t, 7>& n) {
  const Index C = n[0], F = n[1], L = n[2], V = std::abs(n[5]), head = C / n[3], kv = head * n[4];
  const Index attention = 2 * C * C + 2 * kv * C, mlp = 3 * F * C, norms = 2 * C;
  return V * C + L * (attention + mlp + norms) + C + n[6] * head + (n[5] < 0 ? V * C : 0);
}

std::string file_of(std::string_view input) {
  if (input[0] % 2 == 0 || input.size() < 9) return std::string(input.substr(1));
  std::array<std::int32_t, 7> header;
  for (size_t i = 0; i < 7; ++i) header[i] = std::max(1, int(static_cast<unsigned char>(input[i + 1])) & 31);
  if (input[6] & 32) header[5] = -header[5];
  std::string file(sizeof header, '\0');
  std::memcpy(file.data(), header.data(), sizeof header);
  const std::string_view weights = input.substr(8);
  const auto size = size_t(28 + 4 * std::min(values_of(header), most_values));
  while (file.size() < size) file += weights;
  file.resize(size);
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hone;
  if (size == 0) return 0;
  fuzz::limit_time();
  static fuzz::InputFile input;
  const std::filesystem::path& file = input.holding(file_of(fuzz::text_of(data, size)));
  fuzz::is_read(file.string(), [&] {
    const Llama2cModel model = read_llama2c(file);
    if (Index(model.theta.size()) != model.options.layout().size()) fuzz::fail("parameters without a place");
    for (const float value : model.theta)
      if (!std::isfinite(value)) fuzz::fail("a parameter is not finite");
  });
  return 0;
}
