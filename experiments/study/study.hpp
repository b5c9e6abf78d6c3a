// A study: the content of a TOML file, with every field checked, and the runs that follow from it.
//
// [[models]] may hold tables of its own:
//   [models.train] [models.measure] [models.quantize] [models.noise] [models.decode]   change the sections for it alone
//   [[models.branches]]   copies of the trunk that continue training separately, see BranchSpec
//   [models.grid]         lists of values of its fields: one model for each combination, named after the values;
//                         lr = [1e-3, 3e-3], train.batch = [8, 32]
#pragma once

#include <map>
#include <string>
#include <vector>

#include "experiments/study/parts.hpp"
#include "sim/record/dataset.hpp"
#include "theory/questions/thresholds.hpp"

namespace hone::experiments {

/// One model of a study with everything that bears on it: the study's sections, as the model's own tables change them.
struct ModelPlan {
  ModelSpec model;
  std::vector<BranchSpec> branches;
  std::vector<std::int64_t> seeds;  ///< empty: those of the study
  TrainSpec train;
  MeasureSpec measure;
  QuantizeSpec quantize;
  NoiseSpec noise;
  DecodeSpec decode;
};

/// A whole study file.
struct Study {
  std::string name, title;
  std::vector<std::int64_t> seeds = {1};
  std::vector<DataSpec> data;
  std::vector<ModelPlan> models;
  theory::Thresholds thresholds;       ///< fixed before the run
  std::vector<std::string> questions;  ///< the primary ones, fixed before the run; empty: all
  std::string text;                    ///< the file as it was read
};

/// One run: a model, a seed, and the parts of the study that bear on it.
struct RunSpec {
  std::string study;
  std::int64_t seed = 1;
  DataSpec data;
  std::vector<DataSpec> others;  ///< what branches and the shifted evaluation read besides
  ModelSpec model;
  std::vector<BranchSpec> branches;
  TrainSpec train;
  MeasureSpec measure;
  QuantizeSpec quantize;
  NoiseSpec noise;
  DecodeSpec decode;

  /// Of `data` or `others`.
  /// errors  ContractError when there is none of that name
  const DataSpec& data_named(const std::string& name) const;
  /// Every option as "section.field", in name order.
  std::map<std::string, Attribute> options() const;
  /// MODEL-sSEED-XXXXXXXX: readable, then eight digits of the SHA-256 of the options that are not at their defaults.
  /// Equal options, equal id.
  std::string id() const;
};

/// The run of one model and seed.
/// expects  its data are among the study's
RunSpec run_of(const Study& study, const ModelPlan& plan, std::int64_t seed);

/// The study's runs, models × their seeds, in the order of the file.
std::vector<RunSpec> plan_runs(const Study& study);

}  // namespace hone::experiments
