// The quantizers at the sites of one layer: inputs of linears, keys, values; and the masks of their straight-through
// estimators. This is the visitor that the one-pass forward hands to the blocks.
#pragma once

#include <iterator>
#include <string>

#include "sim/base/error.hpp"
#include "sim/layers/kv_cache.hpp"
#include "sim/model/precision.hpp"
#include "sim/model/transformer/acts.hpp"

namespace hone {

/// The gradient of a quantized site by its straight-through estimator.
template <class S>
void pass_through(const Block<S>& gradient, const Block<S>& mask) {
  if (mask.data) gradient.view().array() *= mask.view().array();
}

/// Rounds what it visits, in place, as `precision` says, and writes the masks that the activations of the layer have.
/// expects  all arguments outlive it
/// errors   OptionError for stochastic activations, and where a token would see later ones through a shared step
template <class S>
struct QuantizedSites {
  const Precision& precision;
  const TransformerOptions& options;
  int layer;
  const LayerActs<S>& acts;

  void input(LinearInput site, const Block<S>& x) const {
    if (options.experts > 0 && site == LinearInput::mlp)
      check_causal(precision.activation, "activation", "experts: tokens are quantized one by one; ");
    if (precision.activation.is_on() && precision.activation.rounding == Rounding::stochastic)
      throw OptionError(
          "activation.rounding = 'stochastic' would draw the same numbers at every site and in every chunk; use "
          "'nearest_even'");
    const Block<S>& mask = acts.mask(site);
    const auto& fixed = precision.activation_ranges;
    if (fixed.empty()) return quantize(x, mask, precision.activation);
    EXPECTS(fixed.size() == size_t(options.layers) * std::size(linear_inputs), "{} fixed ranges for {} layers",
            fixed.size(), options.layers);
    if (mask.data) mask.view().setOnes();
    const size_t number = size_t(layer) * std::size(linear_inputs) + size_t(site);
    if (x.view().allFinite()) fake_quantize_static<S>(x, fixed[number], precision.activation.rounding);
  }
  void key(const Block<S>& k) const { token_by_token(k, acts.k_mask, precision.key, "key"); }
  void value(const Block<S>& v) const { token_by_token(v, acts.v_mask, precision.value, "value"); }

 private:
  static void check_causal(const Quantizer& q, const char* what, const char* where = "") {
    const std::string problem = causality_problem(q, what);
    if (!problem.empty()) throw OptionError(where + problem);
  }
  /// One step per token and head where `q` says one per row.
  void token_by_token(const Block<S>& x, const Block<S>& mask, Quantizer q, const char* what) const {
    check_causal(q, what);
    if (q.granularity == Granularity::row) q.granularity = Granularity::group, q.group = options.head_width();
    quantize(x, mask, q);
  }
  void quantize(const Block<S>& x, const Block<S>& mask, const Quantizer& q) const {
    if (mask.data) mask.view().setOnes();
    if (!q.is_on() || !x.view().allFinite()) return;  // non-finite values are left; the loss becomes NaN
    if (mask.data) apply_ste_mask<S>(mask, x, q, precision.ste, options.positions);
    fake_quantize<S>(x, q, options.positions);
  }
};

}  // namespace hone
