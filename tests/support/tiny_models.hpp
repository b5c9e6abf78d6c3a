// Small models and data sets that the tests of models and training share.
#pragma once

#include "sim/base/error.hpp"
#include "sim/data/batch.hpp"
#include "sim/data/vectors.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/messages.hpp"

namespace hone::test {

/// Llama-style, 2 layers, every extent different.
inline TransformerOptions tiny_llama() {
  TransformerOptions options;
  options.vocabulary = 11;
  options.positions = 5;
  options.layers = 2;
  options.width = 16;
  options.heads = 4;
  options.kv_heads = 4;
  options.mlp_width = 12;
  return options;
}

/// What validate says against the options; "" when it accepts them.
inline std::string refusal(const TransformerOptions& options) {
  return message_of<OptionError>([&] { options.validate(); });
}

inline TokenBatch random_tokens(const TransformerOptions& options, Index sequences, std::uint32_t number) {
  return {sequences, options.positions,
          ids<std::uint16_t>(sequences * (options.positions + 1), std::uint64_t(options.vocabulary), number)};
}

/// Inputs, classes and regression targets alike, so that either loss can read it.
inline VectorBatch random_vectors(Index examples, Index inputs, Index outputs, std::uint32_t number) {
  const Vector<double> x = normals(examples * inputs, number), y = normals(examples * outputs, number + 1);
  return {examples,
          inputs,
          outputs,
          {x.data(), x.data() + x.size()},
          ids<std::int32_t>(examples, std::uint64_t(outputs), number),
          {y.data(), y.data() + y.size()}};
}

/// Every parameter random and none at its special initial value: norms about 1, the rest of the
/// size of N(0, 1/fan_in), biases included.
inline Vector<double> random_parameters(const ParamLayout& layout, std::uint32_t number) {
  Vector<double> theta = normals(layout.size(), number);
  for (const ParamBlock& block : layout.blocks()) {
    auto part = theta.segment(block.offset, block.size()).array();
    if (block.role == Role::norm)
      part = part * 0.2 + (block.name.ends_with("bias") ? 0.0 : 1.0);
    else
      part /= std::sqrt(double(block.role == Role::bias ? 4 : block.cols));
  }
  return theta;
}

/// A model with data, a point and a direction.
struct TinyCase {
  TransformerOptions options = tiny_llama();
  Transformer<double> model{options};
  TokenBatch data = random_tokens(options, 7, 1);
  Vector<double> theta = random_parameters(model.layout(), 2);
  Vector<double> v = normals(theta.size(), 3);
};

}  // namespace hone::test
