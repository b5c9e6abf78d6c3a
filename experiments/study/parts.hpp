// The parts of a study: what each table of its TOML file may say, with units and defaults. One visitor per part
// (`fields`) feeds the reader, the recorded options and the run's identity, so that no field can be forgotten in one of
// them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hone::experiments {

/// Allowed values of a number.
struct Range {
  double low = -1e300, high = 1e300;
};
inline constexpr Range positive{1e-300, 1e300};
inline constexpr Range at_least_one{1, 1e15};
inline constexpr Range at_least_zero{0, 1e15};
inline constexpr Range fraction{0, 1};

/// Where examples come from.
struct DataSpec {
  std::string name;
  std::string kind = "text";                      ///< text | markov | hidden_markov | teacher | digits
  std::vector<std::string> corpora = {"tdavid"};  ///< text without files: corpora that fetch_corpus knows, joined
  std::vector<std::string> files;                 ///< text: UTF-8 files (raw_bytes: any); digits: one CSV
  std::vector<std::string> held_out;  ///< of checkpoint: files to evaluate on, whole; then `files` train alone
  std::string tokenizer = "bytes";    ///< bytes | raw_bytes (of the files as they are) | bpe | checkpoint
  std::int64_t vocabulary = 256;      ///< of bpe and of synthetic sources
  double validation_fraction = 0.05;
  std::int64_t order = 1;   ///< of the Markov source
  std::int64_t states = 8;  ///< of the hidden Markov source
  double zipf_exponent = 1.0;
  double coupling = 0.8;
  std::int64_t inputs = 32, hidden = 32, outputs = 1;  ///< of the teacher
  double spectrum_exponent = 1.0, noise_sd = 0.0;
  std::int64_t source_seed = 1;
  std::vector<std::string> tasks;  ///< of bytes: lines of these tasks go into the text, see sim/data/text_tasks.hpp
  double task_share = 0.2;         ///< of the bytes
  std::int64_t line = 0;           ///< of the study file, for messages

  template <class V>
  void fields(V& v) {
    v("name", name), v("kind", kind), v("corpora", corpora), v("files", files), v("tokenizer", tokenizer);
    v("held_out", held_out);
    v("vocabulary", vocabulary, Range{2, 65536}), v("validation_fraction", validation_fraction, Range{1e-6, 0.9});
    v("order", order, Range{1, 2}), v("states", states, Range{2, 4096});
    v("zipf_exponent", zipf_exponent, Range{0, 10}), v("coupling", coupling, Range{0, 0.999999});
    v("inputs", inputs, Range{1, 65536}), v("hidden", hidden, Range{1, 65536}), v("outputs", outputs, Range{1, 65536});
    v("spectrum_exponent", spectrum_exponent, at_least_zero), v("noise_sd", noise_sd, at_least_zero);
    v("source_seed", source_seed, at_least_zero), v("tasks", tasks), v("task_share", task_share, Range{1e-3, 0.9});
  }
};

/// Training with quantizers in the loop; all bits at 16: full precision. A part of models and of branches.
struct LowPrecision {
  std::string method = "qat";    ///< qat | lsq | bitnet | binary; the last two bring their own bits of weights
  std::string ste = "identity";  ///< its gradient: identity | clipped | llm_qat
  std::int64_t train_weight_bits = 16, train_activation_bits = 16, train_kv_bits = 16;

  template <class V>
  void fields(V& v) {
    v("method", method), v("ste", ste), v("train_weight_bits", train_weight_bits, Range{1, 16});
    v("train_activation_bits", train_activation_bits, Range{1, 16}), v("train_kv_bits", train_kv_bits, Range{1, 16});
  }
};

