// The folder of a study, outputs/STUDY: the study that owns it, and when another study may take it over.
#pragma once

#include <filesystem>

#include "experiments/study/study.hpp"

namespace hone::experiments {

/// Makes `folder` the study's own: creates it, keeps the study file in it, refuses a folder of another study. A study
/// with other seeds is the same study. Another study is a corrected one, and takes the folder, as long as nothing is
/// measured in it: what failed, diverged or was only trained under the old options is removed then, with a line on
/// standard error.
/// errors  OptionError naming what differs; IoError when it cannot be written
void claim_folder(const std::filesystem::path& folder, const Study& study);

/// Nothing when the folder is unclaimed, holds this very study (seeds may differ), or has nothing measured in it.
/// errors  OptionError naming what differs: options, or thresholds changed after the run; and when tasks of the other
///         study are in a cluster's queue
void expect_same_study(const std::filesystem::path& folder, const Study& study);

/// Whether a run of the folder has a measured checkpoint, finished or saved. A run file that cannot be read counts as
/// one: its content is unknown.
bool has_measured(const std::filesystem::path& folder);

}  // namespace hone::experiments
