// The numbers that decide outcomes and choose rows. A study file may change them before its runs and records them.
#pragma once

#include <string>
#include <vector>

namespace hone::theory {

/// Allowed values of a threshold.
struct Bounds {
  double low = 0, high = 0;
};

/// Every threshold with its default. `fields` calls v(name, value, Bounds, meaning) for each of them: the study reader and
/// the record read them by it.
struct Thresholds {
  double level = 0.95;
  double fit_scatter = 0.1;
  double ptq_bits_min = 3, ptq_bits_max = 6;
  double ptq_min_snr = 2;
  double cells_min = 3, trajectories_min = 3;
  double reach_share = 0.6;
  double form_folds = 10;
  double loss_scatter = 0.01;
  double form_margin = 0.8;
  double late_loss = 0;
  double growth_equivalence = 0.3;
  double q1_gamma_d_min = 0, q1_equivalence = 0.1;
  double q2_gamma_d_min = 0, q2_equivalence = 0.1;
  double q3_tolerance = 0.1;
  double q4_tolerance = 0.1;
  double q5_tolerance = 0.15, q5_exponent_tolerance = 0.1, q5_slope_tolerance = 0.1;
  double q6_tolerance = 0.1, q6_balance = 0.2, q6_effects = 1, q6_channel_length = 64;
  double q8_drift = 0.5, q8_misfit = 0.25, q8_information = 0.1;
  double q9_equivalence = 0.1;
  double q10_exponent_max = -0.5, q10_equivalence = 0.2, q10_slope = 1;
  double q11_rise = 0.01, q11_tolerance = 0.1;
  /// 0.09 is half of what losses that add up give where each of two sites alone leaves half of the parameters:
  /// ½ (1/alpha) ln(1 + x²/(1 + 2x)), x = 2^alpha - 1, with the alpha of Kumar et al. (0.4965).
  double q12_tolerance = 0.09, q12_bits_min = 3;
  double q13_rise = 0.01, q13_tolerance = 0.1;
  double q14_equivalence = 0.1;
  double q15_margin = 0.1;
  /// Damage goes with N^-0.35 or so: a tenth of size moves its logarithm by a quarter of q18_tolerance.
  double equal_size = 0.1;
  /// 0.19 is half of what the offsets of Kumar et al. amount to at log2(3) bits: ln N_eff of their law without offset,
  /// fitted to their law with offset at 3, 4 and 6 bits, over that law.
  double q16_tolerance = 0.19, q16_bits_min = 3, q16_scale_tolerance = 0.1;
  double q17_tolerance = 0.1;
  double q18_tolerance = 0.15;
  double q19_exponent_min = 0, q19_equivalence = 0.1, q19_position_min = 16;
  double q20_gain_min = 0, q20_equivalence = 0.1;
  double q21_shortfall_min = 0, q21_equivalence = 0.02, q21_accuracy_min = 0.2;
  double q22_tolerance = 0.1;
  /// 0.2 is what the web page on precision scaling asks of a difference before it counts.
  double q23_tolerance = 0.2, q23_ratio_min = 4;
  double q24_saving_min = 0, q24_equivalence = 0.05;
  double q25_tolerance = 0.15;  // what finite times move the sum of the linear net by, alpha up to 3/4

  bool operator==(const Thresholds&) const = default;

  template <class V>
  void fields(V&& v) {
    visit(*this, v);
  }
  template <class V>
  void fields(V&& v) const {
    visit(*this, v);
  }

 private:
  template <class Self, class V>
  static void visit(Self& t, V& v) {
    visit_common(t, v), visit_of_trunks(t, v), visit_of_models(t, v);
  }

