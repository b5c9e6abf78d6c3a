// The schema of the run file: every group, variable and attribute that hone writes, once. Writers set these fields, the
// rows of theory/ read them, `hone schema` prints them (SCHEMA.md, and schema.json for Python).
//
// Losses and their differences are mean nats per token on the fixed held-out windows; differences are paired, and
// *_se_nats is the standard error of such a mean over windows.
#pragma once

#include <bit>

#include "sim/record/field.hpp"

namespace hone {
struct RunFile;
}

namespace hone::schema {

/// Names of dimensions that several groups share.
namespace axis {
inline constexpr const char *checkpoint = "checkpoint", *bits = "bits", *step = "step", *rank = "rank",
                            *rank_smallest = "rank_smallest", *window = "window", *block = "block", *probe = "probe",
                            *node = "node", *certificate = "certificate", *item = "item", *cell = "cell",
                            *entry = "entry", *policy = "policy", *octave = "octave", *distance = "distance",
                            *position = "position", *prompt = "prompt", *task = "task", *subspace = "subspace",
                            *amplitude = "amplitude";
}

using std::int64_t;
using Text = std::string;

// The name of a field is that of the member, so that it is written once.
#define HONE_FIELD(type, name, ...) \
  Field<type> name { group, #name, __VA_ARGS__ }
#define HONE_FACT(type, name, ...) \
  Fact<type> name { group, #name, __VA_ARGS__ }

struct Manifest {
  static constexpr const char* group = "manifest";
  static constexpr const char* about =
      "Where the file comes from. Besides these attributes there is `input_sha256.NAME` for each input. The commands "
      "on "
      "one checkpoint write `checkpoint`, `format` and `tokenizer`; a study writes the rest.";
  HONE_FACT(Text, hone_version, "1", "version of the program");
  HONE_FACT(Text, git_id, "1", "its commit; `unknown` outside a checkout");
  HONE_FACT(int64_t, git_dirty, "1", "1 when tracked files differed from that commit");
  HONE_FACT(Text, compiler, "1", "name and version");
  HONE_FACT(Text, flags, "1", "compile options");
  HONE_FACT(Text, march, "1", "-march of all but the inner kernels");
  HONE_FACT(Text, isa, "1", "instruction class that the kernels ran in: `v2`, `v3` or `v4` on x86-64, else `base`");
  HONE_FACT(Text, seed, "1", "decimal text");
  HONE_FACT(int64_t, threads, "1", "that the run used");
  HONE_FACT(Text, cpu_model, "1", "of the machine");
  HONE_FACT(Text, command, "1", "command line");
  HONE_FACT(Text, run_id, "1", "id of the run");
  HONE_FACT(Text, study, "1", "name of the study");
  HONE_FACT(Text, model_name, "1", "name of the model in the study");
  HONE_FACT(Text, architecture, "1", "`transformer` or `mlp`");
  HONE_FACT(int64_t, model_params, "1", "N, quantizable parameters");
  HONE_FACT(int64_t, total_params, "1", "all parameters");
  HONE_FACT(Text, corpus, "1", "names of the corpora, or of the data");
  HONE_FACT(Text, corpus_sha256, "1", "of the trunk's text");
  HONE_FACT(int64_t, data_epochs, "1", "passes over the training data at the last batch; absent for a series");
  HONE_FACT(double, entropy_rate_nats, "nats", "entropy of the source; NaN where it is not known");
  HONE_FACT(Text, outcome, "1", "`complete`, or why the run ended early");
  HONE_FACT(Text, registration_sha256, "1",
            "of the study's registration.json; absent where the study was not registered before the run");
  HONE_FACT(Text, checkpoint, "1", "path of the checkpoint as given");
  HONE_FACT(Text, format, "1", "of the checkpoint");
  HONE_FACT(Text, tokenizer, "1", "kind, size of the vocabulary and hash");
};

struct Options {
  static constexpr const char* group = "options";
  static constexpr const char* about =
      "Every resolved option as `section.field`. The readers of hone look at those listed here, and at `branch1.name`, "
      "`branch1.tokens`, `branch1.data` and so on, which have the meanings of the same fields of `model`.";
  Fact<Text> model_arm{group, "model.arm", "1", "arm of the study that the model belongs to"};
  Fact<Text> model_data{group, "model.data", "1", "what it was trained on"};
  Fact<Text> model_shifted_data{group, "model.shifted_data", "1", "what it was evaluated on besides"};
  Fact<Text> model_schedule{group, "model.schedule", "1", "schedule of the trunk's learning rate"};
  Fact<double> model_lr{group, "model.lr", "1", "peak learning rate"};
  Fact<double> model_tokens{group, "model.tokens", "tokens", "tokens at the end of the trunk"};
  Fact<Text> model_method{group, "model.method", "1",
                          "of training at low precision: `qat`, `lsq`, `bitnet` or `binary`"};
  Fact<double> model_train_weight_bits{group, "model.train_weight_bits", "1", "bits of weights in training; 16 = full"};
  Fact<double> model_train_activation_bits{group, "model.train_activation_bits", "1",
                                           "bits of activations in training; 16 = full"};
  Fact<double> model_train_kv_bits{group, "model.train_kv_bits", "1", "bits of keys and values in training; 16 = full"};
  Fact<Text> model_train_format{group, "model.train_format", "1", "numbers of training: `fp32`, `bf16` or `fp16`"};
  Fact<Text> model_kind{group, "model.kind", "1",
                        "style of the model: `llama`, `gpt2`, `mlp`, or of a series also `gpt_neox`"};
  Fact<double> model_layers{group, "model.layers", "1", "layers of a transformer"};
  Fact<double> model_width{group, "model.width", "1", "channels of the residual stream"};
  Fact<double> model_heads{group, "model.heads", "1", "heads of attention"};
  Fact<double> model_kv_heads{group, "model.kv_heads", "1", "heads of keys and values; 0: as many as heads"};
  Fact<double> model_mlp_width{group, "model.mlp_width", "1", "channels inside an MLP"};
  Fact<double> model_experts{group, "model.experts", "1", "MLPs of each layer; 0: one, without router"};
  Fact<double> model_experts_per_token{group, "model.experts_per_token", "1", "experts that a token reaches"};
  Fact<Text> model_sub_norms{group, "model.sub_norms", "1", "`on` with norms before wo and w_down, else `off`"};
  Fact<double> train_batch{group, "train.batch", "1", "sequences (mlp: examples) per update"};
  Fact<double> train_weight_decay{group, "train.weight_decay", "1", "weight decay"};
  Fact<double> train_sam_rho{group, "train.sam_rho", "1", "radius of sharpness-aware minimization; 0 where off"};
  Fact<double> train_gradient_penalty{group, "train.gradient_penalty", "1",
                                      "factor of the gradient norm in the training loss; 0 where off"};
  Fact<int64_t> train_warmup_steps{group, "train.warmup_steps", "updates", "of the warm-up"};
  Fact<double> train_ema_decay{group, "train.ema_decay", "1", "of the exponential average; 0 where there is none"};
  Fact<int64_t> train_lawa_window{group, "train.lawa_window", "1", "snapshots in the latest-weight average"};
  Fact<int64_t> train_lawa_every{group, "train.lawa_every", "updates", "between its snapshots"};
  Fact<Text> quantize_grid{group, "quantize.grid", "1", "grid of weights quantized after training"};
  Fact<Text> quantize_granularity{group, "quantize.granularity", "1", "weights that share a scale"};
  Fact<Text> quantize_rounding{group, "quantize.rounding", "1", "rounding of weights quantized after training"};
  Fact<double> quantize_expert_bits{group, "quantize.expert_bits", "bits",
                                    "at which experts are rounded one by one; 0: not"};
  Fact<int64_t> quantize_draws{group, "quantize.draws", "1", "draws of stochastic rounding at each width"};
};

struct Series {
  static constexpr const char* group = "series";
  static constexpr const char* about = "The training of the trunk, update by update.";
  HONE_FIELD(int64_t, step, {axis::step}, "updates", "optimizer updates done");
  HONE_FIELD(int64_t, tokens, {axis::step}, "tokens", "training tokens seen");
  HONE_FIELD(double, loss_nats, {axis::step}, "nats", "training loss of the step's batch");
  HONE_FIELD(double, lr, {axis::step}, "1", "learning rate of the step");
  HONE_FIELD(double, grad_norm, {axis::step}, "nats per unit", "2-norm of the gradient before clipping");
};

struct Checkpoints {
  static constexpr const char* group = "checkpoints";
  static constexpr const char* about =
      "The rows of /qat, /ptq, /shift, /curvature, /preconditioned, /factorial and /noise along `checkpoint` are those "
      "of this table, "
      "in "
      "its order. For a model trained at low precision they describe its latent weights, without learned steps.";
  HONE_FIELD(int64_t, step, {axis::checkpoint}, "updates", "optimizer updates done, those of a branch included");
  HONE_FIELD(int64_t, tokens, {axis::checkpoint}, "tokens", "D, training tokens seen (examples for an mlp)");
  HONE_FIELD(Text, variant, {axis::checkpoint}, "1",
             "`trunk`, `ema`, `lawa`, or the name of a branch; with `qat_` before it where the trunk is trained at low "
             "precision");
  HONE_FIELD(Text, kind, {axis::checkpoint}, "1",
             "`trunk`, `average`, `cooldown`, `tuned` (a branch on other data) or `lowered` (a branch trained at low "
             "precision)");
  HONE_FIELD(int64_t, branched_at, {axis::checkpoint}, "tokens",
             "of the trunk where a branch left it; elsewhere equal to tokens");
  HONE_FIELD(double, lr, {axis::checkpoint}, "1", "learning rate of the last update");
  HONE_FIELD(double, loss_nats, {axis::checkpoint}, "nats", "held-out loss, not quantized");
  HONE_FIELD(double, loss_se_nats, {axis::checkpoint}, "nats", "its standard error");
  HONE_FIELD(double, weight_norm2, {axis::checkpoint}, "1", "sum of squared quantizable weights");
  HONE_FIELD(Text, theta_sha256, {axis::checkpoint}, "1", "SHA-256 of the parameters");
};

struct Qat {
  static constexpr const char* group = "qat";
  static constexpr const char* about =
      "Only where the trunk or a branch is trained at low precision. NaN in rows that were trained in full precision.";
  HONE_FIELD(double, loss_nats, {axis::checkpoint}, "nats", "held-out loss at the precision of training");
  HONE_FIELD(double, loss_se_nats, {axis::checkpoint}, "nats", "its standard error");
  HONE_FIELD(double, before_nats, {axis::checkpoint}, "nats",
             "of a branch: the same loss where it left, before it was trained; NaN elsewhere");
};

struct Shift {
  static constexpr const char* group = "shift";
  static constexpr const char* about =
      "Only for models with `shifted_data`: the weights of /checkpoints and /ptq on windows of other data.";
  HONE_FACT(Text, data, "1", "name of the other data in the study");
  HONE_FIELD(int64_t, bits, {axis::bits}, "bits", "as in /ptq");
  HONE_FIELD(double, loss_nats, {axis::checkpoint}, "nats", "loss on the other data, not quantized");
  HONE_FIELD(double, loss_se_nats, {axis::checkpoint}, "nats", "its standard error");
  HONE_FIELD(double, delta_nats, {axis::checkpoint, axis::bits}, "nats",
             "loss on the other data after quantization minus before");
  HONE_FIELD(double, delta_se_nats, {axis::checkpoint, axis::bits}, "nats", "its standard error");
};

struct Ptq {
  static constexpr const char* group = "ptq";
  static constexpr const char* about =
      "Weights quantized after training, at each width of the ladder. With `quantize.rounding` = `stochastic` all but "
      "`mean_step2` and `bits_per_weight` are means over `quantize.draws` draws, standard errors hold the spread "
      "between "
      "draws, and `predicted_nats` is ½ Σ_i (w_i - l_i)(u_i - w_i) H_ii for weights w_i between the levels l_i and "
      "u_i.";
  HONE_FIELD(int64_t, bits, {axis::bits}, "bits", "P, bits of a quantized weight's code");
  HONE_FIELD(double, delta_nats, {axis::checkpoint, axis::bits}, "nats", "loss after quantization minus before");
  HONE_FIELD(double, delta_se_nats, {axis::checkpoint, axis::bits}, "nats", "its standard error");
  HONE_FIELD(double, predicted_nats, {axis::checkpoint, axis::bits}, "nats",
             "(1/24) Σ_c step_c² tr(H_cc) over scale groups c: no free parameter");
  HONE_FIELD(double, predicted_se_nats, {axis::checkpoint, axis::bits}, "nats", "its standard error over probes");
  HONE_FIELD(double, gradient_nats, {axis::checkpoint, axis::bits}, "nats",
             "g'e: gradient on the windows of delta_nats times quantization error");
  HONE_FIELD(double, remainder_se_nats, {axis::checkpoint, axis::bits}, "nats",
             "standard error of delta_nats - gradient_nats over windows, each window less its own first order");
  HONE_FIELD(double, quadratic_nats, {axis::checkpoint, axis::bits}, "nats", "e'He/2 of that error");
  HONE_FIELD(double, mean_step2, {axis::checkpoint, axis::bits}, "1", "mean of step_c² over quantizable weights");
  HONE_FIELD(double, mse, {axis::checkpoint, axis::bits}, "1",
             "mean squared quantization error over quantizable weights");
  HONE_FIELD(double, bits_per_weight, {axis::checkpoint, axis::bits}, "bits",
             "storage with scales, per quantizable weight");
};

struct Curvature {
  static constexpr const char* group = "curvature";
  static constexpr const char* about =
      "H is the Hessian of the mean loss on the curvature windows, restricted to the quantizable parameters. NaN in a "
      "list of eigenvalues: fewer were found than asked for. Kinds of certificate: C0a symmetry of the products; C0b a "
      "product repeated, entries that differ; C0c products against Richardson differences of the gradient; C1a "
      "orthogonality of the basis; C1b the Lanczos recurrence on a random column; C2a recomputed residual over the "
      "norm, "
      "worst pair; C2c how far a cold search sees the spectrum reach beyond the found pairs, over the norm; C3a "
      "quadrature identities of the density; C3b half-sample and half-steps Wasserstein distances over the range; C3c "
      "trace and Frobenius norm by quadrature against moments; C4 two estimators of the trace, in combined standard "
      "errors, against Welch's t at 99.73 %; C5 sd of the trace between windows over its mean, no limit. C6, "
      "provenance, "
      "is /manifest with `theta_sha256`.";
  static constexpr const char* per_unit2 = "nats per squared unit";
  HONE_FACT(Text, windows_sha256, "1", "hash of the examples it was measured on");
  HONE_FIELD(double, lambda, {axis::checkpoint, axis::rank}, per_unit2, "largest eigenvalues, descending");
  HONE_FIELD(double, lambda_residual, {axis::checkpoint, axis::rank}, per_unit2,
             "‖Hy - λy‖₂ of each unit vector y, from a fresh product");
  HONE_FIELD(double, lambda_bound, {axis::checkpoint, axis::rank}, per_unit2,
             "an eigenvalue lies within this distance of λ");
  HONE_FIELD(double, lambda_smallest, {axis::checkpoint, axis::rank_smallest}, per_unit2,
             "smallest eigenvalues, descending");
  HONE_FIELD(double, lambda_smallest_residual, {axis::checkpoint, axis::rank_smallest}, per_unit2,
             "as lambda_residual");
  HONE_FIELD(double, lambda_smallest_bound, {axis::checkpoint, axis::rank_smallest}, per_unit2, "as lambda_bound");
  HONE_FIELD(double, ritz_min, {axis::checkpoint}, per_unit2, "smallest Ritz value");
  HONE_FIELD(double, trace, {axis::checkpoint}, per_unit2,
             "tr H by deflated Hutchinson probes, or exactly where the matrix was formed");
  HONE_FIELD(double, trace_se, {axis::checkpoint}, per_unit2, "its standard error over probes; 0 where exact");
  HONE_FIELD(int64_t, trace_probes, {axis::checkpoint}, "probes",
             "samples behind trace_se, block_trace_se and predicted_se_nats: an interval takes the t quantile of one "
             "degree fewer; 1 where exact");
  HONE_FIELD(double, second_trace, {axis::checkpoint}, per_unit2,
             "tr H by an independent estimator (the probes of the density)");
  HONE_FIELD(double, second_trace_se, {axis::checkpoint}, per_unit2, "its standard error");
  HONE_FIELD(int64_t, second_trace_probes, {axis::checkpoint}, "probes",
             "samples behind second_trace_se and frobenius2_se; 1 where exact");
  HONE_FIELD(double, frobenius2, {axis::checkpoint}, "squared nats per unit^4", "‖H‖_F²");
  HONE_FIELD(double, frobenius2_se, {axis::checkpoint}, "squared nats per unit^4", "its standard error");
  HONE_FIELD(double, window_trace, {axis::checkpoint, axis::window}, per_unit2,
             "tr H on each part of the windows; NaN when there are too few windows");
  HONE_FIELD(double, window_trace_se, {axis::checkpoint, axis::window}, per_unit2, "its standard error over probes");
  HONE_FIELD(Text, block, {axis::block}, "1", "name of a quantizable matrix");
  HONE_FIELD(double, block_trace, {axis::checkpoint, axis::block}, "nats",
             "estimate of the trace of the block's diagonal part of H");
  HONE_FIELD(double, block_trace_se, {axis::checkpoint, axis::block}, "nats", "its standard error over probes");
  HONE_FIELD(double, slq_node, {axis::checkpoint, axis::probe, axis::node}, per_unit2,
             "nodes of stochastic Lanczos quadrature off the atoms; all eigenvalues (one probe) where the matrix was "
             "formed");
  HONE_FIELD(double, slq_weight, {axis::checkpoint, axis::probe, axis::node}, "1",
             "their masses: with the atoms they sum to 1 in each probe");
  HONE_FIELD(int64_t, atoms, {axis::checkpoint}, "1",
             "how many of lambda and lambda_smallest stand beside the nodes as atoms of mass 1/dimension");
  HONE_FIELD(int64_t, dimension, {axis::checkpoint}, "1", "rows of H: the quantizable parameters");
  HONE_FIELD(double, orthogonality, {axis::checkpoint}, "1", "max abs(V'V - I) of the Krylov basis");
  HONE_FIELD(int64_t, lanczos_steps, {axis::checkpoint}, "products", "products that grew the Krylov space");
  HONE_FIELD(int64_t, lanczos_products, {axis::checkpoint}, "products",
             "all products for the eigenpairs, certificates included");
  HONE_FIELD(int64_t, lanczos_stop, {axis::checkpoint}, "1",
             "0 converged, 1 products exhausted, 2 whole space, 3 incomplete, 4 product not finite");
  HONE_FIELD(double, noise_floor, {axis::checkpoint}, "1",
             "‖H₃₂v - H₆₄v‖/‖H₆₄v‖ of float32 products on one vector; 0 in float64");
  HONE_FIELD(Text, certificate, {axis::certificate}, "1", "kinds of certificate");
  HONE_FIELD(double, certificate_value, {axis::checkpoint, axis::certificate}, "1",
             "the worst value of each kind; NaN where it was not measured");
  HONE_FIELD(double, certificate_limit, {axis::checkpoint, axis::certificate}, "1",
             "limit of that value; infinite where there is none");
  HONE_FIELD(double, certificate_passed, {axis::checkpoint, axis::certificate}, "1",
             "1 passed, 0 failed, NaN not measured");
  HONE_FIELD(int64_t, certificates_failed, {axis::checkpoint}, "1", "kinds that failed");
  HONE_FIELD(double, loss_nats, {axis::checkpoint}, "nats", "loss on the windows of the Hessian");
  HONE_FIELD(double, gradient_norm, {axis::checkpoint}, "nats per unit",
             "2-norm of the gradient on the quantizable block");
};

struct Preconditioned {
  static constexpr const char* group = "preconditioned";
  static constexpr const char* about =
      "Sharpness in the coordinates of Adam: P^-½ H P^-½ with the preconditioner P of the optimizer's state (Cohen et "
      "al. "
      "2022). NaN where no state belongs to the parameters, as for averages.";
  HONE_FIELD(double, lambda_max, {axis::checkpoint}, "1 per learning rate", "largest eigenvalue");
  HONE_FIELD(double, lambda_max_bound, {axis::checkpoint}, "1 per learning rate",
             "an eigenvalue lies within this distance");
  HONE_FIELD(double, stability_threshold, {axis::checkpoint}, "1 per learning rate",
             "(2 + 2 beta1)/((1 - beta1) lr): above it Adam's step is unstable on a quadratic; "
             "infinite at a rate of 0");
};

struct Certificates {
  static constexpr const char* group = "certificates";
  static constexpr const char* about =
      "Written by `hone measure`: every certificate, of which /curvature holds the worst of each kind.";
  HONE_FIELD(Text, id, {axis::item}, "1", "kind");
  HONE_FIELD(Text, claim, {axis::item}, "1", "what the value measures");
  HONE_FIELD(double, value, {axis::item}, "1", "measured error");
  HONE_FIELD(double, limit, {axis::item}, "1", "that it may not exceed");
  HONE_FIELD(int64_t, passed, {axis::item}, "1", "1 or 0");
};

struct Factorial {
  static constexpr const char* group = "factorial";
  static constexpr const char* about =
      "Weights, activations, and keys with values quantized together. Rows of checkpoints that were not measured "
      "(`quantize.factorial_at`) hold NaN.";
  HONE_FIELD(int64_t, w_bits, {axis::cell}, "bits", "bits of weights; 16 = not quantized");
  HONE_FIELD(int64_t, a_bits, {axis::cell}, "bits", "bits of the inputs of the linears; 16 = not quantized");
  HONE_FIELD(int64_t, kv_bits, {axis::cell}, "bits", "bits of keys and values; 16 = not quantized");
  HONE_FIELD(double, delta_nats, {axis::checkpoint, axis::cell}, "nats",
             "loss of the cell minus loss without quantization");
  HONE_FIELD(double, delta_se_nats, {axis::checkpoint, axis::cell}, "nats", "its standard error");
};

struct Schemes {
  static constexpr const char* group = "schemes";
  static constexpr const char* about =
      "Schemes of quantization side by side (`[quantize] schemes` of a study, at the end of its trunk; `hone "
      "quantize`). "
      "One entry per scheme and width.";
  HONE_FACT(int64_t, calibration_tokens, "tokens", "that methods were calibrated on");
  HONE_FACT(int64_t, activation_bits, "bits", "in force for every entry");
  HONE_FACT(int64_t, kv_bits, "bits", "in force for every entry");
  HONE_FACT(Text, calibration_warning, "1",
            "present where a method solved with a Gram matrix of fewer than 10 tokens per input");
  HONE_FIELD(Text, scheme, {axis::entry}, "1", "COORDINATES+RULE, as in experiments/study/scheme.hpp");
  HONE_FIELD(int64_t, bits, {axis::entry}, "bits", "width of the ladder; 0 for a format, whose width is its own");
  HONE_FIELD(double, bits_per_weight, {axis::entry}, "bits",
             "storage per quantized weight, scales and codebooks included");
  HONE_FIELD(double, delta_nats, {axis::entry}, "nats", "loss minus full precision on the same windows");
  HONE_FIELD(double, delta_se_nats, {axis::entry}, "nats", "its standard error");
  HONE_FIELD(double, kl_nats, {axis::entry}, "nats", "KL(full precision ‖ quantized) per token");
  HONE_FIELD(double, kl_se_nats, {axis::entry}, "nats", "its standard error");
  HONE_FIELD(double, top1_agreement, {axis::entry}, "1", "share of tokens with the same argmax");
  HONE_FIELD(double, top1_agreement_se, {axis::entry}, "1", "its standard error");
  HONE_FIELD(double, gradient_nats, {axis::entry}, "nats", "g'e of the weights' error, in the scheme's coordinates");
  HONE_FIELD(double, quadratic_nats, {axis::entry}, "nats", "e'He/2 of that error");
  HONE_FIELD(double, allocation_nats, {axis::entry}, "nats", "the sum that a mixed rule minimized; NaN for the others");
  HONE_FIELD(double, fallback_blocks, {axis::entry}, "1",
             "matrices that gptq rounded to nearest because their Gram matrix was not usable");
  HONE_FIELD(double, reference_delta_nats, {axis::entry}, "nats",
             "what the scheme's coordinates change without rounding: loss");
  HONE_FIELD(double, reference_kl_nats, {axis::entry}, "nats", "the same: KL");
};

struct SchemeBlocks {
  static constexpr const char* group = "scheme_blocks";
  static constexpr const char* about = "The entries of /schemes, matrix by matrix.";
  HONE_FIELD(Text, block, {axis::block}, "1", "name of a matrix");
  HONE_FIELD(double, sqnr_db, {axis::entry, axis::block}, "dB", "signal to quantization noise of the weights");
  HONE_FIELD(double, mse, {axis::entry, axis::block}, "1", "mean squared error of the weights");
  HONE_FIELD(double, clip_fraction, {axis::entry, axis::block}, "1", "share of weights outside the grid");
  HONE_FIELD(double, calibration_rows, {axis::entry, axis::block}, "tokens",
             "in the Gram matrix that the method solved with; NaN when it solves with none");
  HONE_FIELD(double, block_bits_per_weight, {axis::entry, axis::block}, "bits",
             "storage per weight; NaN where rows have several widths");
};

struct SchemesAlong {
  static constexpr const char* group = "schemes_along";
  static constexpr const char* about =
      "The schemes of /schemes at every checkpoint (`quantize.schemes_at = \"every\"`): weights alone, in means over "
      "draws. Schemes that draw are those with a rotation, whose signs differ, and those of stochastic rounding.";
  HONE_FIELD(Text, scheme, {axis::entry}, "1", "COORDINATES+RULE, as in experiments/study/scheme.hpp");
  HONE_FIELD(int64_t, bits, {axis::entry}, "bits", "width of the ladder; 0 for a format, whose width is its own");
  HONE_FIELD(int64_t, draws, {axis::entry}, "1", "roundings behind every number; 1 where nothing is drawn");
  HONE_FIELD(double, bits_per_weight, {axis::checkpoint, axis::entry}, "bits",
             "storage per quantized weight, scales and codebooks included");
  HONE_FIELD(double, delta_nats, {axis::checkpoint, axis::entry}, "nats",
             "loss minus full precision in the same coordinates and on the same windows");
  HONE_FIELD(double, delta_se_nats, {axis::checkpoint, axis::entry}, "nats",
             "its standard error over windows and draws");
  HONE_FIELD(double, remainder_se_nats, {axis::checkpoint, axis::entry}, "nats",
             "standard error of delta_nats - gradient_nats: the window noise of both cancels");
  HONE_FIELD(double, gradient_nats, {axis::checkpoint, axis::entry}, "nats",
             "g'e of the weights' error e, in the scheme's coordinates, on the windows of the damage");
  HONE_FIELD(double, quadratic_nats, {axis::checkpoint, axis::entry}, "nats",
             "e'He/2, H on windows among those of the damage; over draws, tr(HΣ)/2 of the errors' covariance Σ");
  HONE_FIELD(double, quadratic_other_nats, {axis::checkpoint, axis::entry}, "nats",
             "the same with H on windows of the training text, neither those of the damage nor those of calibration");
};

struct Decode {
  static constexpr const char* group = "decode";
  static constexpr const char* about =
      "Cache policies at the end of the trunk against the cache in full precision, teacher-forced on the same held-out "
      "windows. Octave i holds the positions [first, last).";
  HONE_FACT(int64_t, length, "tokens", "of a window, here and in the next three groups");
  HONE_FIELD(Text, policy, {axis::policy}, "1",
             "quantization of keys and values, see experiments/study/decode_policy.hpp");
  HONE_FIELD(double, key_bits, {axis::policy}, "bits",
             "storage per cached number of a key with its steps, at the full length");
  HONE_FIELD(double, value_bits, {axis::policy}, "bits", "the same of a value");
  HONE_FIELD(int64_t, first, {axis::octave}, "tokens", "first position of an octave");
  HONE_FIELD(int64_t, last, {axis::octave}, "tokens", "position after its last");
  HONE_FIELD(double, contexts, {axis::octave}, "1", "`last` over the tokens of a training window");
  HONE_FIELD(double, loss_nats, {axis::octave}, "nats", "loss in full precision");
  HONE_FIELD(double, loss_se_nats, {axis::octave}, "nats", "its standard error over windows");
  HONE_FIELD(double, delta_nats, {axis::policy, axis::octave}, "nats", "loss minus full precision, same tokens");
  HONE_FIELD(double, delta_se_nats, {axis::policy, axis::octave}, "nats", "its standard error");
  HONE_FIELD(double, mean_delta_nats, {axis::policy}, "nats", "the same over all positions");
  HONE_FIELD(double, mean_delta_se_nats, {axis::policy}, "nats", "its standard error");
};

struct DecodeCopy {
  static constexpr const char* group = "decode_copy";
  static constexpr const char* about = "A block of random tokens repeated at a known distance.";
  HONE_FACT(int64_t, length, "tokens", "as in /decode");
  HONE_FACT(int64_t, block, "tokens", "of the block, the first of which is not scored");
  HONE_FACT(int64_t, windows, "1", "copies per distance");
  HONE_FIELD(Text, policy, {axis::policy}, "1", "as in /decode");
  HONE_FIELD(int64_t, distance, {axis::distance}, "tokens", "from a token to its repetition");
  HONE_FIELD(double, first_loss_nats, {axis::distance}, "nats",
             "loss of the first occurrence in full precision: chance");
  HONE_FIELD(double, loss_nats, {axis::distance}, "nats", "loss of the repetition in full precision");
  HONE_FIELD(double, accuracy, {axis::distance}, "1", "share of the repetition whose argmax is right, full precision");
  HONE_FIELD(double, accuracy_se, {axis::distance}, "1", "its standard error");
  HONE_FIELD(double, delta_nats, {axis::policy, axis::distance}, "nats", "loss of the repetition minus full precision");
  HONE_FIELD(double, delta_se_nats, {axis::policy, axis::distance}, "nats", "its standard error");
  HONE_FIELD(double, accuracy_delta, {axis::policy, axis::distance}, "1", "accuracy minus full precision");
  HONE_FIELD(double, accuracy_delta_se, {axis::policy, axis::distance}, "1", "its standard error");
};

struct DecodeFree {
  static constexpr const char* group = "decode_free";
  static constexpr const char* about =
      "Free runs from the beginnings of the windows, greedy and sampled; both variants take the same draws.";
  HONE_FACT(int64_t, length, "tokens", "as in /decode");
  HONE_FACT(int64_t, prompt_tokens, "tokens", "of the prompt");
  HONE_FACT(double, temperature, "1", "of the samples");
  HONE_FIELD(Text, policy, {axis::policy}, "1", "as in /decode");
  HONE_FIELD(
      double, key_bits, {axis::policy}, "bits",
      "storage per cached number of a key with its steps, when the last token is chosen: prompt and all generated "
      "tokens but that one");
  HONE_FIELD(double, value_bits, {axis::policy}, "bits", "the same of a value");
  HONE_FIELD(double, greedy_agreement, {axis::policy, axis::position}, "1",
             "share of prompts with the token of full precision");
  HONE_FIELD(double, greedy_agreement_se, {axis::policy, axis::position}, "1", "its standard error");
  HONE_FIELD(double, greedy_kl_nats, {axis::policy, axis::position}, "nats",
             "KL(full precision ‖ policy) of the next token, both fed the tokens of full precision");
  HONE_FIELD(double, greedy_kl_se_nats, {axis::policy, axis::position}, "nats", "its standard error");
  HONE_FIELD(double, greedy_first_difference, {axis::policy, axis::prompt}, "tokens",
             "generated tokens before the first that differs; all of them when none does");
  HONE_FIELD(double, sampled_agreement, {axis::policy, axis::position}, "1", "as greedy_agreement");
  HONE_FIELD(double, sampled_agreement_se, {axis::policy, axis::position}, "1", "its standard error");
  HONE_FIELD(double, sampled_kl_nats, {axis::policy, axis::position}, "nats", "as greedy_kl_nats");
  HONE_FIELD(double, sampled_kl_se_nats, {axis::policy, axis::position}, "nats", "its standard error");
  HONE_FIELD(double, sampled_first_difference, {axis::policy, axis::prompt}, "tokens", "as greedy_first_difference");
};

struct DecodeSchedules {
  static constexpr const char* group = "decode_schedules";
  static constexpr const char* about =
      "Weights stored once as nested codes and read at several widths, teacher-forced after a prompt at the stored "
      "width. "
      "Octaves count from the first generated token.";
  HONE_FACT(int64_t, length, "tokens", "as in /decode");
  HONE_FACT(int64_t, prompt_tokens, "tokens", "of the prompt");
  HONE_FACT(int64_t, stored_bits, "bits", "of the stored codes");
  HONE_FIELD(Text, schedule, {axis::entry}, "1",
             "`stored`, `uniform`, `step_down`, `reversed`, `linear` or `surprise`");
  HONE_FIELD(double, average_bits, {axis::entry}, "bits", "mean width over the generated tokens");
  HONE_FIELD(int64_t, first_bits, {axis::entry}, "bits",
             "width of the first generated token; 0 where it differs between windows");
  HONE_FIELD(int64_t, last_bits, {axis::entry}, "bits", "the same of the last");
  HONE_FIELD(int64_t, first, {axis::octave}, "tokens", "as in /decode");
  HONE_FIELD(int64_t, last, {axis::octave}, "tokens", "as in /decode");
  HONE_FIELD(double, loss_nats, {axis::octave}, "nats", "as in /decode");
  HONE_FIELD(double, loss_se_nats, {axis::octave}, "nats", "as in /decode");
  HONE_FIELD(double, delta_nats, {axis::entry, axis::octave}, "nats", "loss minus the model as trained");
  HONE_FIELD(double, delta_se_nats, {axis::entry, axis::octave}, "nats", "its standard error");
  HONE_FIELD(double, mean_delta_nats, {axis::entry}, "nats", "the same over all generated tokens");
  HONE_FIELD(double, mean_delta_se_nats, {axis::entry}, "nats", "its standard error");
  HONE_FIELD(double, to_uniform_nats, {axis::entry}, "nats", "loss minus that of `uniform` with the same average");
  HONE_FIELD(double, to_uniform_se_nats, {axis::entry}, "nats", "its standard error");
};

struct Noise {
  static constexpr const char* group = "noise";
  static constexpr const char* about =
      "Noise of given energy in chosen subspaces, on the windows of the Hessian: only the order of the expansion is "
      "tested. The shares are those of a real rounding error e (option `noise.residual_bits`) in the span U of the top "
      "eigenvectors.";
  HONE_FIELD(Text, subspace, {axis::subspace}, "1", "`top`, `random`, `complement` or `isotropic`");
  HONE_FIELD(double, energy, {axis::checkpoint, axis::amplitude}, "1", "squared 2-norm of the noise vector");
  HONE_FIELD(double, delta_nats, {axis::checkpoint, axis::subspace, axis::amplitude}, "nats",
             "loss with noise minus without, over antithetic pairs");
  HONE_FIELD(double, delta_se_nats, {axis::checkpoint, axis::subspace, axis::amplitude}, "nats",
             "its standard error over draws and windows");
  HONE_FIELD(double, predicted_nats, {axis::checkpoint, axis::subspace, axis::amplitude}, "nats",
             "second-order prediction of delta_nats: energy tr(PH)/(2 dim)");
  HONE_FIELD(double, residual_share, {axis::checkpoint}, "1", "norm share ‖U'e‖/‖e‖");
  HONE_FIELD(double, null_share, {axis::checkpoint}, "1",
             "root mean square share of a random direction: √(k/n) for k top directions of n");
  HONE_FIELD(double, curvature_share, {axis::checkpoint}, "1", "share of e'He/2 in U");
  HONE_FIELD(double, curvature_null_share, {axis::checkpoint}, "1", "that share of a random error: Σλ/tr H");
};

struct Injection {
  static constexpr const char* group = "injection";
  static constexpr const char* about =
      "Noise of equal predicted rise (option `noise.equal_rises`), on the windows of the Hessian: every direction is "
      "as "
      "long as its own curvature u'Hu asks for.";
  HONE_FIELD(
      Text, subspace, {axis::subspace}, "1",
      "`top`: first half of the largest eigenvectors, `next`: the other half, `random`: as many random "
      "directions, `complement`: orthogonal to all of them, `negative`: eigenvectors whose eigenvalue is below 0");
  HONE_FIELD(double, rise_nats, {axis::amplitude}, "nats", "absolute second-order rise of every draw");
  HONE_FIELD(double, curvature, {axis::checkpoint, axis::subspace}, "nats per squared unit",
             "mean of u'Hu over the draws; NaN where the spectrum has no such direction");
  HONE_FIELD(double, energy, {axis::checkpoint, axis::subspace, axis::amplitude}, "1",
             "mean squared 2-norm of the noise vectors");
  HONE_FIELD(double, predicted_nats, {axis::checkpoint, axis::subspace, axis::amplitude}, "nats",
             "mean of ε'Hε/2: the rise with the sign of the curvature");
  HONE_FIELD(double, delta_nats, {axis::checkpoint, axis::subspace, axis::amplitude}, "nats",
             "loss with noise minus without, over antithetic pairs");
  HONE_FIELD(double, delta_se_nats, {axis::checkpoint, axis::subspace, axis::amplitude}, "nats",
             "its standard error over draws and windows");
};

struct Experts {
  static constexpr const char* group = "experts";
  static constexpr const char* about =
      "Of models with experts (option `quantize.expert_bits`): the weights of one expert rounded after training, all "
      "others as they are. One entry per expert of each layer.";
  HONE_FIELD(int64_t, bits, {axis::entry}, "bits", "P of the rounded weights");
  HONE_FIELD(int64_t, layer, {axis::entry}, "1", "layer of the expert, from 0");
  HONE_FIELD(int64_t, expert, {axis::entry}, "1", "its number in the layer, from 0");
  HONE_FIELD(double, load, {axis::checkpoint, axis::entry}, "1",
             "held-out tokens that reach it over their mean in the layer: 1 where the router is balanced");
  HONE_FIELD(double, delta_nats, {axis::checkpoint, axis::entry}, "nats", "loss with this expert rounded minus before");
  HONE_FIELD(double, delta_se_nats, {axis::checkpoint, axis::entry}, "nats", "its standard error");
};

struct Tasks {
  static constexpr const char* group = "tasks";
  static constexpr const char* about =
      "Only for data with `tasks`: fresh exercises of each task that is mixed into the text. An answer is right where "
      "the "
      "model, fed the exercise and the right beginning of the answer, finds every character of it likeliest: just "
      "where "
      "greedy decoding would write it.";
  HONE_FIELD(Text, task, {axis::task}, "1", "`copy`, `addition` or `brackets`");
  HONE_FIELD(int64_t, bits, {axis::bits}, "bits", "as in /ptq");
  HONE_FIELD(double, accuracy, {axis::checkpoint, axis::task}, "1", "share of right answers, not quantized");
  HONE_FIELD(double, accuracy_se, {axis::checkpoint, axis::task}, "1", "its standard error over exercises");
  HONE_FIELD(double, loss_nats, {axis::checkpoint, axis::task}, "nats",
             "loss of a character of the answers, not quantized");
  HONE_FIELD(double, loss_se_nats, {axis::checkpoint, axis::task}, "nats", "its standard error");
  HONE_FIELD(double, delta_nats, {axis::checkpoint, axis::task, axis::bits}, "nats",
             "that loss after quantization minus before");
  HONE_FIELD(double, delta_se_nats, {axis::checkpoint, axis::task, axis::bits}, "nats", "its standard error");
  HONE_FIELD(double, accuracy_delta, {axis::checkpoint, axis::task, axis::bits}, "1",
             "accuracy after quantization minus before");
  HONE_FIELD(double, accuracy_delta_se, {axis::checkpoint, axis::task, axis::bits}, "1", "its standard error");
};

#undef HONE_FIELD
#undef HONE_FACT

inline constexpr Manifest manifest;
inline constexpr Options options;
inline constexpr Series series;
inline constexpr Checkpoints checkpoints;
inline constexpr Qat qat;
inline constexpr Shift shift;
inline constexpr Ptq ptq;
inline constexpr Curvature curvature;
inline constexpr Preconditioned preconditioned;
inline constexpr Certificates certificates;
inline constexpr Factorial factorial;
inline constexpr Schemes schemes;
inline constexpr SchemeBlocks scheme_blocks;
inline constexpr SchemesAlong schemes_along;
inline constexpr Decode decode;
inline constexpr DecodeCopy decode_copy;
inline constexpr DecodeFree decode_free;
inline constexpr DecodeSchedules decode_schedules;
inline constexpr Noise noise;
inline constexpr Injection injection;
inline constexpr Experts experts;
inline constexpr Tasks tasks;

/// The fields of a group as a list, in the order of their members.
template <class Group>
std::vector<FieldFacts> fields_of(const Group& group) {
  const auto all = std::bit_cast<std::array<FieldFacts, sizeof(Group) / sizeof(FieldFacts)>>(group);
  return {all.begin(), all.end()};
}

struct GroupFacts {
  const char* name;
  const char* about;
  std::vector<FieldFacts> fields;
};

/// Every group, in the order of SCHEMA.md.
std::vector<GroupFacts> all_groups();

/// Refuses a file whose variables this hone would not write: of another unit, type, meaning or other dims.
/// errors  FormatError naming the file, the group, the variable and what differs
void expect_written_by_this_version(const RunFile& file);

/// The groups as the tables of SCHEMA.md.
std::string as_markdown();

}  // namespace hone::schema
