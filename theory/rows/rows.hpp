// Flat rows of measured numbers, collected from run files. All judges work on these structs, so that recorded rows and
// synthetic ones (solvable/synthetic_rows.hpp) go through the same code.
//   N quantizable parameters   D training tokens   P bits per weight
//   losses and damages in nats per token
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace hone {
struct RunFile;
}

namespace hone::theory {

/// Bits of one of three values.
inline constexpr double ternary_bits = 1.584962500721156;
/// Of the inputs of linears in the recipe of BitNet b1.58.
inline constexpr double bitnet_activation_bits = 8;

enum class Architecture { transformer, mlp };

/// What a checkpoint is of its trunk.
enum class Kind {
  trunk,
  average,   ///< of the weights along the trunk
  cooldown,  ///< a branch whose learning rate decays
  tuned,     ///< a branch on other data
  lowered,   ///< a branch trained at low precision
};

/// Their names in run files.
std::string_view name_of(Architecture architecture);
std::string_view name_of(Kind kind);
/// The kind of that name.
/// errors  FormatError naming the source and the known kinds
Kind kind_of(std::string_view name, const std::string& source);
/// The architecture of that name.
/// errors  FormatError naming the source and the known ones
Architecture architecture_of(std::string_view name, const std::string& source);

/// What every row says about the model it was measured on. Of the recipe, numbers that are not recorded are 0 and
/// texts empty, so that subjects can be compared and sorted.
struct Subject {
  std::string run;
  Architecture architecture = Architecture::transformer;
  std::int64_t seed = 0;
  double N = 0;
  double D = 0;
  std::string variant;       ///< trunk | ema | lawa | the name of a branch; qat_… when trained at low precision
  std::string model;         ///< name in the study; equal architectures may differ in schedule
  std::string schedule;      ///< of the trunk
  double peak_lr = 0;        ///< peak learning rate
  double lr = 0;             ///< of the last update; 0 for averages and at the end of a cooldown
  std::string arm = "main";  ///< contrasts of the study leave this arm; older files know no other
  Kind kind = Kind::trunk;
  double branched_at = 0;  ///< tokens of the trunk where the branch left it; D for trunks and averages
  double branch_tokens =
      0;  ///< length of the branch in tokens, where the study gives one; 0: a share of what came before
  std::string branch_data;  ///< of a tuned branch, where it is other data: its name in the study; empty elsewhere
  std::string data;         ///< name of the training data in the study
  double batch = 0;         ///< sequences per update
  double weight_decay = 0;
  double sam_rho = 0;                     ///< radius of sharpness-aware minimization
  double gradient_penalty = 0;            ///< factor of the gradient norm in the training loss
  std::string train_format = "fp32";      ///< numbers of training: fp32 | bf16 | fp16
  std::string rounding = "nearest_even";  ///< of weights quantized after training
  double horizon = 0;                     ///< tokens for which the schedule was laid out
  double step = 0;                        ///< updates of the optimizer up to this checkpoint
  double train_w_bits = 16;               ///< precision in training up to this checkpoint; 16 = full
  double train_a_bits = 16;
  double train_kv_bits = 16;
  std::string method;        ///< of training at low precision: qat | lsq | bitnet | binary; empty at full precision
  double warmup_weight = 0;  ///< of an average: the share of its weight that lies in the warm-up
  std::string style;         ///< llama | gpt2 | mlp
  double layers = 0, width = 0, heads = 0, kv_heads = 0, mlp_width = 0;
  double experts = 0;             ///< MLPs of each layer; 0: one, without router
  double experts_per_token = 0;   ///< of these that a token reaches
  std::string sub_norms = "off";  ///< on: norms before wo and w_down