/// A copy of the trunk that leaves it at some of its checkpoints, trains on by itself and is measured at its end: a
/// cooldown, a fine-tuning on other data, a training at low precision.
struct BranchSpec : LowPrecision {
  std::string name;              ///< `variant` of its rows
  std::vector<std::int64_t> at;  ///< checkpoints (1, 2, …) that it leaves from
  double share = 0.2;            ///< its length over the updates before it
  std::int64_t tokens = 0;       ///< its length in tokens, instead of a share
  std::string decay = "linear";  ///< of the learning rate, from the trunk's down to its final ratio: linear | one_sqrt
  std::string data;              ///< a [[data]] to train on, from its beginning; empty: the trunk's text goes on
  double dpo_beta = 0;           ///< above 0: trained on preferences between answers, see sim/train/preference.hpp
  std::int64_t dpo_token = 101;  ///< that is liked, see sim/data/preference.hpp; 101: the byte e
  std::int64_t line = 0;         ///< of the study file, for messages

  /// Training on other data, or for another aim, than the trunk's.
  bool is_tuning() const { return !data.empty() || dpo_beta > 0; }

  template <class V>
  void fields(V& v) {
    v("dpo_beta", dpo_beta, Range{0, 1000}), v("dpo_token", dpo_token, Range{0, 65535});
    v("name", name), v("at", at, Range{1, 1000}), v("share", share, Range{1e-6, 100});
    v("tokens", tokens, at_least_zero), v("decay", decay), v("data", data);
    LowPrecision::fields(v);
  }
};

/// One architecture with its training length; every model is trained once per seed. A series brings its architecture and
/// its training with it.
struct ModelSpec : LowPrecision {
  std::string name;
  std::string arm = "main";    ///< of the design: conclusions come from main, the other arms are its contrasts
  std::string kind = "llama";  ///< llama | gpt2 | mlp | series: checkpoints of a training elsewhere, see series.hpp
  std::string data;            ///< name of a [[data]]
  std::int64_t layers = 2, width = 64, heads = 4, kv_heads = 0, mlp_width = 192, context = 128;
  std::string rope = "half";             ///< half | interleaved
  std::string head = "untied";           ///< untied | tied
  std::int64_t experts = 0;              ///< llama: MLPs of each layer; 0 = one, without router
  std::int64_t experts_per_token = 1;    ///< 1 = Switch routing (Fedus et al. 2021)
  std::string gates = "probability";     ///< probability | renormalized
  double load_balance = 0.01;            ///< coefficient of the load-balance loss in training
  std::vector<std::int64_t> widths;      ///< mlp: hidden widths
  std::string activation = "gelu_tanh";  ///< mlp: tanh | relu | gelu | gelu_tanh | silu
  std::int64_t tokens = 1000000;         ///< training tokens (mlp: examples), D at the last trunk checkpoint
  std::int64_t first_tokens = 100000;    ///< at the first checkpoint
  std::int64_t checkpoints = 6;          ///< log-spaced from first_tokens to tokens
  double lr = 3e-3;                      ///< peak learning rate
  std::string schedule = "constant";     ///< constant | cosine | linear | one_sqrt | two_stage
  double decay_fraction = 0.2;           ///< linear, one_sqrt: share of the updates at the end
  double decay_share = 1.0;              ///< share of the updates with weight decay, from the first on
  std::string train_format = "fp32";     ///< fp32 | bf16 | fp16: mixed precision, see sim/train/mixed_precision.hpp
  std::string sub_norms = "off";         ///< on: RMSNorms before wo and w_down (BitNet b1.58)
  std::string folders;               ///< series: where its checkpoints lie, with {step} and, of several seeds, {seed}
  std::string table;                 ///< series, instead: CSV with folder, tokens and perhaps step, seed, rate, model
  std::vector<std::int64_t> steps;   ///< series in folders: those to use, all of them needed; empty: what is found
  std::int64_t tokens_per_step = 0;  ///< series: tokens of one of its updates; 0: train.batch × context
  std::string shifted_data;          ///< a [[data]] on whose held-out windows every loss is measured too
  std::int64_t line = 0;             ///< of the study file, for messages

