// The order of the stages, read from the sources themselves: an include that goes the wrong way
// fails here, and so does a file that has grown past 500 lines.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "sim/base/atomic_file.hpp"

namespace fs = std::filesystem;

namespace hone::test {
namespace {

/// What each stage may include beside itself: the stages left of it in
/// base <- record <- data <- layers <- model <- train <- {curvature, quantize} <- perturb; import
/// (behind model) and theory are side branches.
const std::map<std::string, std::set<std::string>>& allowed_stages() {
  static const std::map<std::string, std::set<std::string>> allowed = [] {
    std::map<std::string, std::set<std::string>> result;
    std::set<std::string> below;
    for (const std::string stage : {"base", "record", "data", "layers", "model", "train"}) {
      result["sim/" + stage] = below;
      below.insert("sim/" + stage);
    }
    result["sim/curvature"] = result["sim/quantize"] = below;
    below.insert({"sim/curvature", "sim/quantize"});
    result["sim/perturb"] = below;
    result["sim/import"] = {"sim/base", "sim/record", "sim/data", "sim/layers", "sim/model"};
    result["theory"] = {"sim/base", "sim/record"};
    return result;
  }();
  return allowed;
}

/// sim/base/x.hpp -> sim/base; theory/x.hpp -> theory; "" outside the project's folders.
std::string stage_of(const std::string& path) {
  for (const std::string top : {"theory/", "experiments/", "tests/"})
    if (path.rfind(top, 0) == 0) return top.substr(0, top.size() - 1);
  if (path.rfind("sim/", 0) != 0) return "";
  return path.substr(0, path.find('/', 4));
}

/// The path in an #include "..." line, or "".
std::string quoted_include(const std::string& line) {
  const size_t hash = line.find_first_not_of(" \t");
  if (hash == std::string::npos || line[hash] != '#') return "";
  const size_t word = line.find_first_not_of(" \t", hash + 1);
  if (word == std::string::npos || line.compare(word, 7, "include") != 0) return "";
  const size_t open = line.find_first_of("\"<", word), close = line.find_first_of("\">", open + 1);
  return open == std::string::npos || close == std::string::npos ? "" : line.substr(open + 1, close - open - 1);
}

/// Forbidden includes of one file, one line of text each.
std::vector<std::string> wrong_includes(const std::string& path, const std::string& text) {
  std::vector<std::string> wrong;
  const std::string own = stage_of(path);
  const auto known = allowed_stages().find(own);
  if (known == allowed_stages().end()) return {path + " lies in no known stage; add it to allowed_stages()"};
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::string target = stage_of(quoted_include(line));
    if (!target.empty() && target != own && !known->second.contains(target))
      wrong.push_back(path + " may not include " + quoted_include(line));
  }
  return wrong;
}

bool is_source(const fs::path& path) { return path.extension() == ".cpp" || path.extension() == ".hpp"; }

/// Source files below the folders, as paths relative to the source tree, sorted.
std::vector<std::string> sources_below(const std::vector<std::string>& folders) {
  const fs::path root = HONE_SOURCE_DIR;
  std::vector<std::string> found;
  for (const std::string& folder : folders) {
    if (!fs::is_directory(root / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.is_regular_file() && is_source(entry.path()))
        found.push_back(fs::relative(entry.path(), root).generic_string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string text_of(const std::string& path) { return read_text(fs::path(HONE_SOURCE_DIR) / path); }

TEST_CASE("includes: every include of sim and theory goes to a stage below its own") {
  const auto files = sources_below({"sim", "theory"});
  REQUIRE(files.size() > 10);
  for (const std::string& file : files)
    for (const std::string& wrong : wrong_includes(file, text_of(file))) FAIL_CHECK(wrong);
}

TEST_CASE("includes: the checker sees a planted edge in the wrong direction") {
  const auto count = [](const std::string& path, const std::string& text) { return wrong_includes(path, text).size(); };
  CHECK(count("sim/base/x.hpp", "#include \"sim/record/h5.hpp\"\n") == 1);
  CHECK(count("sim/layers/x.cpp", "int a;\n#  include <sim/model/params.hpp>\n") == 1);
  CHECK(count("sim/curvature/x.cpp", "#include \"sim/quantize/weights.hpp\"\n") == 1);
  CHECK(count("sim/quantize/x.cpp", "#include \"sim/curvature/trace.hpp\"\n#include \"sim/perturb/noise.hpp\"\n") == 2);
  CHECK(count("theory/x.hpp", "#include \"sim/model/params.hpp\"\n") == 1);
  CHECK(count("sim/train/x.hpp", "#include \"sim/import/checkpoint.hpp\"\n") == 1);
  CHECK(count("sim/import/x.cpp", "#include \"sim/train/trainer.hpp\"\n") == 1);
  CHECK(count("sim/base/x.hpp", "#include \"theory/law.hpp\"\n") == 1);
  CHECK(count("sim/train/x.hpp", "#include \"experiments/study/study.hpp\"\n") == 1);
  CHECK(count("sim/train/x.hpp", "#include \"tests/support/near.hpp\"\n") == 1);
  CHECK(count("sim/elsewhere/x.hpp", "") == 1);
}

TEST_CASE("includes: the checker allows every edge downwards, other libraries and prose") {
  const auto count = [](const std::string& path, const std::string& text) { return wrong_includes(path, text).size(); };
  CHECK(count("sim/perturb/x.cpp", "#include \"sim/curvature/a.hpp\"\n#include \"sim/quantize/b.hpp\"\n") == 0);
  CHECK(count("sim/base/x.cpp", "#include \"sim/base/error.hpp\"\n#include <vector>\n#include <Eigen/Core>\n") == 0);
  CHECK(count("theory/x.cpp", "#include \"theory/law.hpp\"\n#include \"sim/record/h5.hpp\"\n") == 0);
  CHECK(count("sim/base/x.hpp", "// never #include \"sim/train/trainer.hpp\" here\n") == 0);
}

TEST_CASE("includes: no source file has more than 500 lines") {
  for (const std::string& file : sources_below({"sim", "theory", "experiments", "tests"})) {
    const std::string text = text_of(file);
    const auto lines = std::count(text.begin(), text.end(), '\n');
    CHECK_MESSAGE(lines <= 500, file << " has " << lines << " lines; split it");
  }
}

}  // namespace
}  // namespace hone::test