  bool is_transformer() const { return architecture == Architecture::transformer; }
  bool has_experts() const { return experts > 0; }
  /// Quantizable parameters that one token passes through.
  /// math    N - layers (experts - experts_per_token) 3 width mlp_width; an expert is a SwiGLU
  double active_N() const {
    return has_experts() ? N - layers * (experts - experts_per_token) * 3 * width * mlp_width : N;
  }
  bool is_full_precision() const { return train_w_bits >= 16 && train_a_bits >= 16 && train_kv_bits >= 16; }
};

/// Damage of quantizing the weights to P bits, and its prediction. Unknown numbers are NaN in all
/// rows.
struct PtqRow : Subject {
  double P = 0;
  double loss = 0;
  double delta = 0;
  double delta_se = 0;
  double predicted = 0;  ///< (1/24) Σ_c Delta_c² tr(H_cc)
  double predicted_se = 0;
  double predicted_probes =
      std::numeric_limits<double>::quiet_NaN();                    ///< behind predicted_se; NaN: the file does not say
  double gradient = 0;                                             ///< g·e of the real rounding error e
  double remainder_se = std::numeric_limits<double>::quiet_NaN();  ///< of delta - gradient; NaN: the file does not say
  double quadratic = 0;                                            ///< ½ e'He
  double mean_step2 = 0;                                           ///< mean Delta² over the quantized weights

  /// The step-weighted trace Σ step² H_ii over the mean squared step. The variance of the rounding of weights that lie
  /// anywhere between two levels is step²/12 to nearest and step²/6 by chance.
  double weighted_trace() const { return (rounding == "stochastic" ? 12 : 24) * predicted / mean_step2; }
};

/// Curvature of one checkpoint.
struct SharpnessRow : Subject {
  double trace = 0;
  double trace_se = 0;
  double lambda_max = 0;
  double frobenius = 0;  ///< ‖H‖_F
  double weight_norm2 = 0;
  double preconditioned = std::numeric_limits<double>::quiet_NaN();  ///< λ_max in Adam's coordinates; NaN: not recorded
  double stability = std::numeric_limits<double>::quiet_NaN();       ///< above which Adam's step is unstable
  double weighted_trace = 0;  ///< PtqRow::weighted_trace at the least bits ≥ 3 that were measured
};

/// Damage of one cell of the weight, activation and KV factorial; 16 bits = not quantized.
struct FactorialRow : Subject {
  double w_bits = 16;
  double a_bits = 16;
  double kv_bits = 16;
  double delta = 0;
  double delta_se = 0;
};

/// Damage of noise of a given energy in a subspace; the shares belong to the checkpoint and repeat
/// in its rows.
struct NoiseRow : Subject {
  std::string subspace;  ///< top | random | complement | isotropic
  double energy = 0;
  double delta = 0;
  double delta_se = 0;
  double predicted = 0;
  double residual_share = 0;        ///< norm share of the real rounding error in the top directions
  double null_share = 0;            ///< √(k/n)
  double curvature_share = 0;       ///< share of that error's e'He that lies in the top directions
  double curvature_null_share = 0;  ///< Σλ/tr H, that of a random error
};

/// Held-out loss of one checkpoint as it was trained: at the precision of its training.
struct LossRow : Subject {
  double loss = 0;
  double loss_se = 0;
};

/// Damage of the weights of one checkpoint rounded to P bits, on windows of a corpus it was not trained on.
struct ShiftRow : Subject {
  std::string shifted_data;
  double P = 0;
  double loss = 0;  ///< in full precision
  double delta = 0;
  double delta_se = 0;
};

/// Damage of one scheme of quantization, at the end of a trunk or at every checkpoint.
struct SchemeRow : Subject {
  std::string scheme;
  double P = 0;  ///< width of the ladder; 0: a format
  double delta = 0;
  double delta_se = 0;
  double gradient = 0;   ///< g·e of the real error e
  double quadratic = 0;  ///< ½ e'He in the scheme's coordinates; over draws ½ tr(HΣ)
  double bits_per_weight = std::numeric_limits<double>::quiet_NaN();  ///< storage; NaN: the file does not say
  double remainder_se = std::numeric_limits<double>::quiet_NaN();     ///< of delta - gradient; NaN: not recorded
  double quadratic_other =
      std::numeric_limits<double>::quiet_NaN();  ///< with H on windows of the training text; NaN: not recorded
  double a_bits = 16, kv_bits = 16;              ///< of activations and cache beside it