  /// Of every question.
  template <class Self, class V>
  static void visit_common(Self& t, V& v) {
    constexpr Bounds share{0, 1}, distance{0, 100}, bits{1, 16}, count{1, 1e6};
    v("level", t.level, Bounds{0.01, 0.9999}, "level of every interval");
    v("fit_scatter", t.fit_scatter, distance, "scatter in ln units added in quadrature to every standard error");
    v("ptq_bits_min", t.ptq_bits_min, bits, "least bits per weight that enter a fit");
    v("ptq_bits_max", t.ptq_bits_max, bits, "most bits per weight that enter a fit");
    v("ptq_min_snr", t.ptq_min_snr, distance, "least damage, in its standard errors, that enters a fit");
    v("cells_min", t.cells_min, count, "fewest cells (N, D, variant) that can give an outcome");
    v("trajectories_min", t.trajectories_min, count,
      "fewest trajectories (sizes and seeds) of a contrast that can decide");
    v("reach_share", t.reach_share, share, "share of the range of ln(D/N) that is fitted when the rest is predicted");
    v("form_folds", t.form_folds, Bounds{2, 1000},
      "groups of cells that are left out in turn when many forms are compared");
    v("loss_scatter", t.loss_scatter, distance,
      "scatter in ln units of losses that is added in quadrature to their standard error");
    v("form_margin", t.form_margin, distance,
      "held-out error of a form that levels off over that of the power below which growth is refuted");
    v("late_loss", t.late_loss, distance,
      "loss in nats below which a checkpoint is late; 0: after the knee of the trace over tokens");
    v("growth_equivalence", t.growth_equivalence, distance,
      "change of the growth exponent over the tokens that counts as none");
  }

  /// Q1 to Q12.
  template <class Self, class V>
  static void visit_of_trunks(Self& t, V& v) {
    constexpr Bounds share{0, 1}, distance{0, 100}, exponent{-10, 10}, bits{1, 16};
    v("q1_gamma_d_min", t.q1_gamma_d_min, exponent, "growth exponent of the damage above which it grows");
    v("q1_equivalence", t.q1_equivalence, distance,
      "half-width of the band around q1_gamma_d_min that counts as no growth");
    v("q2_gamma_d_min", t.q2_gamma_d_min, exponent, "growth exponent of the trace above which it grows");
    v("q2_equivalence", t.q2_equivalence, distance,
      "half-width of the band around q2_gamma_d_min that counts as no growth");
    v("q3_tolerance", t.q3_tolerance, distance, "distance from 1 of the slope of ln delta on ln prediction");
    v("q4_tolerance", t.q4_tolerance, distance,
      "excess over 1 of the residual's share in the top directions over its null");
    v("q5_tolerance", t.q5_tolerance, distance, "distance from 0 of the change of ln damage at fixed prediction");
    v("q5_slope_tolerance", t.q5_slope_tolerance, distance,
      "distance from 1 of the change of ln damage per change of ln prediction");
    v("q5_exponent_tolerance", t.q5_exponent_tolerance, distance,
      "distance from 0 of the exponent of D at fixed prediction");
    v("q6_tolerance", t.q6_tolerance, distance,
      "interaction relative to the sum that a user could notice: the least beyond which a map calls bits broken down");
    v("q6_balance", t.q6_balance, share, "least share of the smaller of the two damages in their sum");
    v("q6_effects", t.q6_effects, distance,
      "half-width of the band of a combination of bits, in interactions that independent noise gives it");
    v("q6_channel_length", t.q6_channel_length, Bounds{2, 1e6},
      "channel length in the predicted noise of absmax rounding");
    v("q8_drift", t.q8_drift, Bounds{0, 16},
      "change of the optimal precision, in bits per decade of compute or of tokens, that counts as none");
    v("q8_misfit", t.q8_misfit, share, "share of the measured effective sizes that the curve of an optimum may miss");
    v("q8_information", t.q8_information, distance,
      "distance from 0 of ln (fitted scale of the bits over that of the information in the codes) that counts as none");
    v("q9_equivalence", t.q9_equivalence, distance, "distance from 0 of gamma_D - gamma_N that counts as none");
    v("q10_exponent_max", t.q10_exponent_max, exponent,
      "exponent of lr/sqrt(batch) below which they set the trace on the plateau");
    v("q10_equivalence", t.q10_equivalence, distance,
      "distance from 0 of an exponent on the plateau that counts as none");
    v("q10_slope", t.q10_slope, distance,
      "slope of ln trace in ln D between the last two checkpoints up to which a run is on its plateau");
    v("q11_rise", t.q11_rise, distance, "largest predicted rise in nats at which noise in every subspace is judged");
    v("q11_tolerance", t.q11_tolerance, distance, "distance from 1 of the measured over the predicted rise");
    v("q12_tolerance", t.q12_tolerance, distance,
      "distance from 0 of ln (N_eff of a joint run over the product of the single sites) that counts as none");
    v("q12_bits_min", t.q12_bits_min, bits, "fewest bits of training of a joint cell that can decide");
  }

