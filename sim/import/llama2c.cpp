#include "sim/import/llama2c.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <unordered_map>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/utf8.hpp"
#include "sim/import/folder_config.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

constexpr std::uint32_t version_magic = 0x616b3432;  // "ak42"
constexpr std::uint64_t version1_header = 256;

struct Header {
  Index width = 0, mlp_width = 0, layers = 0, heads = 0, kv_heads = 0, vocabulary = 0, positions = 0;
  bool is_tied = true, is_version1 = false;
};

FormatError fault(const fs::path& file, std::string_view what) {
  return FormatError(fmt::format("{}: {}; give a float32 checkpoint of llama2.c", file.string(), what));
}

std::int32_t number_at(const std::vector<char>& bytes, size_t place) {
  std::int32_t value;
  std::memcpy(&value, bytes.data() + place, sizeof value);
  return value;
}

Header read_header(const fs::path& file, std::ifstream& in, std::uint64_t file_size) {
  if (file_size < 28) throw fault(file, fmt::format("{} bytes are too few for a header", file_size));
  std::vector<char> bytes(size_t(std::min(file_size, version1_header)));
  if (!in.read(bytes.data(), std::streamsize(bytes.size()))) throw fault(file, "the header cannot be read");
  Header h;
  h.is_version1 = std::uint32_t(number_at(bytes, 0)) == version_magic;
  if (h.is_version1 && bytes.size() < version1_header) throw fault(file, "the file ends within the header");
  if (h.is_version1 && number_at(bytes, 4) != 1)
    throw OptionError(fmt::format("{}: version = {} of the format (supported: the first format and version 1, float32)",
                                  file.string(), number_at(bytes, 4)));
  std::array<Index, 7> n;
  for (size_t i = 0; i < 7; ++i) n[i] = number_at(bytes, (h.is_version1 ? 8 : 0) + 4 * i);
  h.is_tied = h.is_version1 ? bytes[36] != 0 : n[5] > 0;
  if (!h.is_version1) n[5] = std::abs(n[5]);
  constexpr std::array<const char*, 7> names = {"dim",        "hidden_dim", "n_layers", "n_heads",
                                                "n_kv_heads", "vocab_size", "seq_len"};
  for (size_t i = 0; i < 7; ++i) {
    const Index most = i == 2 ? most_imported_layers : 1 << 24;
    if (n[i] < 1 || n[i] > most) throw fault(file, fmt::format("{} = {} (expected 1 to {})", names[i], n[i], most));
  }
  h.width = n[0], h.mlp_width = n[1], h.layers = n[2], h.heads = n[3], h.kv_heads = n[4], h.vocabulary = n[5];
  h.positions = n[6];
  if (h.width % h.heads != 0 || h.width / h.heads % 2 != 0 || h.heads % h.kv_heads != 0)
    throw fault(file, fmt::format("dim = {}, n_heads = {}, n_kv_heads = {} do not divide into heads of even width",
                                  h.width, h.heads, h.kv_heads));
  return h;
}

/// One tensor of all layers, or of none, in the order of the file; the one without a name holds the rotary tables.
struct Section {
  std::string block;
  bool is_in_layers = false;
  Index size = 0;  ///< values per layer
};

std::vector<Section> sections(const Header& h) {
  const Index C = h.width, F = h.mlp_width, kv = h.width / h.heads * h.kv_heads;
  const Section attention_norm{"attn_norm.weight", true, C}, mlp_norm{"mlp_norm.weight", true, C};
  const Section final_norm{"final_norm.weight", false, C}, embedding{"tok_emb.weight", false, h.vocabulary * C};
  const std::vector<Section> attention = {
      {"wq", true, C * C}, {"wk", true, kv * C}, {"wv", true, kv * C}, {"wo", true, C * C}};
  const std::vector<Section> mlp = {{"w_gate", true, F * C}, {"w_down", true, C * F}, {"w_up", true, F * C}};
  std::vector<Section> order;
  if (h.is_version1) {
    order = {attention_norm, mlp_norm, final_norm, embedding};
    order.insert(order.end(), attention.begin(), attention.end());
    order.insert(order.end(), mlp.begin(), mlp.end());
  } else {
    order = {embedding, attention_norm};
    order.insert(order.end(), attention.begin(), attention.end());
    order.push_back(mlp_norm);
    order.insert(order.end(), mlp.begin(), mlp.end());
    order.push_back(final_norm);
    order.push_back({"", false, h.positions * (h.width / h.heads)});  // tables of cosines and sines
  }
  if (!h.is_tied) order.push_back({"head.weight", false, h.vocabulary * C});
  return order;
}