  template <class V>
  void fields(V& v) {
    v("name", name), v("arm", arm), v("kind", kind), v("data", data), v("shifted_data", shifted_data);
    v("layers", layers, Range{1, 1000}), v("width", width, Range{1, 65536}), v("heads", heads, Range{1, 4096});
    v("kv_heads", kv_heads, Range{0, 4096}), v("mlp_width", mlp_width, Range{1, 1 << 20});
    v("context", context, Range{1, 65536}), v("rope", rope), v("head", head), v("widths", widths, Range{1, 65536});
    v("experts", experts, Range{0, 1024}), v("experts_per_token", experts_per_token, Range{1, 1024});
    v("gates", gates), v("load_balance", load_balance, Range{0, 1000});
    v("activation", activation), v("tokens", tokens, at_least_one), v("first_tokens", first_tokens, at_least_one);
    v("checkpoints", checkpoints, Range{1, 1000}), v("lr", lr, Range{1e-300, 999}), v("schedule", schedule);
    v("decay_fraction", decay_fraction, fraction), v("decay_share", decay_share, fraction), v("sub_norms", sub_norms);
    v("train_format", train_format), v("folders", folders), v("table", table), v("steps", steps, at_least_one);
    v("tokens_per_step", tokens_per_step, at_least_one);
    LowPrecision::fields(v);
  }
};

struct TrainSpec {
  std::int64_t batch = 32;  ///< sequences (mlp: examples) per update
  std::int64_t warmup_steps = 50;
  std::string optimizer = "adamw";  ///< adamw | sgd
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1, clip_norm = 1.0, final_lr_ratio = 0.0;
  double sam_rho = 0;  ///< above 0: radius of sharpness-aware minimization (Foret et al. 2021)
  double gradient_penalty =
      0;                   ///< above 0: this times the norm of the gradient is added to the loss (Zhao et al. 2022)
  double ema_decay = 0.0;  ///< above 0: the average is measured too, as variant ema
  std::int64_t lawa_window = 0, lawa_every = 100;  ///< above 0: variant lawa
  std::int64_t chunk_rows = 256;                   ///< tokens per unit of parallel work

  template <class V>
  void fields(V& v) {
    v("batch", batch, Range{1, 1 << 20}), v("warmup_steps", warmup_steps, at_least_zero);
    v("optimizer", optimizer), v("beta1", beta1, Range{0, 0.999999999}), v("beta2", beta2, Range{0, 0.999999999});
    v("eps", eps, Range{1e-30, 1e3}), v("weight_decay", weight_decay, at_least_zero);
    v("clip_norm", clip_norm, at_least_zero), v("final_lr_ratio", final_lr_ratio, fraction);
    v("sam_rho", sam_rho, at_least_zero), v("gradient_penalty", gradient_penalty, at_least_zero);
    v("ema_decay", ema_decay, Range{0, 0.999999999}), v("lawa_window", lawa_window, Range{0, 1000});
    v("lawa_every", lawa_every, at_least_one), v("chunk_rows", chunk_rows, Range{1, 1 << 20});
  }
};

/// The instruments at every checkpoint.
struct MeasureSpec {
  std::int64_t evaluation_windows = 256;  ///< fixed held-out sequences (mlp: examples) for all losses
  std::int64_t curvature_windows = 32;    ///< an even subset of them for all Hessian products
  std::string precision = "float64";      ///< of Hessian products: float32 | float64 (sums are always float64)
  std::string losses = "float32";         ///< of held-out losses, before and after rounding: float32 | float64
  std::int64_t eigenpairs = 8, eigenpairs_smallest = 2;  ///< at the upper and at the lower end
  std::int64_t lanczos_steps = 80;                       ///< columns of the basis before a restart
  std::int64_t block = 1;                                ///< starting vectors; 2 to 4 for multiple eigenvalues
  std::int64_t completeness_steps = 30;                  ///< of the search for missed pairs; 0: none
  double lanczos_tolerance = 1e-10;  ///< of each residual over the norm; never below 10x the rounding of the products
  std::int64_t dense_max = 1000;     ///< up to this many parameters the whole matrix is formed: every eigenvalue exact
  std::int64_t windows = 4;  ///< parts of the curvature windows whose traces show the sampling, 4 or more; 0: none
  std::int64_t slq_probes = 2, slq_steps = 40, trace_probes = 12;
  std::int64_t preconditioned_steps = 24;  ///< Hessian products for the sharpness in Adam's coordinates; 0: none
  std::int64_t exercises = 256;            ///< of each task of the data, at each checkpoint and width
  std::int64_t cache_mib = 2048;           ///< memory for activations kept between Hessian products

