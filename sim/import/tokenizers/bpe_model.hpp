// The model of a tokenizer.json: how one piece of text becomes tokens. The piece is spelled in bytes or in characters,
// and pairs of neighbours merge in the order of the file's list.
//   source  Sennrich et al. 2016; Radford et al. 2019, sec. 2.2 (bytes); Kudo & Richardson 2018 (byte fallback)
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/import/tokenizers/pair_merging.hpp"

namespace hone {

enum class Alphabet { bytes, characters };

struct BpeModel {
  Alphabet alphabet = Alphabet::bytes;
  std::unordered_map<std::string, std::uint16_t> id_of;  ///< by the bytes, or the UTF-8, that a token stands for
  std::unordered_map<std::uint32_t, PairMerge> merges;   ///< by left·2^16 + right
  bool takes_whole_pieces = false;                       ///< `ignore_merges`: a piece that is a token is not cut
  /// Characters: `byte_fallback`, the token <0xXX> of each byte, for a character without token. One whose bytes are not
  /// all there has none.
  std::array<std::optional<std::uint16_t>, 256> byte_token = {};
  std::optional<std::uint16_t> unknown;  ///< Characters: `unk_token`, for what has no token at all
  bool joins_unknown = false;            ///< `fuse_unk`: one for a run of them

  /// Appends the tokens of one piece.
  /// errors  OptionError naming a byte, or a character, that has no token; `origin` names the file
  /// cost    as merge_pairs
  void encode(std::string_view piece, const std::string& origin, std::vector<std::uint16_t>& out) const;
};

}  // namespace hone