/// Bytes of a file with this header. The extents are below 2^24, so 128 bits hold every product.
void check_size(const fs::path& file, const Header& h, std::uint64_t file_size) {
  unsigned __int128 values = 0;
  for (const Section& s : sections(h))
    values += static_cast<unsigned __int128>(s.size) * (s.is_in_layers ? h.layers : 1);
  const unsigned __int128 bytes = 4 * values + (h.is_version1 ? version1_header : 28);
  if (bytes != file_size)
    throw fault(file, fmt::format("the header asks for {:.0f} bytes, the file has {}", double(bytes), file_size));
}

/// The first format stores cosines, then sines, (T, hd/2) each, as a program computed them in float32. hone computes its
/// own, so that tables of other angles would be a model that it does not run.
void expect_rotary_tables(const fs::path& file, std::ifstream& in, const Header& h, const TransformerOptions& o) {
  const Index pairs = h.width / h.heads / 2;
  std::vector<float> stored(size_t(2 * h.positions * pairs));
  if (!in.read(reinterpret_cast<char*>(stored.data()), std::streamsize(4 * stored.size())))
    throw fault(file, "the rotary tables cannot be read whole");
  for (Index t = 0; t < h.positions; ++t)
    for (Index i = 0; i < pairs; ++i) {
      const double angle = double(t) * rope_frequency(o.rope_base, 2 * pairs, i);
      const double tolerance = 1e-6 + 1e-6 * angle;  // of the angle in float32
      const double cosine = stored[size_t(t * pairs + i)], sine = stored[size_t((h.positions + t) * pairs + i)];
      if (!(std::abs(cosine - std::cos(angle)) <= tolerance && std::abs(sine - std::sin(angle)) <= tolerance))
        throw OptionError(
            fmt::format("{}: the rotary tables hold cosine {:g} and sine {:g} for pair {} at position {}, where a base "
                        "of {:g} gives {:g} and {:g} (supported: that base; version 1 of the format has no tables)",
                        file.string(), cosine, sine, i, t, o.rope_base, std::cos(angle), std::sin(angle)));
    }
}

TransformerOptions options_of(const fs::path& file, const Header& h, std::optional<Index> positions) {
  if (h.vocabulary > 65536)
    throw OptionError(fmt::format("{}: vocab_size = {} (supported: 2 to 65536)", file.string(), h.vocabulary));
  TransformerOptions o;
  o.vocabulary = h.vocabulary;
  o.positions = chosen_positions(file.string(), h.positions, positions);
  o.layers = h.layers;
  o.width = h.width;
  o.heads = h.heads;
  o.kv_heads = h.kv_heads;
  o.mlp_width = h.mlp_width;
  o.position = Positions::rope_interleaved;
  o.head = h.is_tied ? Head::tied : Head::untied;
  return o;
}

}  // namespace

Llama2cModel read_llama2c(const fs::path& file, std::optional<Index> positions) {
  std::error_code error;
  const std::uint64_t file_size = fs::file_size(file, error);
  std::ifstream in(file, std::ios::binary);
  if (error || !in) throw IoError(fmt::format("{}: cannot be read; check the path and the permissions", file.string()));
  refuse_lfs_pointer(file);
  const Header h = read_header(file, in, file_size);
  check_size(file, h, file_size);
  Llama2cModel model;
  model.options = options_of(file, h, positions);
  const ParamLayout layout = model.options.layout();
  std::unordered_map<std::string, const ParamBlock*> block_of;
  for (const ParamBlock& block : layout.blocks()) block_of[block.name] = &block;
  model.theta.resize(size_t(layout.size()));
  in.seekg(std::streamoff(h.is_version1 ? version1_header : 28));
  for (const Section& section : sections(h))
    for (Index l = 0; l < (section.is_in_layers ? h.layers : 1); ++l) {
      if (section.block.empty()) {
        expect_rotary_tables(file, in, h, model.options);
        continue;
      }
      const std::string name = section.is_in_layers ? fmt::format("layers.{}.{}", l, section.block) : section.block;
      const ParamBlock& block = *block_of.at(name);
      EXPECTS(block.size() == section.size, "llama2.c: block {} of {} values", name, block.size());
      float* values = model.theta.data() + block.offset;
      if (!in.read(reinterpret_cast<char*>(values), std::streamsize(4 * block.size())))
        throw fault(file, fmt::format("{} cannot be read whole", name));
      for (Index i = 0; i < block.size(); ++i)
        if (!std::isfinite(values[i])) throw fault(file, fmt::format("{} holds {} at place {}", name, values[i], i));
    }
  return model;
}

}  // namespace hone
