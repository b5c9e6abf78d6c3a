// A series: the checkpoints of a training elsewhere, in place of a trunk that hone trains. Its "training" is to load the
// next checkpoint; all that follows a trunk is the same. A study names them in one of two ways:
//   folders = "${PYTHIA}/pythia-14m/step{step}"   {step} is the number of updates, leading zeros allowed; {seed} is that
//                                                 of the run; * is any text without a slash
//   table = "checkpoints.csv"                     columns folder (from the place of the table) and tokens; perhaps step,
//                                                 seed, rate (of learning), model (name in the study); others are ignored
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/study/study.hpp"
#include "sim/import/checkpoint.hpp"

namespace hone::experiments {

struct SeriesCheckpoint {
  std::filesystem::path place;  ///< what import_checkpoint takes
  std::int64_t step = 0, tokens = 0;
  std::optional<double> lr;  ///< of its last update, where a table says it
};

struct Series {
  std::vector<SeriesCheckpoint> checkpoints;  ///< ascending in step and tokens
  TransformerOptions options;                 ///< of each of them, at the context of the run
  std::string format;                         ///< of the first, as in ImportedModel
  std::filesystem::path tokenizer;            ///< file of the first that has one; empty: none has
};

bool is_series(const ModelSpec& model);

/// The series of a run. The files of all its checkpoints are checked without reading their values; the answer is kept
/// for the life of the program.
/// expects  is_series(run.model)
/// errors   OptionError naming model, field, value and fix: a variable of the environment that is not set, nothing found,
///          steps that are missing, a gap, the same tokens twice, another architecture or tokenizer than the first's;
///          those of inspect_checkpoint and of Csv
const Series& series_of(const RunSpec& run);

/// Its checkpoint number 0, 1, …
/// errors  those of import_checkpoint; FormatError when it is no longer what series_of saw
ImportedModel load_checkpoint(const RunSpec& run, std::size_t number);

/// SHA-256 of all its checkpoints, in order.
/// cost  one pass over all files
std::string series_sha256(const RunSpec& run);

/// RunSpec::options() as they are recorded: of a series with the architecture and the training that its files say.
std::map<std::string, Attribute> recorded_options(const RunSpec& run);

}  // namespace hone::experiments
