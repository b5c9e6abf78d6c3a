// llama2.c files: the layout of both formats, and files that do not hold what their header says.
#include "sim/import/llama2c.hpp"

#include <array>
#include <cstring>

#include "sim/base/error.hpp"
#include "tests/import/stored.hpp"

namespace fs = std::filesystem;

namespace hone::test {
namespace {

std::string stored_bytes(const char* name) { return read_text(stored_folder("llama2c") / name); }

/// `bytes` with the int32 at `place` replaced.
std::string with_number(std::string bytes, size_t place, std::int32_t value) {
  std::memcpy(bytes.data() + place, &value, sizeof value);
  return bytes;
}

template <class E>
std::string answer_to(const std::string& bytes) {
  const TemporaryFolder folder;
  return message_of<E>([&] { read_llama2c(folder.write("model.bin", bytes)); });
}

TEST_SUITE_BEGIN("import");

TEST_CASE("llama2.c: both formats give the same architecture and parameters") {
  const Llama2cModel first = read_llama2c(stored_folder("llama2c") / "model.bin");
  const Llama2cModel version1 = read_llama2c(stored_folder("llama2c") / "version1.bin");
  CHECK(first.theta == version1.theta);
  for (const TransformerOptions& o : {first.options, version1.options}) {
    CHECK(o.vocabulary == 40);
    CHECK(o.positions == 24);
    CHECK(o.layers == 2);
    CHECK(o.width == 16);
    CHECK(o.heads == 4);
    CHECK(o.kv_heads == 2);
    CHECK(o.mlp_width == 20);
    CHECK(o.norm_eps == 1e-5);
    CHECK(o.position == Positions::rope_interleaved);
    CHECK(o.head == Head::tied);
  }
}

TEST_CASE("llama2.c: a negative vocabulary means a head of its own behind the tables") {
  const Llama2cModel tied = read_llama2c(stored_folder("llama2c") / "model.bin");
  const Llama2cModel untied = read_llama2c(stored_folder("llama2c") / "untied.bin");
  REQUIRE(untied.options.head == Head::untied);
  const ParamLayout layout = untied.options.layout();
  const auto head = view(untied.theta.data(), layout.at("head.weight"));
  CHECK(head == view(untied.theta.data(), layout.at("tok_emb.weight")).colwise().reverse());
  CHECK(std::equal(tied.theta.begin(), tied.theta.end(), untied.theta.begin()));
}

TEST_CASE("llama2.c: rotary tables of other angles than the program's are refused with place and values") {
  const std::string whole = stored_bytes("model.bin");
  const size_t tables = whole.size() - 2 * 24 * 2 * sizeof(float);
  CHECK(answer_to<OptionError>(whole).empty());
  std::string other = whole;
  const float wrong = 0.5f;
  std::memcpy(other.data() + tables + (3 * 2 + 1) * sizeof(float), &wrong, sizeof wrong);
  CHECK(mentions(answer_to<OptionError>(other), "the rotary tables hold cosine 0.5"));
  CHECK(mentions(answer_to<OptionError>(other), "for pair 1 at position 3"));
  other = whole;
  std::memset(other.data() + tables, 0, whole.size() - tables);
  CHECK(mentions(answer_to<OptionError>(other), "cosine 0 and sine 0 for pair 0 at position 0"));
}

TEST_CASE("llama2.c: a file cut at any byte or too long -> FormatError naming it") {
  const std::string whole = stored_bytes("model.bin"), version1 = stored_bytes("version1.bin");
  for (size_t size = 0; size < whole.size(); size += size < 300 ? 7 : 1001) {
    CHECK(mentions(answer_to<FormatError>(whole.substr(0, size)), "model.bin"));
    CHECK(mentions(answer_to<FormatError>(version1.substr(0, size)), "model.bin"));
  }
  CHECK(mentions(answer_to<FormatError>(whole + "1234"),
                 fmt::format("asks for {} bytes, the file has {}", whole.size(), whole.size() + 4)));
}

TEST_CASE(
    "llama2.c: header numbers that cannot be -> FormatError naming the field, and nothing is allocated for them") {
  const std::string whole = stored_bytes("model.bin");
  constexpr std::array<const char*, 7> names = {"dim",        "hidden_dim", "n_layers", "n_heads",
                                                "n_kv_heads", "vocab_size", "seq_len"};
  for (size_t i = 0; i < 7; ++i)
    for (const std::int32_t value : {0, -7, INT32_MAX, INT32_MIN}) {
      if (i == 5 && value == -7) continue;  // a vocabulary of 7 with a head of its own
      const std::string answer = answer_to<FormatError>(with_number(whole, 4 * i, value));
      CHECK_MESSAGE(mentions(answer, fmt::format("{} = ", names[i])), answer);
    }
  CHECK(mentions(answer_to<FormatError>(with_number(whole, 12, 3)), "do not divide into heads of even width"));
  CHECK(mentions(answer_to<FormatError>(with_number(whole, 12, 16)), "do not divide into heads of even width"));
  std::string huge = whole;
  for (const size_t place : {0, 4, 24}) huge = with_number(huge, place, 1 << 24);
  CHECK(mentions(answer_to<FormatError>(huge), "the header asks for"));
}

TEST_CASE("llama2.c: quantized versions, a vocabulary above 65536 and a longer context -> OptionError") {
  CHECK(mentions(answer_to<OptionError>(with_number(stored_bytes("version1.bin"), 4, 2)), "version = 2 of the format"));
  const TemporaryFolder folder;
  std::string wide;  // 2 channels, 70000 tokens
  for (const std::int32_t n : {2, 1, 1, 1, 1, 70000, 1}) wide += bytes_of(n);
  wide += std::string(4 * (140000 + 2 + 16 + 2 + 6 + 2 + 2), '\0');
  CHECK(mentions(answer_to<OptionError>(wide), "vocab_size = 70000 (supported: 2 to 65536)"));
  CHECK(mentions(message_of<OptionError>([] { read_llama2c(stored_folder("llama2c") / "model.bin", 25); }),
                 "context = 25 asked for, the checkpoint has 24 positions"));
}

TEST_CASE("llama2.c: a value that is not finite -> FormatError naming the block") {
  const std::string whole = stored_bytes("model.bin");
  const std::int32_t nan_bits = 0x7fc00000;
  CHECK(mentions(answer_to<FormatError>(with_number(whole, 28 + 4 * 3, nan_bits)),
                 "tok_emb.weight holds nan at place 3"));
  CHECK(mentions(answer_to<FormatError>(with_number(whole, 28 + 4 * (640 + 32 + 256 + 1), nan_bits)),
                 "layers.1.wq holds nan at place 1"));
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
