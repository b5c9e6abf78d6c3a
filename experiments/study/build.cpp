#include "experiments/study/build.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "experiments/study/series.hpp"
#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"

namespace hone::experiments {
namespace {

/// Position of `name` among the known names.
template <size_t n>
size_t choose(const char* field, const std::string& name, const std::array<const char*, n>& known) {
  for (size_t i = 0; i < n; ++i)
    if (name == known[i]) return i;
  throw OptionError(fmt::format("{} = \"{}\" is unknown; did you mean \"{}\"? (known: {})", field, name,
                                nearest_name(name, known), fmt::join(known, ", ")));
}

Rounding rounding_from_name(const std::string& name) {
  const std::array all = {Rounding::nearest_even, Rounding::half_away, Rounding::stochastic};
  std::array<const char*, all.size()> known;
  for (size_t i = 0; i < all.size(); ++i) known[i] = name_of(all[i]).data();
  return all[choose("quantize.rounding", name, known)];
}

}  // namespace

TransformerOptions transformer_options(const ModelSpec& m, Index vocabulary) {
  const size_t kind = choose<4>("kind", m.kind, {"llama", "gpt2", "mlp", "series"});
  TransformerOptions o;
  o.vocabulary = vocabulary;
  o.positions = m.context;
  o.layers = m.layers;
  o.width = m.width;
  o.heads = m.heads;
  o.kv_heads = m.kv_heads > 0 ? m.kv_heads : m.heads;
  o.mlp_width = m.mlp_width;
  o.position =
      choose<2>("rope", m.rope, {"half", "interleaved"}) == 0 ? Positions::rope_half : Positions::rope_interleaved;
  o.head = choose<2>("head", m.head, {"untied", "tied"}) == 0 ? Head::untied : Head::tied;
  o.experts = m.experts;
  o.experts_per_token = m.experts_per_token;
  o.gates =
      choose<2>("gates", m.gates, {"probability", "renormalized"}) == 0 ? Gates::probability : Gates::renormalized;
  o.load_balance = m.load_balance;
  o.sub_norms = choose<2>("sub_norms", m.sub_norms, {"off", "on"}) == 1;
  return kind == 1 ? gpt2_style(o) : o;
}

TransformerOptions architecture_of(const RunSpec& run, Index vocabulary) {
  return is_series(run.model) ? series_of(run).options : transformer_options(run.model, vocabulary);
}

MlpOptions mlp_options(const ModelSpec& m, Index inputs, Index outputs, bool has_labels) {
  MlpOptions o;
  o.widths.push_back(inputs);
  o.widths.insert(o.widths.end(), m.widths.begin(), m.widths.end());
  o.widths.push_back(outputs);
  o.activation =
      static_cast<Activation>(choose<5>("activation", m.activation, {"tanh", "relu", "gelu", "gelu_tanh", "silu"}));
  o.loss = has_labels ? MlpLoss::softmax_xent : MlpLoss::squared_error;
  return o;
}

std::int64_t tokens_per_step(const RunSpec& run) {
  return run.train.batch * (run.model.kind == "mlp" ? 1 : run.model.context);
}

std::int64_t tokens_after(const RunSpec& run, std::int64_t step) {
  if (!is_series(run.model)) return step * tokens_per_step(run);
  std::int64_t tokens = 0;
  for (const SeriesCheckpoint& c : series_of(run).checkpoints)
    if (c.step <= step) tokens = c.tokens;
  return tokens;
}

std::int64_t trunk_tokens(const RunSpec& run) {
  return is_series(run.model) ? series_of(run).checkpoints.back().tokens : run.model.tokens;
}

std::vector<std::int64_t> checkpoint_steps(const RunSpec& run) {
  if (is_series(run.model)) {
    std::vector<std::int64_t> steps;
    for (const SeriesCheckpoint& c : series_of(run).checkpoints) steps.push_back(c.step);
    return steps;
  }
  const double per_step = double(tokens_per_step(run));
  const auto steps_for = [&](std::int64_t tokens) { return std::int64_t(std::llround(double(tokens) / per_step)); };
  const std::int64_t last = steps_for(run.model.tokens);
  if (run.model.tokens < tokens_per_step(run))
    throw OptionError(fmt::format("tokens = {} is less than one batch of {}; train longer or with a smaller batch",
                                  run.model.tokens, per_step));
  if (run.model.first_tokens > run.model.tokens)
    throw OptionError(
        fmt::format("first_tokens = {} above tokens = {}; make it smaller", run.model.first_tokens, run.model.tokens));
  return log_spaced_steps(std::max<std::int64_t>(1, steps_for(run.model.first_tokens)), last,
                          int(run.model.checkpoints));
}

TrainOptions train_options(const RunSpec& run, int threads) {
  TrainOptions o;
  o.seed = std::uint64_t(run.seed);
  o.optimizer.kind =
      choose<2>("optimizer", run.train.optimizer, {"adamw", "sgd"}) == 0 ? OptimizerKind::adamw : OptimizerKind::sgd;
  o.optimizer.beta1 = run.train.beta1;
  o.optimizer.beta2 = run.train.beta2;
  o.optimizer.eps = run.train.eps;
  o.optimizer.weight_decay = run.train.weight_decay;
  o.optimizer.clip_norm = run.train.clip_norm;
  o.format = number_format_from_name(run.model.train_format);
  o.sharpness = {run.train.sam_rho, run.train.gradient_penalty};
  o.schedule.peak = run.model.lr;
  o.schedule.warmup_steps = run.train.warmup_steps;
  o.schedule.horizon_steps = checkpoint_steps(run).back();
  o.schedule.decay = decay_from_name(run.model.schedule);
  if (run.model.decay_share == 0) o.optimizer.weight_decay = 0;
  if (run.model.decay_share < 1)
    o.optimizer.decay_updates =
        std::max<std::int64_t>(1, std::llround(run.model.decay_share * double(o.schedule.horizon_steps)));
  o.schedule.cooldown_steps = std::llround(run.model.decay_fraction * double(o.schedule.horizon_steps));
  o.schedule.final_ratio = run.train.final_lr_ratio;
  o.chunks = {run.train.chunk_rows, threads};
  o.ema_decay = run.train.ema_decay;
  o.lawa_window = int(run.train.lawa_window);
  o.lawa_every = run.train.lawa_every;
  return o;
}

Quantizer weight_quantizer(const QuantizeSpec& spec, int bits) {
  Quantizer q;
  q.bits = bits;
  q.grid = grid_from_name(spec.grid);
  q.granularity = granularity_from_name(spec.granularity);
  q.group = spec.group;
  q.scale = scale_kind_from_name(spec.scale);
  q.rounding = rounding_from_name(spec.rounding);
  return q;
}

void check_draws(const QuantizeSpec& spec) {
  const bool draws = rounding_from_name(spec.rounding) == Rounding::stochastic;
  if (draws && spec.draws < fewest_samples)
    throw OptionError(fmt::format("quantize.draws = {} with quantize.rounding = {}; a spread takes {} draws or more",
                                  spec.draws, spec.rounding, fewest_samples));
  if (!draws && spec.draws != 1)
    throw OptionError(
        fmt::format("quantize.draws = {} with quantize.rounding = {}, whose draws would all be the same; set "
                    "rounding to stochastic, or draws to 1",
                    spec.draws, spec.rounding));
}

Quantizer weight_draw(const QuantizeSpec& spec, int bits, const RoundingDraw& draw) {
  Quantizer q = weight_quantizer(spec, bits);
  const auto key = hone::bits({draw.seed, Domain::rounding, std::uint32_t(draw.number)},
                              std::uint64_t(draw.step) << 8 | std::uint64_t(bits));
  q.seed = std::uint64_t(key[0]) << 32 | key[1];
  return q;
}

namespace {

/// `find(name)`, whose message names `kind`; a field that holds a value of the kind goes by its own name.
template <class Find>
auto named(const std::string& name, const std::string& field, std::string_view kind, Find&& find) {
  try {
    return find(name);
  } catch (const OptionError& error) {
    throw OptionError(field + std::string(error.what()).substr(kind.size()));
  }
}

}  // namespace

Precision precision_of(const QuantizeSpec& spec, int w_bits, int a_bits, int kv_bits) {
  Precision p;
  p.weight = weight_quantizer(spec, w_bits);
  p.activation.bits = a_bits;
  p.activation.granularity =
      named(spec.activation_granularity, "activation_granularity", "granularity", granularity_from_name);
  if (p.activation.granularity == Granularity::group) p.activation.group = spec.group;
  p.activation.grid = named(spec.activation_grid, "activation_grid", "grid", grid_from_name);
  if (spec.activation_clip < 1) p.activation.rule = ScaleRule::clip, p.activation.rule_value = spec.activation_clip;
  p.activation.outlier_threshold = spec.outlier_threshold;
  p.activation.outlier_absmax = outlier_absmax_from_name(spec.outlier_absmax);
  p.key.bits = p.value.bits = kv_bits;
  p.key.grid = p.value.grid = named(spec.kv_grid, "kv_grid", "grid", grid_from_name);
  return p;
}

QatOptions training_precision(const LowPrecision& low, const ModelSpec& m, const QuantizeSpec& spec) {
  const size_t method = choose<4>("method", low.method, {"qat", "lsq", "bitnet", "binary"});
  const SteKind ste = ste_from_name(low.ste);
  const int kv = int(low.train_kv_bits);
  if (m.kind == "mlp" && (kv < 16 || m.sub_norms != "off"))
    throw OptionError(
        fmt::format("train_kv_bits = {}, sub_norms = \"{}\" with kind = \"mlp\", which has no keys and "
                    "values and no such norms; leave both out",
                    kv, m.sub_norms));
  QatOptions o;
  o.precision = precision_of(spec, int(low.train_weight_bits), int(low.train_activation_bits), kv);
  o.learned_steps = method == 1;
  if (method == 2) {
    if (low.train_weight_bits != 16 || low.train_activation_bits != 16)
      throw OptionError(
          fmt::format("method = \"bitnet\" with train_weight_bits = {} and train_activation_bits = {}; it "
                      "has ternary weights and 8-bit activations, leave both out",
                      low.train_weight_bits, low.train_activation_bits));
    const QatOptions bitnet = bitnet_options();
    o.precision.weight = bitnet.precision.weight, o.precision.activation = bitnet.precision.activation;
  }
  if (method == 3) {
    if (low.train_weight_bits != 16)
      throw OptionError(
          fmt::format("method = \"binary\" with train_weight_bits = {}; its weights have one bit, leave "
                      "train_weight_bits out",
                      low.train_weight_bits));
    o.precision.weight = binary_options().precision.weight;
  }
  if (method >= 2) o.precision.weight.scale = scale_kind_from_name(spec.scale);
  o.weight_ste = o.precision.ste = ste;
  o.format = number_format_from_name(m.train_format);
  if (o.format != NumberFormat::fp32 && (m.kind == "mlp" || !o.is_full()))
    throw OptionError(fmt::format("train_format = \"{}\" with {}; use train_format = \"fp32\"", m.train_format,
                                  m.kind == "mlp" ? "kind = \"mlp\"" : "quantizers in training"));
  if (!o.is_full()) o.validate();
  if (o.is_full() && o.learned_steps)
    throw OptionError(fmt::format("method = \"{}\" without training bits below 16; set train_weight_bits", low.method));
  return o;
}

Decay branch_decay(const BranchSpec& branch) {
  return choose<2>("branches.decay", branch.decay, {"linear", "one_sqrt"}) == 0 ? Decay::linear : Decay::one_sqrt;
}

std::int64_t branch_length(const RunSpec& run, const BranchSpec& branch, std::int64_t step) {
  const double per_step = double(tokens_per_step(run));
  const double before = is_series(run.model) ? double(tokens_after(run, step)) / per_step : double(step);
  const double updates = branch.tokens > 0 ? double(branch.tokens) / per_step : branch.share * before;
  return std::max<std::int64_t>(1, std::llround(updates));
}

}  // namespace hone::experiments
