#include "experiments/commands/python.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "experiments/study/places.hpp"
#include "sim/base/error.hpp"

namespace hone::experiments {
namespace {

/// tomllib came with Python 3.11.
constexpr const char* modules = "tomllib h5py numpy matplotlib";
constexpr const char* debian_packages = "python3-h5py python3-matplotlib";
constexpr const char* pip_packages = "h5py matplotlib";

struct Candidate {
  std::string command;
  bool is_python = false;
  std::string missing;  ///< modules, "" when all are there
};

Candidate examined(const std::string& command) {
  Candidate candidate{command, false, ""};
  const std::string look = fmt::format(
      "import importlib.util as u; print('python:', *[m for m in '{}'.split() if u.find_spec(m) is None])", modules);
  const std::string line = fmt::format("{} -c {} 2>/dev/null", shell_word(command), shell_word(look));
  FILE* pipe = ::popen(line.c_str(), "r");
  if (!pipe) return candidate;
  std::string said;
  std::array<char, 256> part{};
  while (std::fgets(part.data(), part.size(), pipe)) said += part.data();
  const int status = ::pclose(pipe);
  std::istringstream words(said);
  std::string word;
  candidate.is_python = status == 0 && words >> word && word == "python:";
  while (words >> word) candidate.missing += (candidate.missing.empty() ? "" : ", ") + word;
  return candidate;
}

std::string lack_of(const Candidate& candidate) {
  if (!candidate.is_python) return fmt::format("{} cannot be started as Python", candidate.command);
  const bool is_old = candidate.missing.find("tomllib") != std::string::npos;
  return fmt::format("{} lacks {}{}", candidate.command, candidate.missing, is_old ? " (Python 3.11 or newer)" : "");
}

std::string advice_for(const Candidate& candidate) {
  if (!candidate.is_python) return "give a Python of version 3.11 or newer";
  return fmt::format("install the modules with apt-get install {}, or with {} -m pip install {}", debian_packages,
                     candidate.command, pip_packages);
}

}  // namespace

std::string figures_python(const std::string& chosen) {
  const char* variable = std::getenv("HONE_PYTHON");
  const std::string named = !chosen.empty() ? chosen : variable ? variable : "";
  if (!named.empty()) {
    const Candidate candidate = examined(named);
    if (candidate.is_python && candidate.missing.empty()) return named;
    throw OptionError(fmt::format("{}: {}; {}, or name another Python", chosen.empty() ? "HONE_PYTHON" : "--python",
                                  lack_of(candidate), advice_for(candidate)));
  }
  std::vector<std::string> lacks;
  for (const char* command : {"python3", "/usr/bin/python3"}) {
    const Candidate candidate = examined(command);
    if (candidate.is_python && candidate.missing.empty()) return command;
    lacks.push_back(lack_of(candidate));
  }
  throw OptionError(
      fmt::format("no Python for the figures: {}; {}, or name a Python that has them with --python or "
                  "HONE_PYTHON",
                  fmt::join(lacks, "; "), advice_for({"python3", true, ""})));
}

}  // namespace hone::experiments
