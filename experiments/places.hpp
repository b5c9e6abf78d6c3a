// Where the program finds its scripts and keeps its cache.
#pragma once

#include <filesystem>

namespace hone::experiments {

/// Folder with fetch_corpus and figures/: beside the sources it was built from, or HONE_SCRIPTS when that is set.
std::filesystem::path scripts_folder();

/// Folder for fetched corpora and cleaned text: HONE_CACHE, else XDG_CACHE_HOME/hone, else ~/.cache/hone.
std::filesystem::path cache_folder();

}  // namespace hone::experiments
