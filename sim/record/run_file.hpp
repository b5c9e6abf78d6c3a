// The run file: everything one run measured, in one HDF5 file that h5py and xarray read without
// hone. SCHEMA.md describes the content. A file is written whole or not at all and ends with a seal
// (SHA-256 of all bytes before it), checked before HDF5 parses them.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "sim/record/dataset.hpp"

namespace hone {

/// Version of the schema that this hone writes; it reads this one and those below.
inline constexpr std::int64_t run_schema_version = 2;

/// Content of a run file. Attributes `schema`, `schema_version` and `Conventions` belong to the
/// file and never appear here; without `title` the file bears the title "hone run".
struct RunFile {
  std::map<std::string, Attribute> attributes;
  std::map<std::string, Dataset> groups;
  std::string origin;  ///< path it was read from, for messages; not stored

  /// The group.
  /// errors  FormatError listing what there is
  const Dataset& group(const std::string& name) const&;
  Dataset group(const std::string& name) &&;  ///< of a file that ends with the statement: the group outlives it
};

/// Writes the file whole or leaves what was there.
/// ensures  equal content gives equal bytes; read_run_file gives back the same bits
/// errors   IoError naming the path (missing folder, permissions, full disk); ContractError for a
///          name that cannot be recorded or an attribute that belongs to the file
/// cost     twice the file's size in memory; gzip at about 50 MB/s for numbers above 4 KiB
void write_run_file(const std::filesystem::path& path, const RunFile& run);

/// Reads a whole run file.
/// errors  IoError when it cannot be read; FormatError naming path and group when it is truncated,
///         damaged, not a run file, of a newer schema, or claims over 1000 array entries per byte
/// cost    twice the file's size plus its content in memory
RunFile read_run_file(const std::filesystem::path& path);

}  // namespace hone
