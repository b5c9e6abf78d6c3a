// Tables of numbers with labels, from CSV files.
#pragma once

#include <filesystem>
#include "sim/data/vectors.hpp"

namespace hone {

/// All rows of a CSV file; inputs divided by their largest absolute value, so that digits lie in
/// [0, 1]. A first line whose first field is not a number is a header and skipped.
/// errors   IoError when missing; FormatError naming the line and column
VectorBatch load_labelled_csv(const std::filesystem::path& file);

}  // namespace hone
