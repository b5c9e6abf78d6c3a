// Where the program finds its scripts and keeps its cache, and how it names them to a shell.
#pragma once

#include <filesystem>
#include <string>

namespace hone::experiments {

/// Folder with fetch_corpus and figures/: HONE_SCRIPTS when that is set, else where they were installed with the program,
/// else beside the sources it was built from.
/// errors  IoError naming both places
std::filesystem::path scripts_folder();

/// Folder for fetched corpora and cleaned text: HONE_CACHE, else XDG_CACHE_HOME/hone, else ~/.cache/hone.
std::filesystem::path cache_folder();

/// `text` with the values of the environment in place of each ${NAME}.
/// errors  OptionError beginning with `field` when a variable is not set, or a brace is not closed
std::string expand_environment(const std::string& text, const std::string& field);

/// `text` as one word of a shell command, whatever characters it holds.
std::string shell_word(const std::string& text);

}  // namespace hone::experiments
