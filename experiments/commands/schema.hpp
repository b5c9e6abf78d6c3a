// hone schema: what the files of hone hold, as SCHEMA.md and as JSON.
#pragma once

#include <string>

#include "experiments/commands/command.hpp"

namespace hone::experiments {

/// The generated part of sim/record/SCHEMA.md: every group of a run file, then the columns of a study's table.
std::string schema_markdown();

/// The groups as JSON: {"schema_version", "groups": {NAME: {"about", "fields": {NAME: {"type", "dims" or "attribute",
/// "unit", "meaning", "since"}}}}}.
std::string schema_json();

Action schema_options(CLI::App& command, const std::string& line);

}  // namespace hone::experiments
