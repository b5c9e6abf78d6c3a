// The conditions that a careful reader would demand of a study, each with a stable key and its words. The code that runs
// a check says whether it was run; nobody searches for words.
#pragma once

#include <string_view>
#include <vector>

namespace hone::theory {

enum class Control {
  // growth with tokens
  several_seeds,
  several_sizes,
  tokens_apart_from_size,
  token_range,
  saturating_rival,
  updates_apart,
  larger_ratio,
  larger_size,
  one_schedule,
  one_rate,
  shifted_windows,
  tuned_branches,
  other_data,
  // prediction
  no_row_lost,
  residual_exponent,
  growth_split,
  mediators,
  // directions
  noise_top,
  noise_random,
  noise_complement,
  noise_isotropic,
  injection_spaces,
  // cause
  proportional_cooldowns,
  fixed_cooldowns,
  weight_averages,
  cosine_ends,
  other_rates,
  other_batches,
  other_decay,
  rotation,
  rescaling,
  flatter_minima,
  trace_at_equal_tokens,
  // composition
  effective_size,
  weights_with_cache,
  activations_with_cache,
  all_three_sites,
  few_bits,
  joint_training,
  telling_cells,
  // forms
  three_widths,
  loss_exponents,
  fewer_bits,
  more_bits,
  late_forms,
  // precision of training
  several_precisions,
  several_low_sizes,
  models_on_more_tokens,
  weights_apart,
  activations_apart,
  cache_apart,
  growing_budgets,
  information_scale,
  full_precision_peers,
  // schemes of quantization
  other_windows,
  scheme_kinds,
  equal_budget,
  extreme_bits,
  other_procedures,
  // architecture
  other_style,
  other_heads,
  other_mlp_width,
  other_depth,
  equal_active_size,
  equal_total_size,
  expert_loads,
  experts_at_few_bits,
  // along the text
  long_context,
  copy_distances,
  reversed_bits,
  token_score,
  // tasks and tuning
  several_tasks,
  answers_shifted,
  // bits removed and the mode of rounding
  tuned_few_and_many,
  eight_bits,
  other_roundings,
  count,  ///< how many there are; stays last
};

/// Stable name of a control in verdict.json.
std::string_view key_of(Control control);
/// What it is, for people.
std::string_view label_of(Control control);
/// All controls in the order of the enum, without `count`.
const std::vector<Control>& all_controls();

}  // namespace hone::theory
