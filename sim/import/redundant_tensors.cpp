#include "sim/import/redundant_tensors.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/import/json_file.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

/// A softmax gives exactly 0 to scores this low unless the others are as low; writers store -1e4, -1e9 or -inf.
constexpr double masked_score_max = -1e3;

FormatError contradiction(const fs::path& file, const StoredTensor& tensor, std::string_view what,
                          std::string_view fix) {
  return FormatError(fmt::format("{}: tensor '{}' {}; {}", file.string(), shown(tensor.name), what, fix));
}

/// A square of ones up to the diagonal and zeros above it; leading axes have one entry.
void expect_causal(const fs::path& file, const StoredTensor& tensor) {
  const char* fix = "hone's attention is causal, give a model that was trained so";
  const std::vector<Index>& shape = tensor.shape;
  const size_t axes = shape.size();
  const bool is_square =
      axes >= 2 && shape[axes - 1] == shape[axes - 2] && tensor.size() == shape[axes - 1] * shape[axes - 1];
  if (!is_square)
    throw contradiction(file, tensor, fmt::format("of shape ({}) is no square mask", fmt::join(shape, ", ")), fix);
  const std::vector<double> mask = read_buffer(file, tensor);
  const Index n = shape[axes - 1];
  for (Index t = 0; t < n; ++t)
    for (Index s = 0; s < n; ++s)
      if (mask[size_t(t * n + s)] != (s <= t ? 1 : 0))
        throw contradiction(
            file, tensor,
            fmt::format("is no causal mask: {} for position {} of position {}", mask[size_t(t * n + s)], s, t), fix);
}

void expect_masked_scores(const fs::path& file, const StoredTensor& tensor) {
  for (const double value : read_buffer(file, tensor))
    if (!(value <= masked_score_max))
      throw contradiction(file, tensor, fmt::format("gives masked positions the score {}", value),
                          fmt::format("hone gives them no weight, as any score up to {:g} does", masked_score_max));
}

/// A unit in the last place of the stored type, also below its normal numbers; float32 and float64 are given the error
/// of a power that was computed in float32.
double frequency_tolerance(StoredType type, double frequency) {
  switch (type) {
    case StoredType::float16: return std::max(frequency * 0x1p-10, 0x1p-24);
    case StoredType::bfloat16: return frequency * 0x1p-7;
    default: return frequency * 1e-5;
  }
}

/// The frequencies of the config, before or after their scaling: writers of either kind exist.
void expect_frequencies(const fs::path& file, const StoredTensor& tensor, const TransformerOptions& o) {
  const Index rotary = o.rotary_width.value_or(o.head_width());
  if (o.position == Positions::learned || tensor.size() != rotary / 2)
    throw contradiction(file, tensor,
                        fmt::format("holds {} rotary frequencies, the config asks for {}", tensor.size(),
                                    o.position == Positions::learned ? 0 : rotary / 2),
                        "fetch both files again");
  const std::vector<double> stored = read_buffer(file, tensor);
  const auto first_other = [&](const RopeScaling& scaling) {
    for (Index i = 0; i < rotary / 2; ++i) {
      const double expected = rope_frequency(o.rope_base, rotary, i, scaling);
      if (!(std::abs(stored[size_t(i)] - expected) <= frequency_tolerance(tensor.type, expected))) return i;
    }
    return rotary / 2;
  };
  const Index other = first_other(o.rope_scaling);
  if (other == rotary / 2 || first_other({}) == rotary / 2) return;
  throw contradiction(
      file, tensor,
      fmt::format("holds the rotary frequency {:g} at place {}, rope_theta = {:g} gives {:g}", stored[size_t(other)],
                  other, o.rope_base, rope_frequency(o.rope_base, rotary, other, o.rope_scaling)),
      "give config.json the rope_theta that the model was trained with, or remove the tensor");
}

}  // namespace

bool is_redundant(const fs::path& file, const StoredTensor& tensor, const std::string& part,
                  const FolderConfig& config) {
  const std::string attention = config.family == Family::llama  ? "self_attn."
                                : config.family == Family::gpt2 ? "attn."
                                                                : "attention.";
  if (part == attention + "rotary_emb.inv_freq" || part == "rotary_emb.inv_freq") {
    expect_frequencies(file, tensor, config.options);
    return true;
  }
  if (config.family != Family::llama && part == attention + "bias") {
    expect_causal(file, tensor);
    return true;
  }
  if (config.family != Family::llama && part == attention + "masked_bias") {
    expect_masked_scores(file, tensor);
    return true;
  }
  return false;
}

}  // namespace hone
