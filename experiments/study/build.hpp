// Models, schedules and quantizers from the parts of a study. Names in a study become types here.
#pragma once

#include "experiments/study/study.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "sim/quantize/qat.hpp"

namespace hone::experiments {

/// Architecture of a transformer.
/// errors  OptionError naming the field and the nearest known name
TransformerOptions transformer_options(const ModelSpec& model, Index vocabulary);
/// Architecture of a run on tokens: that of its model or, of a series, of its checkpoints, whatever the vocabulary.
/// errors  those of transformer_options or of series_of
TransformerOptions architecture_of(const RunSpec& run, Index vocabulary);
/// Architecture of a perceptron; with labels its loss is the cross-entropy, else the squared error.
/// errors  OptionError naming the field and the nearest known name
MlpOptions mlp_options(const ModelSpec& model, Index inputs, Index outputs, bool has_labels);
/// Optimizer, schedule and chunks of a run.
/// errors  OptionError naming the field and the nearest known name
TrainOptions train_options(const RunSpec& run, int threads);
/// Quantizer of the weights after training.
/// errors  OptionError naming the field and the nearest known name
Quantizer weight_quantizer(const QuantizeSpec& spec, int bits);
/// Refuses several draws of a rounding that does not draw, and too few of one that does: their spread is an error bar.
/// errors  OptionError naming the fields, their values and the fix
void check_draws(const QuantizeSpec& spec);

/// Which of the draws of stochastic rounding; each has numbers of its own at every checkpoint and width, so that their
/// errors are independent.
struct RoundingDraw {
  std::uint64_t seed = 0;  ///< of the run
  std::int64_t step = 0;   ///< of the checkpoint
  std::int64_t number = 0;
};
/// weight_quantizer with the numbers of one draw.
Quantizer weight_draw(const QuantizeSpec& spec, int bits, const RoundingDraw& draw);

/// Precisions of one cell of the factorial; 16 bits: not quantized.
/// errors  OptionError naming the field and the nearest known name
Precision precision_of(const QuantizeSpec& spec, int w_bits, int a_bits, int kv_bits);

/// The precision that the trunk or a branch is trained at: is_full() when nothing is asked for. Grid and granularity of
/// qat are those of [quantize]; bitnet and binary bring their own.
/// errors   OptionError also when the fields contradict each other
QatOptions training_precision(const LowPrecision& low, const ModelSpec& model, const QuantizeSpec& spec);

/// errors   OptionError when it is neither linear nor one_sqrt
Decay branch_decay(const BranchSpec& branch);
/// Updates of a branch that leaves the trunk after `step` updates, at least one.
std::int64_t branch_length(const RunSpec& run, const BranchSpec& branch, std::int64_t step);

/// Updates at which the trunk is measured, ascending; the last is the horizon.
/// errors  OptionError naming the field; those of series_of
std::vector<std::int64_t> checkpoint_steps(const RunSpec& run);
/// Tokens (mlp: examples) of one update by hone.
std::int64_t tokens_per_step(const RunSpec& run);
/// Tokens of the trunk after so many updates; of a series, at its last checkpoint up to there.
std::int64_t tokens_after(const RunSpec& run, std::int64_t step);
/// D of the whole trunk.
std::int64_t trunk_tokens(const RunSpec& run);

}  // namespace hone::experiments
