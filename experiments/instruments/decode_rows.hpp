// The table of decoding as groups of a run file.
#pragma once

#include <map>
#include <string>
#include "experiments/instruments/decode_table.hpp"

namespace hone::experiments {

/// Groups /decode, /decode_copy, /decode_free and /decode_schedules of a run file, those that hold anything; see
/// sim/record/SCHEMA.md.
std::map<std::string, Dataset> decode_rows(const DecodeTable& table, const DecodeInput& input);

}  // namespace hone::experiments
