#include "sim/layers/kv_cache.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "sim/layers/cached_attention.hpp"

namespace hone {
namespace {

/// The grid of one cached row: per head where the quantizer says "row".
Quantizer row_quantizer(Quantizer q, Index head_width) {
  if (q.granularity == Granularity::row) q.granularity = Granularity::group, q.group = head_width;
  return q;
}

/// Quantizes rows that are one tensor.
template <class S>
void quantize_rows(S* first, Index rows, Index width, const Quantizer& q) {
  fake_quantize<S>(MatView<S>(first, rows, width), q, rows);
}

template <class S>
void expect_finite(const S* row, Index width, Index position, const char* what) {
  for (Index c = 0; c < width; ++c)
    EXPECTS(std::isfinite(row[c]), "kv cache: the {} at position {}, channel {} is {}; quantize finite numbers only",
            what, position, c, row[c]);
}

}  // namespace

std::string causality_problem(const Quantizer& q, std::string_view where) {
  if (!q.is_on()) return "";
  if (q.granularity != Granularity::row && q.granularity != Granularity::group)
    return fmt::format(
        "{}.granularity = '{}' would let later tokens set the step of earlier ones; use 'row' or 'group'", where,
        name_of(q.granularity));
  if (q.scale == ScaleKind::e4m3_two_level)
    return fmt::format("{}.scale = '{}' needs the largest number of all tokens beforehand; use 'real' or 'e8m0'", where,
                       name_of(q.scale));
  if (q.scale == ScaleKind::double_quantized)
    return fmt::format("{}.scale = '{}' needs the steps of all tokens beforehand; use 'real' or 'fp16'", where,
                       name_of(q.scale));
  if (q.outlier_threshold > 0)
    return fmt::format("{}.outlier_threshold = {} would let later tokens choose the outlier columns; set it to 0",
                       where, q.outlier_threshold);
  if (q.rounding == Rounding::stochastic)
    return fmt::format("{0}.rounding = 'stochastic' has no draws token by token; set {0}.rounding = 'nearest_even'",
                       where);
  return "";
}

void KvCacheOptions::validate() const {
  key.validate("kv.key");
  value.validate("kv.value");
  std::vector<std::string> problems;
  for (const std::string& problem : {causality_problem(key, "kv.key"), causality_problem(value, "kv.value")})
    if (!problem.empty()) problems.push_back(problem);
  if (residual < 0)
    problems.push_back(fmt::format("kv.residual = {}; give the number of newest tokens, 0 for none", residual));
  if (sinks < 0) problems.push_back(fmt::format("kv.sinks = {}; give the number of first tokens, 0 for none", sinks));
  if (key_axis == KeyAxis::token && key_group != 0)
    problems.push_back(
        fmt::format("kv.key_group = {} is read with key_axis = channel only; remove it or set the axis", key_group));
  if (key_axis == KeyAxis::channel) {
    if (key.granularity != Granularity::row)
      problems.push_back(
          fmt::format("kv.key.granularity = '{}' with key_axis = channel; use 'row' and set "
                      "kv.key_group to the tokens of a group",
                      name_of(key.granularity)));
    if (key_group < 1)
      problems.push_back(
          fmt::format("kv.key_group = {} with key_axis = channel; give 1 or more tokens (KIVI: 32)", key_group));
    else if (residual % key_group != 0)
      problems.push_back(
          fmt::format("kv.residual = {} is no multiple of kv.key_group = {}; keys per channel are "
                      "quantized in whole groups",
                      residual, key_group));
  }
  if (problems.empty()) return;
  std::string text = problems[0];
  for (size_t i = 1; i < problems.size(); ++i) text += "; " + problems[i];
  throw OptionError(text);
}

KvCacheOptions kivi_cache(int bits, Index group, Index residual) {
  const Quantizer per_channel{.bits = bits, .grid = Grid::float_min};
  return {.key = per_channel,
          .value = {.bits = bits, .grid = Grid::float_min, .granularity = Granularity::group, .group = group},
          .key_axis = KeyAxis::channel,
          .key_group = group,
          .residual = residual};
}

QuantizedCounts quantized_counts(const KvCacheOptions& o, Index length) {
  const Index after_sinks = std::max<Index>(0, length - o.sinks), old = std::max<Index>(0, after_sinks - o.residual);
  const Index keys = o.key_axis == KeyAxis::token ? old : after_sinks / o.key_block() * o.key_block();
  return {o.key.is_on() ? keys : 0, o.value.is_on() ? old : 0};
}

KvBits bits_per_cached_value(const KvCacheOptions& o, Index kv_heads, Index head_width, Index length) {
  EXPECTS(length >= 1, "kv cache: bits per value of {} tokens", length);
  const Index width = kv_heads * head_width;
  const QuantizedCounts counts = quantized_counts(o, length);
  const double key = o.key_axis == KeyAxis::token ? bits_per_weight(row_quantizer(o.key, head_width), 1, width)
                                                  : bits_per_weight(o.key, width, o.key_group);
  const double value = bits_per_weight(row_quantizer(o.value, head_width), 1, width);
  const auto mean = [&](double bits, Index count) {
    return (bits * double(count) + 16 * double(length - count)) / double(length);
  };
  return {mean(key, counts.keys), mean(value, counts.values)};
}

template <class S>
KvCache<S>::KvCache(const KvCacheOptions& options, Index kv_heads, Index head_width, Index capacity)
    : options_(options),
      heads_(kv_heads),
      head_width_(head_width),
      width_(kv_heads * head_width),
      capacity_(capacity),
      padded_((capacity + score_block - 1) / score_block * score_block) {
  options_.validate();
  EXPECTS(width_ >= 1 && capacity >= 1, "kv cache: {} heads of {} channels for {} tokens", kv_heads, head_width,
          capacity);
  const Index rows = options_.key_axis == KeyAxis::token ? options_.residual + 1 : options_.key_block();
  keys_.resize(size_t(width_ * padded_));
  values_.resize(size_t(width_ * capacity_));
  waiting_.resize(size_t(width_ * std::min(rows, capacity_)));
  row_.resize(size_t(width_));
}

template <class S>
S* KvCache<S>::waiting(Index position) {
  return waiting_.data() + (position - options_.sinks) % (Index(waiting_.size()) / width_) * width_;
}

template <class S>
void KvCache<S>::write_key(const S* key, Index position) {
  for (Index c = 0; c < width_; ++c) keys_[size_t(c * padded_ + position)] = key[c];
}

template <class S>
void KvCache<S>::append(const S* key, const S* value, const TurnKey& turn) {
  EXPECTS(length_ < capacity_, "kv cache: token {} in a cache of {} tokens", length_ + 1, capacity_);
  const Index position = length_++;
  if (options_.key.is_on()) expect_finite(key, width_, position, "key");
  if (options_.value.is_on()) expect_finite(value, width_, position, "value");
  const bool waits = options_.key.is_on() && position >= options_.sinks;
  if (waits && options_.pre_rope) std::copy_n(key, width_, waiting(position));
  std::copy_n(key, width_, row_.data());
  turn(row_.data(), position);
  if (waits && !options_.pre_rope) std::copy_n(row_.data(), width_, waiting(position));
  write_key(row_.data(), position);
  std::copy_n(value, width_, values_.data() + position * width_);
  if (waits) close_keys(turn);
  const Index old = position - options_.residual;
  if (options_.value.is_on() && old >= options_.sinks)
    quantize_rows(values_.data() + old * width_, 1, width_, row_quantizer(options_.value, head_width_));
}

template <class S>
void KvCache<S>::close_keys(const TurnKey& turn) {
  if (options_.key_axis == KeyAxis::channel) {
    const Index block = options_.key_block();
    if ((length_ - options_.sinks) % block != 0) return;
    for (Index first = length_ - block; first < length_; first += options_.key_group) close_key_block(first, turn);
    return;
  }
  const Index old = length_ - 1 - options_.residual;
  if (old < options_.sinks) return;
  std::copy_n(waiting(old), width_, row_.data());
  quantize_rows(row_.data(), 1, width_, row_quantizer(options_.key, head_width_));
  if (options_.pre_rope) turn(row_.data(), old);
  write_key(row_.data(), old);
}

template <class S>
void KvCache<S>::close_key_block(Index first, const TurnKey& turn) {
  S* rows = waiting(first);
  Quantizer per_channel = options_.key;
  per_channel.granularity = Granularity::column;
  quantize_rows(rows, options_.key_group, width_, per_channel);
  for (Index i = 0; i < options_.key_group; ++i) {
    S* row = rows + i * width_;
    if (options_.pre_rope) turn(row, first + i);
    write_key(row, first + i);
  }
}

template <class S>
void KvCache<S>::attend(S* out, const S* query, Index heads, S* scratch) const {
  EXPECTS(length_ >= 1 && heads % heads_ == 0, "kv cache: {} query heads over {} key heads and {} tokens", heads,
          heads_, length_);
  const S scale = S(1 / std::sqrt(double(head_width_)));
  for (Index h = 0; h < heads; ++h) {
    const Index channel = h / (heads / heads_) * head_width_;
    attend_cached<S>(out + h * head_width_, query + h * head_width_, keys_.data() + channel * padded_, padded_,
                     values_.data() + channel, width_, head_width_, length_, scale, scratch);
  }
}

template <class S>
std::vector<S> KvCache<S>::key(Index position) const {
  EXPECTS(position >= 0 && position < length_, "kv cache: key {} of {}", position, length_);
  std::vector<S> result;
  for (Index c = 0; c < width_; ++c) result.push_back(keys_[size_t(c * padded_ + position)]);
  return result;
}

template <class S>
std::vector<S> KvCache<S>::value(Index position) const {
  EXPECTS(position >= 0 && position < length_, "kv cache: value {} of {}", position, length_);
  const S* row = values_.data() + position * width_;
  return {row, row + width_};
}

template class KvCache<float>;
template class KvCache<double>;

}  // namespace hone
