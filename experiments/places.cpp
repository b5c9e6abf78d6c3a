#include "experiments/places.hpp"

#include <cstdlib>
#include <string>

namespace hone::experiments {
namespace {
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}
}  // namespace

std::filesystem::path scripts_folder() {
  const std::string chosen = environment("HONE_SCRIPTS");
  return chosen.empty() ? std::filesystem::path(HONE_SCRIPTS_FOLDER) : std::filesystem::path(chosen);
}

std::filesystem::path cache_folder() {
  if (const std::string chosen = environment("HONE_CACHE"); !chosen.empty()) return chosen;
  if (const std::string base = environment("XDG_CACHE_HOME"); !base.empty())
    return std::filesystem::path(base) / "hone";
  if (const std::string home = environment("HOME"); !home.empty())
    return std::filesystem::path(home) / ".cache" / "hone";
  return std::filesystem::temp_directory_path() / "hone-cache";
}

std::string shell_word(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace hone::experiments
