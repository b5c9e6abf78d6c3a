// The rotary positions of a config.json: base, turned share of a head, and scaling. Newer files keep them in
// `rope_parameters`, older ones in `rope_scaling` and in fields of the file itself, under names of the family.
#pragma once

#include "sim/import/json_file.hpp"
#include "sim/model/transformer.hpp"

namespace hone {

/// What a family does with rotary positions.
struct FamilyRope {
  double share = 1;         ///< turned channels of a head, where the file names none
  bool is_partial = false;  ///< the family can turn a part of each head; otherwise the share is 1
};

/// Sets o.rope_base, o.rotary_width and o.rope_scaling.
/// expects  o.positions is the context that the file names; o.head_width() is set
/// errors   FormatError for a field of another type; OptionError naming the field and what is supported, also when
///          `rope_scaling` and `rope_parameters` contradict each other
void read_rope(const JsonFields& fields, const FamilyRope& family, TransformerOptions& o);

}  // namespace hone
