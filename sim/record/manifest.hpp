// Provenance of a run besides its options: the build, the seed, the machine, the inputs. Stored as the attributes of group
// /manifest.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sim/record/dataset.hpp"

namespace hone {

/// The build that runs. Sources outside a git checkout, such as a tarball, have git id "unknown".
struct BuildInfo {
  std::string version;   ///< of hone, from CMake
  std::string git_id;    ///< full commit id or "unknown"
  bool is_dirty;         ///< tracked files differed from that commit when this was built
  std::string compiler;  ///< name and version
  std::string flags;     ///< every compile option of the build
  std::string march;     ///< -march of all but the inner kernels
};

/// The build of this library.
BuildInfo this_build();

/// "model name" of the first processor in a text like /proc/cpuinfo, or "unknown".
std::string cpu_model(const std::string& cpuinfo);

/// Group /manifest with the build, this process's instruction class, the seed (as decimal text, so that all 64 bits
/// survive), the threads, the processor, and input_sha256.NAME for each input.
Dataset manifest_group(const BuildInfo& build, std::uint64_t seed, int threads,
                       const std::map<std::string, std::string>& input_sha256);

}  // namespace hone
