#include "experiments/study/places.hpp"

#include <cstdlib>
#include <string>

#include "sim/base/error.hpp"

namespace hone::experiments {
namespace {
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}
}  // namespace

std::filesystem::path scripts_folder() {
  if (const std::string chosen = environment("HONE_SCRIPTS"); !chosen.empty()) return chosen;
  std::error_code none;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", none);
  const std::filesystem::path installed = (program.parent_path() / HONE_INSTALLED_SCRIPTS).lexically_normal();
  for (const std::filesystem::path& folder : {installed, std::filesystem::path(HONE_SCRIPTS_FOLDER)})
    if (std::filesystem::exists(folder / "figures" / "make_report.py")) return folder;
  throw IoError(
      fmt::format("{}: holds no figures/make_report.py, nor does {}; install hone with cmake --install, or name the "
                  "folder with HONE_SCRIPTS",
                  installed.string(), HONE_SCRIPTS_FOLDER));
}

std::filesystem::path cache_folder() {
  if (const std::string chosen = environment("HONE_CACHE"); !chosen.empty()) return chosen;
  if (const std::string base = environment("XDG_CACHE_HOME"); !base.empty())
    return std::filesystem::path(base) / "hone";
  if (const std::string home = environment("HOME"); !home.empty())
    return std::filesystem::path(home) / ".cache" / "hone";
  return std::filesystem::temp_directory_path() / "hone-cache";
}

std::string expand_environment(const std::string& text, const std::string& field) {
  std::string expanded;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find("${", at), end = begin == text.npos ? text.npos : text.find('}', begin);
    expanded += text.substr(at, begin == text.npos ? text.npos : begin - at);
    if (begin == text.npos) break;
    if (end == text.npos) throw OptionError(fmt::format("{}: a brace is not closed; write ${{NAME}}", field));
    const std::string name = text.substr(begin + 2, end - begin - 2), value = environment(name.c_str());
    if (value.empty())
      throw OptionError(
          fmt::format("{}: the variable {} of the environment is not set; export {}=FOLDER first", field, name, name));
    expanded += value;
    at = end + 1;
  }
  return expanded;
}

std::string shell_word(const std::string& text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace hone::experiments
