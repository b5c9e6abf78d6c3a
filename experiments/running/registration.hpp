// The registration of a study: questions, rules, thresholds, seeds and runs, frozen in a file before the first run. Run
// files carry its hash, so that a verdict can say whether it was decided by rules that were fixed before any data.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/study/study.hpp"

namespace hone::experiments {

/// registration.json of the study as it stands: its seeds, the ids of its runs, every threshold, every rule with its
/// sentence, and the hash of all rules.
std::string registration_text(const Study& study);

/// Writes registration.json into the folder of the study, and claims the folder for it. A registration may be corrected
/// as long as nothing is measured.
/// errors  OptionError when runs are measured without it, or under another one
void register_study(const std::filesystem::path& folder, const Study& study);

/// SHA-256 of the folder's registration.json; "" where there is none.
std::string registration_hash(const std::filesystem::path& folder);

/// How a study stands to its registration, for people: "registered before the first run", "not registered", or
/// "registered, but since then: ..." with what changed: questions, rules of the registered questions, thresholds, seeds, runs.
/// errors  FormatError when registration.json is no registration
std::string registration_state(const std::filesystem::path& folder, const Study& study);

/// Puts registration.json beside tables whose runs all carry its hash, `state` being "registered before the first run", and
/// takes it away from others.
void keep_registration(const std::filesystem::path& folder, const std::filesystem::path& tables,
                       const std::string& state);

/// The same of tables that were measured apart, perhaps on several machines, all under one registration.
/// expects  one folder at least
/// errors   FormatError when a registration.json is none
std::string registration_of_tables(const std::vector<std::filesystem::path>& tables, const Study& study);

}  // namespace hone::experiments
