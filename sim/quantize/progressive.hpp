// Progressive precision in decoding: weights stored once as nested codes, of which every prefix is a coarser quantizer,
// and a schedule of how many bits each generated token reads.
//   source  schedule: Hao Mark Chen et al. 2025 (PMPD); nested codes: Park et al. 2024 (Any-Precision LLM)
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "sim/base/mean.hpp"
#include "sim/data/batch.hpp"
#include "sim/model/decoder.hpp"

namespace hone {

/// What a prefix of a code stands for. A whole code is always its grid point.
enum class NestedValues {
  midpoint,       ///< the middle of the merged grid points
  least_squares,  ///< the mean of the group's weights that share the prefix: least squared error; the middle when none
};

/// The quantizable weights of a model as codes of `parent.bits` bits with one step per group, readable at any lower
/// width b: the b leading bits of every code. All other parameters stay as they are.
template <class S>
class NestedWeights {
 public:
  /// shapes   theta (layout.size())
  /// expects  finite weights
  /// errors   OptionError from Quantizer::validate, and for a parent without 2^bits evenly spaced levels: use
  ///          Grid::midrise, full, no_clip, signed_absmax, asymmetric or float_min at 2 to 8 bits, to nearest
  NestedWeights(const S* theta, const ParamLayout& layout, const Quantizer& parent,
                NestedValues values = NestedValues::midpoint);

  int bits() const { return parent_.bits; }
  /// The parameters at `bits` bits.
  /// ensures  at bits(): equal to quantize_weights with the parent; a zero has no sign
  /// expects  1 ≤ bits ≤ bits()
  AlignedVector<S> decode(int bits) const;
  /// The codes of all quantizable weights in layout order, 0 … 2^bits()-1.
  const std::vector<std::uint8_t>& codes() const { return codes_; }

 private:
  struct Group {
    Index first = 0, rows = 0, cols = 0, stride = 0;  ///< where its weights lie in theta
    Index code = 0;                                   ///< number of its first code in codes_
    StepRange range;
  };
  void encode(const S* theta, const Group& group);
  void fit_means(const S* theta, const Group& group);
  S value(const Group& group, size_t number, int bits, Index prefix) const;

  Quantizer parent_;
  NestedValues values_;
  AlignedVector<S> rest_;  ///< theta with zeros for quantized weights
  std::vector<Group> groups_;
  std::vector<std::uint8_t> codes_;
  std::vector<S> means_;  ///< per group, least_squares only: 2 values at 1 bit, 4 at 2, … below bits()
};

/// Bits in force at each generated token: token t is computed with bits[t] and leaves its keys and values as it
/// computed them.
struct PrecisionSchedule {
  std::vector<int> bits;

  /// Mean over the generated tokens, Σ b(t)/T; the prompt does not count.
  double average_bits() const;
};

/// bits[i] from token switches[i-1] to token switches[i]: one more width than switches.
/// errors   OptionError unless widths fall and switches ascend inside [0, length]
PrecisionSchedule step_down(const std::vector<int>& bits, const std::vector<Index>& switches, Index length);

/// The same widths in the opposite order: the control.
PrecisionSchedule reversed(const PrecisionSchedule& schedule);

/// Uniform precision of any average: the two whole widths beside it in alternation, as evenly as they can be spread.
/// math     b(t) = ⌊b̄⌋ + ⌊(t+1)f⌋ - ⌊t f⌋ with f = b̄ - ⌊b̄⌋
/// expects  average ≥ 1, length ≥ 1
/// ensures  average_bits within 1/length below `average`, equal to it where length·f is whole
PrecisionSchedule alternating(double average, Index length);

/// Whole widths along a straight line from one bit above the average to one below it, or to 1 bit where that is nearer.
/// math     b(t) = ⌊B(t+1) + ½⌋ - ⌊B(t) + ½⌋ with B(t) = t (b̄ + h - h t/T), the integral of the line, h = min(1, b̄ - 1)
/// expects  average ≥ 1, length ≥ 1
/// ensures  average_bits within 1/(2 length) of `average`, equal to it where length·average is whole
PrecisionSchedule gradual(double average, Index length);

/// The higher width for the `count` tokens of largest score, the earlier among equals, and the lower for the others.
/// expects  count within 0 … the number of scores
PrecisionSchedule ranked(const std::vector<double>& scores, int high, int low, Index count);

/// Losses of the tokens after a prompt, teacher-forced: the first `prompt` tokens at prompt_bits, then token t of the
/// rest with schedule.bits[t].
/// shapes   windows (W, T+1); result (W, T-prompt), nats: column t is the prediction made by token prompt+t
/// expects  1 ≤ prompt < T; a schedule of T-prompt tokens, all widths within the nested weights
/// cost     one copy of the weights per width in use
template <class S>
Matrix<double> scheduled_losses(const Transformer<S>& model, const NestedWeights<S>& weights,
                                const PrecisionSchedule& schedule, int prompt_bits, const TokenBatch& windows,
                                Index prompt, const DecoderOptions& options);

/// Two schedules on the same windows.
struct ScheduleComparison {
  std::vector<MeanEstimate> by_position;  ///< changed - reference at each generated token
  MeanEstimate mean;                      ///< of the windows' mean losses
};

/// shapes   changed, reference (W, tokens)
ScheduleComparison compare_schedules(const Matrix<double>& changed, const Matrix<double>& reference);

extern template class NestedWeights<float>;
extern template class NestedWeights<double>;
extern template Matrix<double> scheduled_losses(const Transformer<float>&, const NestedWeights<float>&,
                                                const PrecisionSchedule&, int, const TokenBatch&, Index,
                                                const DecoderOptions&);
extern template Matrix<double> scheduled_losses(const Transformer<double>&, const NestedWeights<double>&,
                                                const PrecisionSchedule&, int, const TokenBatch&, Index,
                                                const DecoderOptions&);

}  // namespace hone
