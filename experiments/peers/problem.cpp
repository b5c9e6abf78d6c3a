#include "experiments/peers/problem.hpp"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"

namespace hone::experiments {
namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "problem files are little-endian");

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& what) {
  throw FormatError(fmt::format("{}: {}; write it again with experiments/peers/run", file.string(), what));
}

/// Takes raw numbers from the front of what is left of the file.
class Body {
 public:
  Body(const std::filesystem::path& file, std::string_view bytes) : file_(file), bytes_(bytes) {}

  template <class T>
  std::vector<T> take(Index count) {
    if (count < 0 || size_t(count) > bytes_.size() / sizeof(T))
      refuse(file_, fmt::format("{} numbers of {} bytes expected, {} bytes left", count, sizeof(T), bytes_.size()));
    std::vector<T> values(static_cast<size_t>(count));
    std::memcpy(values.data(), bytes_.data(), values.size() * sizeof(T));
    bytes_.remove_prefix(values.size() * sizeof(T));
    return values;
  }

  /// A number of examples: each takes at least a byte, so products with widths cannot overflow.
  Index checked_count(Index count) const {
    if (count < 1 || size_t(count) > bytes_.size())
      refuse(file_, fmt::format("examples = {} (expected 1 to {}, the bytes there are)", count, bytes_.size()));
    return count;
  }

  void finish() const {
    if (!bytes_.empty()) refuse(file_, fmt::format("{} bytes too many", bytes_.size()));
  }

 private:
  const std::filesystem::path& file_;
  std::string_view bytes_;
};

TransformerOptions transformer_options(const json& model) {
  TransformerOptions options;
  options.vocabulary = model.at("vocabulary");
  options.positions = model.at("positions");
  options.layers = model.at("layers");
  options.width = model.at("width");
  options.heads = options.kv_heads = model.at("heads");
  options.mlp_width = model.at("mlp_width");
  options.validate();
  return options;
}

void read_parts(PeerProblem& problem, const json& header, Body& body) {
  const json& model = header.at("model");
  const Index examples = body.checked_count(header.at("examples"));
  problem.chunk_rows = header.at("chunk_rows");
  const auto take_points = [&](Index size) {
    problem.theta = body.take<double>(size);
    problem.direction = body.take<double>(size);
  };
  if (model.at("kind") == "transformer") {
    const TransformerOptions options = transformer_options(model);
    take_points(options.layout().size());
    problem.tokens = {examples, options.positions, body.take<std::uint16_t>(examples * (options.positions + 1))};
    problem.model = options;
  } else {
    const MlpOptions options{.widths = model.at("widths").get<std::vector<Index>>()};
    options.validate();
    take_points(options.layout().size());
    problem.vectors = {examples, options.widths.front(), options.widths.back(), {}, {}, {}};
    problem.vectors.x = body.take<double>(examples * options.widths.front());
    problem.vectors.labels = body.take<std::int32_t>(examples);
    problem.model = options;
  }
}

}  // namespace

PeerProblem read_problem(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  const size_t end = text.find('\n');
  if (end == std::string::npos) refuse(file, "no header line");
  PeerProblem problem;
  Body body(file, std::string_view(text).substr(end + 1));
  try {
    read_parts(problem, json::parse(text.substr(0, end)), body);
  } catch (const json::exception& e) {
    refuse(file, fmt::format("bad header ({})", e.what()));
  }
  body.finish();
  return problem;
}

}  // namespace hone::experiments
