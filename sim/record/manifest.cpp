#include "sim/record/manifest.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "sim/base/instruction_class.hpp"
#include "sim/record/git_id.hpp"  // made at build time by git_id.cmake
#include "sim/record/schema.hpp"

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

Dataset manifest_group(const BuildInfo& build, std::uint64_t seed, int threads,
                       const std::map<std::string, std::string>& input_sha256) {
  std::ostringstream cpuinfo;
  if (std::ifstream in("/proc/cpuinfo"); in) cpuinfo << in.rdbuf();
  Dataset group("manifest");
  constexpr const schema::Manifest& f = schema::manifest;
  set(group, f.hone_version, build.version);
  set(group, f.git_id, build.git_id);
  set(group, f.git_dirty, build.is_dirty);
  set(group, f.compiler, build.compiler);
  set(group, f.flags, build.flags);
  set(group, f.march, build.march);
  set(group, f.isa, std::string(name_of(instruction_class())));
  set(group, f.seed, fmt::format("{}", seed));
  set(group, f.threads, threads);
  set(group, f.cpu_model, cpu_model(cpuinfo.str()));
  for (const auto& [name, digest] : input_sha256) group.set_attribute("input_sha256." + name, digest);
  return group;
}

}  // namespace hone