  template <class V>
  void fields(V& v) {
    v("evaluation_windows", evaluation_windows, Range{2, 1e9}),
        v("curvature_windows", curvature_windows, Range{1, 1e9});
    v("precision", precision), v("losses", losses), v("eigenpairs", eigenpairs, Range{1, 1000});
    v("eigenpairs_smallest", eigenpairs_smallest, Range{0, 1000}), v("block", block, Range{1, 64});
    v("completeness_steps", completeness_steps, Range{0, 1000}), v("dense_max", dense_max, Range{0, 5000});
    v("windows", windows, Range{0, 64});
    v("lanczos_steps", lanczos_steps, Range{2, 5000}), v("lanczos_tolerance", lanczos_tolerance, Range{1e-14, 0.5});
    v("slq_probes", slq_probes, Range{2, 1000}), v("slq_steps", slq_steps, Range{2, 2000});
    v("trace_probes", trace_probes, Range{2, 10000});
    v("preconditioned_steps", preconditioned_steps, Range{0, 1000}), v("cache_mib", cache_mib, Range{0, 1 << 30});
    v("exercises", exercises, Range{2, 1e6});
  }
};

struct QuantizeSpec {
  std::vector<std::int64_t> bits = {2, 3, 4, 5, 6, 8};  ///< of weights, after training; 16 = not quantized
  std::string grid = "restricted";                      ///< see sim/formats/quantizer.hpp
  std::string granularity = "row";                      ///< of weights: tensor | row | group
  std::string rounding = "nearest_even";                ///< nearest_even | half_away | stochastic
  std::int64_t draws = 1;                               ///< of stochastic rounding at each checkpoint and width
  std::string scale = "real";                           ///< of weights: real | fp16 | fp16_stored | double_quantized
  std::string activation_granularity = "row";           ///< row = per token; tensor = per sequence
  std::string activation_grid = "restricted";
  double activation_clip = 1;    ///< share of the largest |x| that the grid covers; 0.9 in QuaRot
  double outlier_threshold = 0;  ///< columns with any |x| at or above it stay as they are (LLM.int8()); 0 = none
  std::string outlier_absmax = "columns";    ///< columns | elements: what a token's step leaves out then
  std::string activation_range = "dynamic";  ///< of schemes: dynamic | static, one grid per input from calibration
  double activation_percentile = 100;        ///< of static ranges
  std::string kv_grid = "restricted";
  std::int64_t group = 0;
  std::vector<std::int64_t> factorial_w, factorial_a;  ///< bits of the W×A table; 16 = not quantized
  std::vector<std::int64_t> factorial_kv;              ///< bits of keys and values
  std::string factorial = "pairs";   ///< pairs: W×A, and KV alone and with equal W and A; full: all of W×A×KV
  std::string factorial_at = "all";  ///< checkpoints that have it: all | last (of the trunk)
  std::int64_t expert_bits = 0;      ///< above 0: at which each expert of a mixture is rounded alone
  std::vector<std::string> schemes;  ///< compared at the last checkpoint, see experiments/instruments/schemes.hpp
  std::vector<std::int64_t> scheme_bits = {2, 3, 4, 6, 8};
  std::string schemes_at = "last";  ///< of the trunk, with all columns; every: at each checkpoint too, weights alone
  std::int64_t rotations = 1;       ///< random signs of rotate+ that each checkpoint draws; with schemes_at = every
  std::int64_t scheme_activation_bits = 16, scheme_kv_bits = 16;  ///< in force when a scheme is evaluated
  std::int64_t calibration_windows = 64;                          ///< of the training text
  double damping = 0.01;                                          ///< of gptq, a share of the mean of diag H
  double smoothing = 0.5;                                         ///< alpha of smooth+

