#include "sim/record/manifest.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "sim/base/instruction_class.hpp"
#include "sim/record/git_id.hpp"  // made at build time by git_id.cmake

namespace hone {

BuildInfo this_build() {
  return {.version = HONE_VERSION,
          .git_id = git_id,
          .is_dirty = git_is_dirty,
          .compiler = HONE_COMPILER,
          .flags = HONE_COMPILE_FLAGS,
          .march = HONE_MARCH};
}

std::string cpu_model(const std::string& cpuinfo) {
  std::istringstream lines(cpuinfo);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t value = line.find(": ");
    if (line.starts_with("model name") && value != std::string::npos) return line.substr(value + 2);
  }
  return "unknown";
}

std::map<std::string, Attribute> manifest_attributes(const BuildInfo& build, std::uint64_t seed, int threads,
                                                     const std::map<std::string, std::string>& input_sha256) {
  std::ostringstream cpuinfo;
  if (std::ifstream in("/proc/cpuinfo"); in) cpuinfo << in.rdbuf();
  std::map<std::string, Attribute> attributes{{"hone_version", build.version},
                                              {"git_id", build.git_id},
                                              {"git_dirty", std::int64_t{build.is_dirty}},
                                              {"compiler", build.compiler},
                                              {"flags", build.flags},
                                              {"march", build.march},
                                              {"isa", std::string(name_of(instruction_class()))},
                                              {"seed", fmt::format("{}", seed)},
                                              {"threads", std::int64_t{threads}},
                                              {"cpu_model", cpu_model(cpuinfo.str())}};
  for (const auto& [name, digest] : input_sha256) attributes["input_sha256." + name] = digest;
  return attributes;
}

}  // namespace hone
