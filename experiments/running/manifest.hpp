// The provenance in a run file: /manifest and /options.
#pragma once

#include <map>
#include <string>

#include "experiments/study/study.hpp"
#include "sim/base/matrix.hpp"
#include "sim/record/run_file.hpp"

namespace hone::experiments {

/// What is known only once data and model are there.
struct RunFacts {
  Index quantizable_parameters = 0, parameters = 0;
  std::string corpus_sha256;                  ///< of the trunk's data
  std::int64_t epochs = 0;                    ///< of the last training batch
  double entropy_rate_nats = 0;               ///< NaN where it is not known
  std::map<std::string, std::string> inputs;  ///< sha256 of each data source by its name
};

/// Writes title, /manifest and /options into the file.
void describe_run(RunFile& file, const RunSpec& spec, const RunFacts& facts, int threads);

}  // namespace hone::experiments
