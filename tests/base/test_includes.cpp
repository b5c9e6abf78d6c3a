// The order of the stages, read from the sources themselves: an include that goes the wrong way fails here. So do a
// source without a header of its own name, and a file that has grown past 800 lines.
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

using Stages = std::set<std::string>;

/// What each stage may include beside itself. A stage is a folder of sim, theory or experiments, or a folder of programs.
const std::map<std::string, Stages>& allowed_stages() {
  static const std::map<std::string, Stages> allowed = [] {
    std::map<std::string, Stages> result;
    // Each stage includes those named with it and all that these include.
    const auto add = [&](const std::string& stage, const Stages& direct) {
      Stages all = direct;
      for (const std::string& below : direct) all.insert(result.at(below).begin(), result.at(below).end());
      result[stage] = all;
    };
    add("sim/base", {});
    add("sim/record", {"sim/base"});
    add("sim/data", {"sim/record"});
    add("sim/formats", {"sim/base"});
    add("sim/layers", {"sim/data", "sim/formats"});
    add("sim/model", {"sim/layers"});
    add("sim/import", {"sim/model"});
    add("sim/train", {"sim/model"});
    add("sim/curvature", {"sim/train"});
    add("sim/quantize", {"sim/train"});
    add("sim/perturb", {"sim/curvature", "sim/quantize"});
    add("theory/laws", {"sim/record"});
    add("theory/rows", {"sim/record"});
    add("theory/noise", {"theory/laws"});
    add("theory/fits", {"theory/laws", "theory/rows"});
    add("theory/precision", {"theory/fits", "theory/noise"});
    add("theory/solvable", {"theory/fits"});
    add("theory/questions", {"theory/precision", "theory/solvable"});
    add("theory/claims", {"theory/questions"});
    add("theory/planner", {"theory/questions"});
    add("experiments/study", {"sim/perturb", "sim/import", "theory/questions"});
    add("experiments/instruments", {"experiments/study"});
    add("experiments/cluster", {"experiments/instruments"});
    add("experiments/running", {"experiments/cluster"});
    add("experiments/commands", {"experiments/running", "theory/claims", "theory/planner"});
    add("experiments", {"experiments/commands"});
    add("experiments/peers", {"sim/perturb", "sim/import"});
    return result;
  }();
  return allowed;
}

/// The stage of a path: sim/base/x.hpp -> sim/base, sim/import/tokenizers/x.hpp -> sim/import, experiments/main.cpp ->
/// experiments, tests/support/near.hpp -> tests; "" outside the project's folders.
std::string stage_of(const std::string& path) {
  const std::size_t top = path.find('/');
  std::string first = path.substr(0, top);
  if (first == "tests") return first;
  if (first != "sim" && first != "theory" && first != "experiments") return "";
  const std::size_t second = path.find('/', top + 1);
  return second == std::string::npos ? first : path.substr(0, second);
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

TEST_CASE("includes: every include goes to a stage below its own") {
  const auto files = sources_below({"sim", "theory", "experiments"});
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
  CHECK(count("theory/laws/x.hpp", "#include \"sim/model/params.hpp\"\n") == 1);
  CHECK(count("theory/fits/x.hpp", "#include \"theory/questions/verdict.hpp\"\n") == 1);
  CHECK(count("theory/x.hpp", "") == 1);
  CHECK(count("sim/formats/x.hpp", "#include \"sim/layers/linear.hpp\"\n") == 1);
  CHECK(count("experiments/study/x.cpp", "#include \"experiments/instruments/schemes.hpp\"\n") == 1);
  CHECK(count("experiments/cluster/x.cpp", "#include \"experiments/running/run.hpp\"\n") == 1);
  CHECK(count("sim/train/x.hpp", "#include \"sim/import/checkpoint.hpp\"\n") == 1);
  CHECK(count("sim/import/x.cpp", "#include \"sim/train/trainer.hpp\"\n") == 1);
  CHECK(count("sim/base/x.hpp", "#include \"theory/laws/laws.hpp\"\n") == 1);
  CHECK(count("sim/train/x.hpp", "#include \"experiments/study/study.hpp\"\n") == 1);
  CHECK(count("sim/train/x.hpp", "#include \"tests/support/near.hpp\"\n") == 1);
  CHECK(count("sim/elsewhere/x.hpp", "") == 1);
}

TEST_CASE("includes: the checker allows every edge downwards, other libraries and prose") {
  const auto count = [](const std::string& path, const std::string& text) { return wrong_includes(path, text).size(); };
  CHECK(count("sim/perturb/x.cpp", "#include \"sim/curvature/a.hpp\"\n#include \"sim/quantize/b.hpp\"\n") == 0);
  CHECK(count("sim/base/x.cpp", "#include \"sim/base/error.hpp\"\n#include <vector>\n#include <Eigen/Core>\n") == 0);
  CHECK(count("theory/fits/x.cpp", "#include \"theory/laws/laws.hpp\"\n#include \"sim/record/h5.hpp\"\n") == 0);
  CHECK(count("sim/import/tokenizers/x.cpp", "#include \"sim/import/json_file.hpp\"\n") == 0);
  CHECK(count("experiments/main.cpp", "#include \"experiments/commands/plan.hpp\"\n") == 0);
  CHECK(count("sim/base/x.hpp", "// never #include \"sim/train/trainer.hpp\" here\n") == 0);
}

/// Programs, and kernels, which are compiled once for each instruction class.
bool needs_no_header(const std::string& path) {
  static const Stages programs = {"experiments/main.cpp", "experiments/peers/hone_side.cpp"};
  return programs.contains(path) || path.ends_with("_kernels.cpp");
}

TEST_CASE("includes: every source has a header of its own name, and includes it first") {
  for (const std::string& file : sources_below({"sim", "theory", "experiments"})) {
    if (!file.ends_with(".cpp") || needs_no_header(file)) continue;
    const std::string header = file.substr(0, file.size() - 3) + "hpp";
    const std::string text = text_of(file);
    CHECK_MESSAGE(text.find("#include \"" + header + "\"") == text.find("#include"), file << " includes another first");
  }
}

TEST_CASE("includes: no source file has more than 800 lines") {
  for (const std::string& file : sources_below({"sim", "theory", "experiments", "tests"})) {
    const std::string text = text_of(file);
    const auto lines = std::count(text.begin(), text.end(), '\n');
    CHECK_MESSAGE(lines <= 800, file << " has " << lines << " lines");
  }
}

}  // namespace
}  // namespace hone::test