  /// From Q13 on.
  template <class Self, class V>
  static void visit_of_models(Self& t, V& v) {
    constexpr Bounds share{0, 1}, distance{0, 100}, exponent{-10, 10}, bits{1, 16}, count{1, 1e6};
    v("q13_rise", t.q13_rise, distance, "largest e'He/2 in nats at which a scheme of quantization is judged");
    v("q13_tolerance", t.q13_tolerance, distance,
      "distance from 1 of a scheme's damage, less its first-order term, over e'He/2");
    v("q14_equivalence", t.q14_equivalence, distance,
      "distance from 0 of a scheme's exponent of D minus that of rounding to nearest that counts as none");
    v("q15_margin", t.q15_margin, distance,
      "share of the damage at uniform bits by which a rival may beat guided bits, and that guided bits must save");
    v("equal_size", t.equal_size, distance, "distance of ln N within which two architectures count as equally large");
    v("q16_tolerance", t.q16_tolerance, distance,
      "distance from 0 of ln (N_eff at fewer bits over the law of more bits) that counts as none");
    v("q16_bits_min", t.q16_bits_min, bits, "fewest bits of weights in training from which the law is fitted");
    v("q16_scale_tolerance", t.q16_scale_tolerance, distance,
      "distance from 0 of ln (scale of the bits of a procedure over that of another) that counts as none");
    v("q17_tolerance", t.q17_tolerance, distance,
      "distance from 0 of the gap of an exponent of tokens, or of ln (damage over prediction), that counts as none");
    v("q18_tolerance", t.q18_tolerance, distance,
      "ln of the damage with experts over that without beyond which experts break more");
    v("q19_exponent_min", t.q19_exponent_min, exponent,
      "exponent of the position in the damage of a quantized cache above which it grows");
    v("q19_equivalence", t.q19_equivalence, distance,
      "half-width of the band around q19_exponent_min that counts as no growth");
    v("q19_position_min", t.q19_position_min, count, "first position of the octaves whose damage is fitted");
    v("q20_gain_min", t.q20_gain_min, exponent,
      "share of uniform bits' damage that falling bits must save to be better");
    v("q20_equivalence", t.q20_equivalence, distance,
      "half-width of the band around q20_gain_min that counts as no gain");
    v("q21_shortfall_min", t.q21_shortfall_min, exponent,
      "accuracy lost beyond that of an earlier checkpoint of equal loss above which accuracy falls faster");
    v("q21_equivalence", t.q21_equivalence, share,
      "half-width of the band around q21_shortfall_min that counts as no difference");
    v("q21_accuracy_min", t.q21_accuracy_min, share, "least accuracy before quantization of a score that is judged");
    v("q22_tolerance", t.q22_tolerance, distance,
      "distance from 0 of the change of ln (damage over prediction) by tuning that counts as none");
    v("q23_tolerance", t.q23_tolerance, distance,
      "difference of the exponent of the bits removed, many tokens minus few, that counts as none");
    v("q23_ratio_min", t.q23_ratio_min, Bounds{1, 1e6}, "many tokens over few, at the least");
    v("q24_saving_min", t.q24_saving_min, exponent,
      "ln of the damage of rounding to nearest over that of stochastic rounding above which the latter is better");
    v("q24_equivalence", t.q24_equivalence, distance,
      "half-width of the band around q24_saving_min that counts as no difference");
    v("q25_tolerance", t.q25_tolerance, distance,
      "distance from 1 of the exponents of the trace and of the fall of the loss together that counts as none");
  }
};

/// A threshold as a verdict records it.
struct Threshold {
  std::string name;
  double value = 0;
  std::string meaning;
};

/// Which thresholds a rule reads.
using ThresholdList = std::vector<double Thresholds::*>;

/// The listed thresholds as records, in the order of the list.
inline std::vector<Threshold> recorded(const Thresholds& thresholds, const ThresholdList& list) {
  std::vector<Threshold> records;
  for (double Thresholds::*member : list)
    thresholds.fields([&](const char* name, const double& value, Bounds, const char* meaning) {
      if (&value == &(thresholds.*member)) records.push_back({name, value, meaning});
    });
  return records;
}

}  // namespace hone::theory
