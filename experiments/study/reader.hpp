// Reads a study from TOML.
#pragma once

#include <filesystem>
#include <string>

#include "experiments/study/study.hpp"

namespace hone::experiments {

/// Reads and checks a study file. One without a name takes `unnamed`, or that of the file.
/// errors  IoError when missing; OptionError naming file, line, field, value and fix: bad TOML, unknown keys (with
///         the nearest known one), wrong types, values out of range
Study read_study(const std::filesystem::path& path, const std::string& unnamed = "");

}  // namespace hone::experiments
