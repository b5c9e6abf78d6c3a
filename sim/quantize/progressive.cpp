#include "sim/quantize/progressive.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/quantize/long_context.hpp"

namespace hone {
namespace {

/// Windows decoded at a time.
constexpr Index windows_at_once = 32;

void check_parent(const Quantizer& q) {
  q.validate("nested");
  const bool is_even = q.format == Format::integer && q.grid != Grid::restricted && q.grid != Grid::llm_qat &&
                       q.grid != Grid::llm_qat_asymmetric;
  if (!is_even)
    throw OptionError(
        fmt::format("nested.grid = '{}' has no 2^bits evenly spaced levels; use 'midrise', 'asymmetric' "
                    "or another integer grid with all of them",
                    name_of(q.grid)));
  if (q.bits < 2 || q.bits > 8)
    throw OptionError(fmt::format("nested.bits = {} is outside 2..8; give the bits of the stored codes", q.bits));
  if (q.rounding == Rounding::stochastic)
    throw OptionError("nested.rounding = 'stochastic' is not available; use 'nearest_even' or 'half_away'");
}

/// Where the means of `bits` bits begin in a group's table, and with parent bits its size: 2 + 4 + … + 2^(bits-1).
Index table_begin(int bits) { return (Index(1) << bits) - 2; }

}  // namespace

template <class S>
NestedWeights<S>::NestedWeights(const S* theta, const ParamLayout& layout, const Quantizer& parent, NestedValues values)
    : parent_(parent), values_(values), rest_(theta, theta + layout.size()) {
  check_parent(parent_);
  codes_.reserve(size_t(layout.quantizable_size()));
  for (const ParamBlock& block : layout.blocks()) {
    if (!block.is_quantizable()) continue;
    const auto weights = view(theta, block);
    const std::vector<StepRange> ranges = step_ranges<S>(weights, parent_, block.rows);
    auto range = ranges.begin();
    for_each_group(parent_, block.rows, block.cols, block.rows, [&](const StepGroup& g) {
      groups_.push_back(
          {block.offset + g.row * block.cols + g.col, g.rows, g.cols, block.cols, Index(codes_.size()), *range++});
      encode(theta, groups_.back());
      if (values_ == NestedValues::least_squares) fit_means(theta, groups_.back());
    });
    view(rest_.data(), block).setZero();
  }
}

template <class S>
void NestedWeights<S>::encode(const S* theta, const Group& g) {
  for (Index r = 0; r < g.rows; ++r)
    for (Index c = 0; c < g.cols; ++c) {
      const S grid_code = code<S>(theta[g.first + r * g.stride + c], g.range, parent_.rounding, 0.0);
      codes_.push_back(static_cast<std::uint8_t>(double(grid_code) - g.range.code_min));
    }
}

template <class S>
void NestedWeights<S>::fit_means(const S* theta, const Group& g) {
  const Index begin = Index(means_.size());
  for (int bits = 1; bits < parent_.bits; ++bits) {
    std::vector<double> sums(size_t(1) << bits), counts(sums.size());
    for (Index r = 0, i = g.code; r < g.rows; ++r)
      for (Index c = 0; c < g.cols; ++c, ++i) {
        const size_t prefix = size_t(codes_[size_t(i)] >> (parent_.bits - bits));
        sums[prefix] += double(theta[g.first + r * g.stride + c]);
        ++counts[prefix];
      }
    for (size_t prefix = 0; prefix < sums.size(); ++prefix) means_.push_back(S(sums[prefix] / counts[prefix]));
  }
  EXPECTS(Index(means_.size()) - begin == table_begin(parent_.bits), "nested: a table of {} means",
          Index(means_.size()) - begin);
}

/// The value of a prefix in group `number`.
template <class S>
S NestedWeights<S>::value(const Group& g, size_t number, int bits, Index prefix) const {
  if (values_ == NestedValues::least_squares && bits < parent_.bits) {
    const S mean = means_[number * size_t(table_begin(parent_.bits)) + size_t(table_begin(bits) + prefix)];
    if (!std::isnan(mean)) return mean;
  }
  const Index merged = Index(1) << (parent_.bits - bits);
  const double middle = g.range.code_min + double(prefix * merged) + double(merged - 1) / 2 - g.range.zero_point;
  return S(middle) * S(g.range.step) + S(g.range.offset);
}

template <class S>
AlignedVector<S> NestedWeights<S>::decode(int bits) const {
  EXPECTS(bits >= 1 && bits <= parent_.bits, "nested: {} bits of codes of {}", bits, parent_.bits);
  AlignedVector<S> theta = rest_;
  std::vector<S> table(size_t(1) << bits);
  for (size_t number = 0; number < groups_.size(); ++number) {
    const Group& g = groups_[number];
    for (size_t prefix = 0; prefix < table.size(); ++prefix) table[prefix] = value(g, number, bits, Index(prefix));
    for (Index r = 0, i = g.code; r < g.rows; ++r)
      for (Index c = 0; c < g.cols; ++c, ++i)
        theta[size_t(g.first + r * g.stride + c)] = table[size_t(codes_[size_t(i)] >> (parent_.bits - bits))];
  }
  return theta;
}

double PrecisionSchedule::average_bits() const {
  EXPECTS(!bits.empty(), "average bits of an empty schedule");
  return double(std::accumulate(bits.begin(), bits.end(), std::int64_t(0))) / double(bits.size());
}

PrecisionSchedule step_down(const std::vector<int>& bits, const std::vector<Index>& switches, Index length) {
  const bool is_falling = std::is_sorted(bits.rbegin(), bits.rend()) && !bits.empty();
  const bool is_inside = switches.empty() || (switches.front() >= 0 && switches.back() <= length);
  if (!is_falling || bits.size() != switches.size() + 1 || !is_inside ||
      !std::is_sorted(switches.begin(), switches.end()))
    throw OptionError(
        fmt::format("schedule: {} widths with {} switches in {} tokens; give falling widths, one more "
                    "than ascending switches between 0 and the length",
                    bits.size(), switches.size(), length));
  PrecisionSchedule schedule;
  for (size_t i = 0; i < bits.size(); ++i)
    schedule.bits.resize(size_t(i < switches.size() ? switches[i] : length), bits[i]);
  return schedule;
}

PrecisionSchedule reversed(const PrecisionSchedule& schedule) {
  return {std::vector<int>(schedule.bits.rbegin(), schedule.bits.rend())};
}

PrecisionSchedule alternating(double average, Index length) {
  EXPECTS(average >= 1 && length >= 1, "schedule: {} bits over {} tokens", average, length);
  const double low = std::floor(average), fraction = average - low;
  // The small constant keeps a product that is whole up to rounding from falling below it.
  const auto whole = [&](Index t) { return int(std::floor(double(t) * fraction + 1e-9)); };
  PrecisionSchedule schedule;
  for (Index t = 0; t < length; ++t) schedule.bits.push_back(int(low) + whole(t + 1) - whole(t));
  return schedule;
}

PrecisionSchedule gradual(double average, Index length) {
  EXPECTS(average >= 1 && length >= 1, "schedule: a line around {} bits over {} tokens", average, length);
  const double reach = std::min(1.0, average - 1);
  const auto whole = [&](Index t) {
    return int(std::floor(double(t) * (average + reach * (1 - double(t) / double(length))) + 0.5));
  };
  PrecisionSchedule schedule;
  for (Index t = 0; t < length; ++t) schedule.bits.push_back(whole(t + 1) - whole(t));
  return schedule;
}

PrecisionSchedule ranked(const std::vector<double>& scores, int high, int low, Index count) {
  EXPECTS(count >= 0 && count <= Index(scores.size()), "schedule: {} of {} tokens", count, scores.size());
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  PrecisionSchedule schedule{std::vector<int>(scores.size(), low)};
  for (size_t i = 0; i < size_t(count); ++i) schedule.bits[order[i]] = high;
  return schedule;
}

namespace {

/// One set of decoding weights per width in use.
template <class S>
using WeightsByBits = std::map<int, std::shared_ptr<const DecoderWeights<S>>>;

/// Losses of the windows [first, first + rows of losses).
template <class S>
void decode_scheduled(const WeightsByBits<S>& by_bits, const PrecisionSchedule& schedule, int prompt_bits,
                      const TokenBatch& windows, Index first, Index count, Index prompt, const DecoderOptions& options,
                      Matrix<double>& losses) {
  const auto token = [&](Index b, Index t) {
    return windows.tokens[size_t((first + b) * (windows.positions + 1) + t)];
  };
  Decoder<S> decoder(by_bits.at(prompt_bits), options, count);
  std::vector<std::uint16_t> tokens;
  for (Index b = 0; b < count; ++b)
    for (Index t = 0; t < prompt; ++t) tokens.push_back(token(b, t));
  decoder.prefill(tokens);
  for (Index t = 0; t < Index(schedule.bits.size()); ++t) {
    decoder.use(by_bits.at(schedule.bits[size_t(t)]));
    tokens.clear();
    for (Index b = 0; b < count; ++b) tokens.push_back(token(b, prompt + t));
    decoder.feed(tokens, [&](Index b, Index position, ConstVecView<S> logits) {
      losses(first + b, t) = next_token_loss<S>(logits, token(b, position + 1));
    });
  }
}

}  // namespace

template <class S>
Matrix<double> scheduled_losses(const Transformer<S>& model, const NestedWeights<S>& weights,
                                const PrecisionSchedule& schedule, int prompt_bits, const TokenBatch& windows,
                                Index prompt, const DecoderOptions& options) {
  const Index length = windows.positions - prompt;
  EXPECTS(prompt >= 1 && length >= 1 && Index(schedule.bits.size()) == length,
          "schedule of {} tokens for windows of {} with a prompt of {}", schedule.bits.size(), windows.positions,
          prompt);
  WeightsByBits<S> by_bits;
  const auto prepare = [&](int bits) {
    if (by_bits.contains(bits)) return;
    const AlignedVector<S> theta = weights.decode(bits);
    by_bits[bits] = std::make_shared<DecoderWeights<S>>(model, theta.data());
  };
  prepare(prompt_bits);
  for (const int bits : schedule.bits) prepare(bits);
  Matrix<double> losses(windows.sequences, length);
  for (Index first = 0; first < windows.sequences; first += windows_at_once)
    decode_scheduled(by_bits, schedule, prompt_bits, windows, first,
                     std::min(windows_at_once, windows.sequences - first), prompt, options, losses);
  return losses;
}

ScheduleComparison compare_schedules(const Matrix<double>& changed, const Matrix<double>& reference) {
  EXPECTS(changed.rows() == reference.rows() && changed.cols() == reference.cols() && reference.size() > 0,
          "comparing {} x {} losses with {} x {}", changed.rows(), changed.cols(), reference.rows(), reference.cols());
  const auto column = [](const Matrix<double>& m, Index t) {
    std::vector<double> values;
    for (Index w = 0; w < m.rows(); ++w) values.push_back(m(w, t));
    return values;
  };
  const auto means = [](const Matrix<double>& m) {
    std::vector<double> values;
    for (Index w = 0; w < m.rows(); ++w) values.push_back(m.row(w).sum() / double(m.cols()));
    return values;
  };
  ScheduleComparison comparison;
  for (Index t = 0; t < changed.cols(); ++t)
    comparison.by_position.push_back(paired_difference(column(changed, t), column(reference, t)));
  comparison.mean = paired_difference(means(changed), means(reference));
  return comparison;
}

template class NestedWeights<float>;
template class NestedWeights<double>;
template Matrix<double> scheduled_losses(const Transformer<float>&, const NestedWeights<float>&,
                                         const PrecisionSchedule&, int, const TokenBatch&, Index,
                                         const DecoderOptions&);
template Matrix<double> scheduled_losses(const Transformer<double>&, const NestedWeights<double>&,
                                         const PrecisionSchedule&, int, const TokenBatch&, Index,
                                         const DecoderOptions&);

}  // namespace hone
