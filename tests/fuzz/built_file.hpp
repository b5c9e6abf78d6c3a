// Files of valid HDF5 that an input describes step by step, most of them against the schema of run files.
#pragma once

#include <string>
#include <string_view>

namespace hone::fuzz {

/// Bytes of a file with the groups, datasets, attributes, links and dimension scales that `steps` asks for.
std::string built_file(std::string_view steps);

}  // namespace hone::fuzz
