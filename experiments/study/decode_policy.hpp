// Named policies of a quantized cache: what "token4", "kivi2-residual32" or "k4v2-sinks4" do to keys and values.
#pragma once

#include <string>
#include <vector>

#include "experiments/study/study.hpp"
#include "sim/layers/kv_cache.hpp"
#include "sim/model/transformer.hpp"

namespace hone::experiments {

struct CachePolicy {
  std::string name;
  KvCacheOptions cache;
};

/// The grammar of names, for --help.
std::string policy_grammar();

/// Names that stand for the grammar in tables and messages.
std::vector<std::string> known_policies();

/// KIND and a width, or widths of keys and values apart; then settings behind dashes. All kinds take the grid between
/// minimum and maximum, so that policies of one width differ in what shares a step and in nothing else.
///   token    keys and values per token and head
///   channel  keys per channel over closed groups of 32 tokens, values per token and head
///   kivi     as channel with values per token and 32 channels, and the newest 128 tokens in full precision
/// errors  OptionError with the nearest name that the grammar allows
CachePolicy policy_from_name(const std::string& name);

/// The spec with every 0 and empty list replaced by what they stand for in a model.
/// errors  OptionError for unknown policies, lengths beyond learned positions, and values that do not fit each other
DecodeSpec fitted_to(DecodeSpec spec, const TransformerOptions& options);

}  // namespace hone::experiments