  bool is_of_weights() const { return a_bits >= 16 && kv_bits >= 16; }
};

/// Damage of noise that second order gives one rise in every part of the spectrum.
struct InjectionRow : Subject {
  std::string subspace;  ///< top | next | random | complement | negative
  double rise = 0;       ///< absolute second-order rise of each draw
  double energy = 0;     ///< mean squared length
  double predicted = 0;  ///< mean second-order rise with its sign; NaN: the spectrum has no such direction
  double delta = 0;
  double delta_se = 0;
};

/// Damage of one expert's weights rounded to P bits, all others as they are.
struct ExpertRow : Subject {
  double P = 0;
  double layer = 0;
  double expert = 0;
  double load = 0;  ///< tokens that reach it over their mean in the layer
  double delta = 0;
  double delta_se = 0;
};

/// Damage of a quantized cache in one octave of positions, at the end of a trunk.
struct CacheRow : Subject {
  std::string policy;
  double first = 0, last = 0;                                  ///< positions [first, last)
  double contexts = std::numeric_limits<double>::quiet_NaN();  ///< last over the tokens of a training window
  double delta = 0;
  double delta_se = 0;
};

/// What a quantized cache costs a block of tokens that is repeated after some distance.
struct CopyRow : Subject {
  std::string policy;
  double distance = 0;
  double accuracy = 0;  ///< in full precision
  double delta = 0;
  double delta_se = 0;
  double accuracy_delta = 0;
};

/// Damage of weights that are read at several widths along a text.
struct ScheduleRow : Subject {
  std::string schedule;  ///< stored | uniform | step_down | reversed | linear | surprise
  double average_bits = 0;
  double delta = 0;
  double delta_se = 0;
  double to_uniform = 0;  ///< loss minus that of uniform bits with the same average
  double to_uniform_se = 0;
};

/// Score of a task, before and after rounding the weights to P bits.
struct TaskRow : Subject {
  std::string task;
  double P = 0;
  double accuracy = 0;  ///< share of answers that are right as a whole, in full precision
  double accuracy_se = 0;
  double loss = 0;  ///< of a token of the answers, in full precision
  double loss_se = 0;
  double delta = 0;  ///< of that loss
  double delta_se = 0;
  double accuracy_delta = 0;
  double accuracy_delta_se = 0;
};

struct Table {
  std::vector<PtqRow> ptq;
  std::vector<SharpnessRow> sharpness;
  std::vector<FactorialRow> factorial;
  std::vector<NoiseRow> noise;
  std::vector<LossRow> losses{};
  std::vector<ShiftRow> shift{};
  std::vector<SchemeRow> schemes{};
  std::vector<InjectionRow> injection{};
  std::vector<ExpertRow> expert_damage{};
  std::vector<CacheRow> cache{};
  std::vector<CopyRow> copies{};
  std::vector<ScheduleRow> schedules{};
  std::vector<TaskRow> tasks{};
};

/// Appends the rows of one run. Groups that the run did not measure are skipped; columns and options of later
/// versions of the schema that it lacks leave the defaults of the row.
/// expects groups as written by hone: /manifest, /options, /checkpoints, /qat, /ptq, /curvature, /factorial, /noise, /shift,
///         /schemes, /schemes_along, /injection, /experts, /decode, /decode_copy, /decode_schedules, /tasks; a run with
///         /schemes_along gives no rows of /schemes
/// errors  FormatError naming the run, the group and the dataset
void append_run(Table& table, const RunFile& run, const std::string& source);

/// The rows of all run files, in the order given.
/// errors  IoError or FormatError of the reader, FormatError of append_run
Table collect(const std::vector<std::filesystem::path>& paths);

}  // namespace hone::theory
