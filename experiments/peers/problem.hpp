// The problem that hone and its peers solve alike, as the Python side writes it: one line of JSON, then the raw
// little-endian numbers
//   theta f64 (P), direction f64 (P), and tokens u16 (B·(T+1))  or  x f64 (B·inputs), labels i32 (B).
#pragma once

#include <filesystem>
#include <variant>
#include <vector>

#include "sim/data/batch.hpp"
#include "sim/data/vectors.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"

namespace hone::experiments {

/// A transformer on tokens or a classifier on vectors, at one point and with one direction for products.
struct PeerProblem {
  std::variant<TransformerOptions, MlpOptions> model;
  TokenBatch tokens;    ///< for a transformer
  VectorBatch vectors;  ///< for an MLP
  std::vector<double> theta, direction;
  Index chunk_rows = 256;  ///< hone's own tuning: loss rows per chunk
};

/// errors  IoError when missing; FormatError when the header is no JSON, lacks a field or disagrees with the size;
///         OptionError for an impossible shape
PeerProblem read_problem(const std::filesystem::path& file);

}  // namespace hone::experiments