  /// Rounded copies of the weights at one checkpoint.
  std::int64_t roundings() const { return draws * std::int64_t(bits.size()); }

  template <class V>
  void fields(V& v) {
    const Range bits_range{1, 16};
    v("bits", bits, bits_range), v("grid", grid), v("granularity", granularity);
    v("activation_granularity", activation_granularity), v("group", group, Range{0, 65536});
    v("activation_grid", activation_grid), v("activation_clip", activation_clip, Range{1e-3, 1});
    v("activation_range", activation_range), v("activation_percentile", activation_percentile, Range{50.1, 100});
    v("outlier_threshold", outlier_threshold, at_least_zero), v("kv_grid", kv_grid);
    v("outlier_absmax", outlier_absmax), v("scale", scale);
    v("rounding", rounding), v("draws", draws, Range{1, 1000});
    v("factorial_w", factorial_w, bits_range), v("factorial_a", factorial_a, bits_range);
    v("factorial_kv", factorial_kv, bits_range), v("factorial", factorial), v("factorial_at", factorial_at);
    v("expert_bits", expert_bits, Range{0, 15});
    v("schemes", schemes), v("scheme_bits", scheme_bits, bits_range);
    v("schemes_at", schemes_at), v("rotations", rotations, Range{1, 1000});
    v("scheme_activation_bits", scheme_activation_bits, bits_range), v("scheme_kv_bits", scheme_kv_bits, bits_range);
    v("calibration_windows", calibration_windows, Range{1, 1e9}), v("damping", damping, fraction);
    v("smoothing", smoothing, fraction);
  }
};

struct NoiseSpec {
  std::vector<double> rises = {0.003, 0.03};  ///< energies, as predicted isotropic loss rises in nats
  std::vector<double> equal_rises;            ///< predicted rises in nats that noise in each subspace is scaled to
  std::int64_t draws = 4;                     ///< antithetic pairs
  std::int64_t residual_bits = 4;             ///< whose rounding error is compared with the top directions

  template <class V>
  void fields(V& v) {
    v("rises", rises, positive), v("equal_rises", equal_rises, positive), v("draws", draws, Range{2, 10000});
    v("residual_bits", residual_bits, Range{1, 15});
  }
};

/// Decoding with a quantized cache and with falling precision, at the last checkpoint; without policies and averages
/// nothing is measured.
struct DecodeSpec {
  std::vector<std::string> policies;         ///< of the cache, see experiments/study/decode_policy.hpp
  std::vector<double> average_bits;          ///< of weights read at several widths, over the generated tokens
  std::int64_t length = 0;                   ///< tokens of a window; 0: 8 contexts, 1 with learned positions
  std::int64_t windows = 32;                 ///< held-out windows, of which the prompts are beginnings
  std::vector<std::int64_t> copy_distances;  ///< empty: copy_block, twice that, … as far as they fit
  std::int64_t copy_block = 16, copy_windows = 16;
  std::int64_t prompt = 0, generate = 0;  ///< tokens of the free runs; 0: a half each of a context
  double temperature = 1.0;               ///< of the sampled run beside the greedy one
  std::int64_t stored_bits = 8;           ///< of the nested codes

  bool is_on() const { return !policies.empty() || !average_bits.empty(); }
  template <class V>
  void fields(V& v) {
    v("policies", policies), v("average_bits", average_bits, Range{2, 7}), v("length", length, Range{0, 1 << 20});
    v("windows", windows, Range{2, 1e6}), v("copy_distances", copy_distances, Range{2, 1 << 20});
    v("copy_block", copy_block, Range{2, 65536}), v("copy_windows", copy_windows, Range{2, 1e6});
    v("prompt", prompt, Range{0, 1 << 20}), v("generate", generate, Range{0, 1 << 20});
    v("temperature", temperature, Range{1e-3, 1e3}), v("stored_bits", stored_bits, Range{3, 8});
  }
};

}  // namespace hone::experiments
