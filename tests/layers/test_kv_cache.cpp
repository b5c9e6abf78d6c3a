// The cache of keys and values by itself: what is quantized when, with which steps, and what attention reads.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "sim/layers/attention.hpp"
#include "sim/layers/kv_cache.hpp"
#include "sim/layers/rope.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

constexpr Index kv_heads = 2, head_width = 8, width = kv_heads * head_width;

void stay(double*, Index) {}

KvCache<double>::TurnKey rope(Index positions) {
  return [table = RopeTable<double>(positions, head_width, 100.0, RopePairing::half)](double* key, Index position) {
    rope_rotate_row<double>(key, width, table, position, Turn::forward);
  };
}

struct Drawn {
  Matrix<double> keys, values, queries;  // (T, width), (T, width), (T, width)
};

Drawn draw(Index length, std::uint32_t number) {
  const auto matrix = [&](std::uint32_t part) {
    const Vector<double> flat = normals(length * width, 10 * number + part);
    return Matrix<double>(ConstMatView<double>(flat.data(), length, width));
  };
  return {matrix(0), matrix(1), matrix(2)};
}

KvCache<double> filled(const KvCacheOptions& options, const Drawn& s, const KvCache<double>::TurnKey& turn = stay) {
  KvCache<double> cache(options, kv_heads, head_width, s.keys.rows());
  for (Index t = 0; t < s.keys.rows(); ++t) cache.append(s.keys.row(t).data(), s.values.row(t).data(), turn);
  return cache;
}

/// The outputs of all tokens, one query head per key head, each computed when its token was written.
Matrix<double> attended(const KvCacheOptions& options, const Drawn& s) {
  KvCache<double> cache(options, kv_heads, head_width, s.keys.rows());
  AlignedVector<double> scratch(size_t(cache.padded_capacity()));
  Matrix<double> out(s.keys.rows(), width);
  for (Index t = 0; t < s.keys.rows(); ++t) {
    cache.append(s.keys.row(t).data(), s.values.row(t).data(), stay);
    cache.attend(out.row(t).data(), s.queries.row(t).data(), kv_heads, scratch.data());
  }
  return out;
}

bool same(const std::vector<double>& a, const Matrix<double>& rows, Index row) {
  return std::equal(a.begin(), a.end(), rows.row(row).data());
}

Matrix<double> by_head(Matrix<double> rows, Quantizer q) {
  if (q.granularity == Granularity::row) q.granularity = Granularity::group, q.group = head_width;
  fake_quantize<double>(rows, q, 1);
  return rows;
}

KvCacheOptions per_token(int bits) { return {.key = {.bits = bits}, .value = {.bits = bits}}; }

KvCacheOptions per_channel(int bits, Index group, Index residual = 0) {
  return {.key = {.bits = bits}, .key_axis = KeyAxis::channel, .key_group = group, .residual = residual};
}

TEST_SUITE_BEGIN("kv_cache");

TEST_CASE("kv cache: without quantizers it holds what was written and attends as the one-pass layer") {
  const Drawn s = draw(37, 1);
  const KvCache<double> cache = filled({}, s);
  for (Index t = 0; t < 37; ++t) {
    CHECK(same(cache.key(t), s.keys, t));
    CHECK(same(cache.value(t), s.values, t));
  }
  Matrix<double> q = s.queries, k = s.keys, v = s.values, o(37, width), att(kv_heads * 37, 37);
  const auto view_of = [](Matrix<double>& m) { return MatView<double>(m.data(), m.rows(), m.cols()); };
  attention_forward<double>(view_of(o), view_of(att), view_of(q), view_of(k), view_of(v),
                            {1, 37, kv_heads, kv_heads, head_width});
  CHECK(relative_error(attended({}, s), o) <= 1e-14);
}

TEST_CASE("kv cache: scores of any size attend without overflow [scores of 1e6]") {
  Drawn s = draw(5, 11);
  s.keys *= 1e3, s.queries *= 1e3;
  const Matrix<double> out = attended({}, s);
  CHECK(out.allFinite());
  CHECK(out.cwiseAbs().maxCoeff() <= s.values.cwiseAbs().maxCoeff());
}

TEST_CASE("kv cache: query heads share their key head as in the one-pass layer [4 over 2 heads]") {
  const Drawn s = draw(9, 2);
  const KvCache<double> cache = filled({}, s);
  AlignedVector<double> scratch(size_t(cache.padded_capacity()));
  Vector<double> query(2 * width), out(2 * width), single(width);
  for (Index h = 0; h < 4; ++h)
    query.segment(h * head_width, head_width) = s.queries.row(8).segment(h / 2 * head_width, head_width).transpose();
  cache.attend(out.data(), query.data(), 4, scratch.data());
  cache.attend(single.data(), s.queries.row(8).data(), 2, scratch.data());
  for (Index h = 0; h < 4; ++h)
    CHECK(out.segment(h * head_width, head_width) == single.segment(h / 2 * head_width, head_width));
}

TEST_CASE("kv cache: per token the entries are those of fake_quantize, bit for bit [own token too]") {
  const Drawn s = draw(12, 3);
  for (const Grid grid : {Grid::restricted, Grid::full, Grid::midrise, Grid::asymmetric})
    for (const Quantizer& q : {Quantizer{.bits = 3, .grid = grid},
                               Quantizer{.bits = 2, .grid = grid, .granularity = Granularity::group, .group = 5}}) {
      const KvCache<double> cache = filled({.key = q, .value = q}, s);
      const Matrix<double> keys = by_head(s.keys, q), values = by_head(s.values, q);
      for (Index t = 0; t < 12; ++t) {
        CHECK(same(cache.key(t), keys, t));
        CHECK(same(cache.value(t), values, t));
      }
    }
}

TEST_CASE("kv cache: sinks and the residual window stay in full precision, all else is quantized [per token]") {
  const Drawn s = draw(20, 4);
  KvCacheOptions options = per_token(2);
  options.residual = 6, options.sinks = 3;
  const Matrix<double> keys = by_head(s.keys, options.key), values = by_head(s.values, options.value);
  const KvCache<double> cache = filled(options, s);
  for (Index t = 0; t < 20; ++t) {
    const bool is_full = t < 3 || t >= 14;
    CHECK(same(cache.key(t), is_full ? s.keys : keys, t));
    CHECK(same(cache.value(t), is_full ? s.values : values, t));
  }
}

TEST_CASE("kv cache: keys of an open group are full precision, those of a closed one share a step per channel") {
  const Drawn s = draw(11, 5);
  KvCacheOptions options = per_channel(3, 4);
  options.sinks = 2;
  const KvCache<double> cache = filled(options, s);  // sinks 0-1, closed 2-5 and 6-9, open 10
  for (const Index t : {0, 1, 10}) CHECK(same(cache.key(t), s.keys, t));
  for (const Index first : {2, 6}) {
    Matrix<double> group = s.keys.middleRows(first, 4).transpose();
    fake_quantize<double>(group, options.key, 1);
    const Matrix<double> rows = group.transpose();
    for (Index i = 0; i < 4; ++i) CHECK(same(cache.key(first + i), rows, i));
  }
  for (Index t = 0; t < 11; ++t) CHECK(same(cache.value(t), s.values, t));
}

TEST_CASE("kv cache: per-channel keys wait until the residual is reached and are then quantized in whole groups") {
  const Drawn s = draw(17, 6);
  const KvCacheOptions options = per_channel(3, 2, 8);
  KvCache<double> cache(options, kv_heads, head_width, 17);
  for (Index t = 0; t < 17; ++t) {
    cache.append(s.keys.row(t).data(), s.values.row(t).data(), stay);
    const Index flushed = (t + 1) / 8 * 8;
    CHECK(quantized_counts(options, t + 1).keys == flushed);
    for (Index j = 0; j <= t; ++j) CHECK(same(cache.key(j), s.keys, j) == (j >= flushed));
  }
}

TEST_CASE("kv cache: values slide out of the residual one token at a time beside per-channel keys") {
  const Drawn s = draw(70, 7);
  const KvCacheOptions options = kivi_cache(2, 8, 16);
  const KvCache<double> cache = filled(options, s);
  for (Index t = 0; t < 70; ++t) {
    CHECK(same(cache.value(t), s.values, t) == (t >= 54));
    CHECK(same(cache.key(t), s.keys, t) == (t >= 64));
  }
}

TEST_CASE("kv cache: before RoPE the key is quantized as written and turned when read, after RoPE the other way") {
  const Drawn s = draw(9, 8);
  const auto turn = rope(9);
  for (KvCacheOptions options : {per_token(3), per_channel(3, 3)}) {
    const KvCache<double> post = filled(options, s, turn);
    options.pre_rope = true;
    const KvCache<double> pre = filled(options, s, turn);
    Matrix<double> turned = s.keys;
    for (Index t = 0; t < 9; ++t) turn(turned.row(t).data(), t);
    const KvCache<double> of_turned = filled(options, {turned, s.values, s.queries});
    const KvCache<double> of_plain = filled(options, s);
    for (Index t = 0; t < 9; ++t) {
      std::vector<double> key = of_plain.key(t);
      turn(key.data(), t);
      CHECK(pre.key(t) == key);
      CHECK(post.key(t) == of_turned.key(t));
    }
  }
}

TEST_CASE("kv cache: clipping shrinks the steps by its factor and nothing exceeds the clipped extreme") {
  const Drawn s = draw(6, 9);
  KvCacheOptions options = per_token(4);
  options.key.rule = ScaleRule::clip, options.key.rule_value = 0.5;
  const KvCache<double> cache = filled(options, s);
  for (Index t = 0; t < 6; ++t) {
    const std::vector<double> key = cache.key(t);
    for (Index h = 0; h < kv_heads; ++h) {
      const auto raw = s.keys.row(t).segment(h * head_width, head_width);
      const double top = 0.5 * raw.cwiseAbs().maxCoeff();
      for (Index c = 0; c < head_width; ++c) {
        const double x = key[size_t(h * head_width + c)];
        CHECK(std::abs(x) <= top * (1 + 1e-15));
        const double inside = std::min(std::max(raw[c], -top), top);
        CHECK(std::abs(x - inside) <= top / 7 / 2 * (1 + 1e-12));
      }
    }
  }
}

TEST_CASE("kv cache: the error of attention falls with the bits and ends at rounding level [2 to 15 bits]") {
  const Drawn s = draw(64, 10);
  const Matrix<double> exact = attended({}, s);
  for (const bool channel : {false, true}) {
    double last = INFINITY;
    for (const int bits : {2, 3, 4, 6, 8, 12, 15}) {
      KvCacheOptions options = channel ? per_channel(bits, 8) : per_token(bits);
      options.value.bits = bits;
      const double error = relative_error(attended(options, s), exact);
      CHECK(error < last);
      last = error;
    }
    CHECK(last < 2e-4);
  }
}

TEST_CASE("kv cache: with outlier key channels 2-bit keys per channel beat keys per token in attention error") {
  double channel_error = 0, token_error = 0;
  for (std::uint32_t draw_number = 0; draw_number < 8; ++draw_number) {
    Drawn s = draw(128, 20 + draw_number);
    s.keys.col(3).array() = s.keys.col(3).array() * 0.5 + 10;
    s.keys.col(12).array() = s.keys.col(12).array() * 0.5 - 8;
    const Matrix<double> exact = attended({}, s);
    const Quantizer two{.bits = 2, .grid = Grid::float_min};
    KvCacheOptions options{.key = two, .value = two, .key_axis = KeyAxis::channel, .key_group = 32};
    channel_error += (attended(options, s) - exact).squaredNorm();
    options.key_axis = KeyAxis::token, options.key_group = 0;
    token_error += (attended(options, s) - exact).squaredNorm();
  }
  CHECK(channel_error < 0.8 * token_error);
}

TEST_CASE("kv cache: what is quantized is what quantized_counts says [random options]") {
  CHECK(rc::check([] {
    KvCacheOptions options;
    options.key.bits = *rc::gen::element(2, 16);
    options.value.bits = *rc::gen::element(2, 16);
    const Index group = *rc::gen::inRange(1, 5);
    if (*rc::gen::arbitrary<bool>()) options.key_axis = KeyAxis::channel, options.key_group = group;
    options.residual = group * *rc::gen::inRange(0, 4);
    options.sinks = *rc::gen::inRange(0, 5);
    options.pre_rope = *rc::gen::arbitrary<bool>();
    const Index length = *rc::gen::inRange(1, 30);
    const Drawn s = draw(length, 50);
    const KvCache<double> cache = filled(options, s);
    const QuantizedCounts counts = quantized_counts(options, length);
    // With a group of one token the step is the value itself: keys per channel come back as they were.
    const bool lossless = options.key_axis == KeyAxis::channel && group == 1;
    for (Index t = 0; t < length; ++t) {
      const auto inside = [&](Index count) { return t >= options.sinks && t < options.sinks + count; };
      RC_ASSERT(same(cache.key(t), s.keys, t) == (lossless || !inside(counts.keys)));
      RC_ASSERT(same(cache.value(t), s.values, t) == !inside(counts.values));
    }
  }));
}

TEST_CASE("kv cache: bits per value count steps, zero points and what is kept in full") {
  const KvCacheOptions kivi = kivi_cache(2, 4, 8);
  const KvBits all = bits_per_cached_value(kivi, kv_heads, head_width, 16);
  CHECK(all.key == 2 + (16 + 16) / 4.0);
  CHECK(all.value == ((2 + (16 + 16) / 4.0) * 8 + 16 * 8) / 16);
  CHECK(all.mean() == (all.key + all.value) / 2);
  CHECK(bits_per_cached_value(kivi, kv_heads, head_width, 7).mean() == 16);
  CHECK(bits_per_cached_value(per_token(3), kv_heads, head_width, 5).mean() == 3 + 16.0 / head_width);
  KvCacheOptions sinks = per_token(4);
  sinks.sinks = 2;
  CHECK(bits_per_cached_value(sinks, kv_heads, head_width, 4).key == (2 * 16 + 2 * (4 + 16.0 / head_width)) / 4);
  CHECK(bits_per_cached_value({}, kv_heads, head_width, 4).mean() == 16);
}

TEST_CASE("kv cache: zero vectors stay zero and attend finitely [2 bits, both axes]") {
  const Drawn zeros{Matrix<double>::Zero(8, width), Matrix<double>::Zero(8, width), draw(8, 60).queries};
  for (KvCacheOptions options : {per_token(2), per_channel(2, 4), per_channel(2, 1), kivi_cache(2, 2, 4)})
    CHECK(attended(options, zeros).norm() == 0);
}

TEST_CASE("kv cache: a number to be quantized that is not finite is named with position and channel") {
  Drawn s = draw(5, 61);
  s.keys(3, 2) = NAN;
  const auto told = message_of<ContractError>([&] { filled(per_token(3), s); });
  CHECK(mentions(told, "the key at position 3, channel 2 is nan"));
  CHECK(mentions(message_of<ContractError>([&] { filled(per_channel(3, 4), s); }), "position 3, channel 2"));
  CHECK_NOTHROW(filled({}, s));
  s.keys(3, 2) = 0, s.values(4, 15) = INFINITY;
  CHECK(mentions(message_of<ContractError>([&] { filled(per_token(3), s); }), "the value at position 4, channel 15"));
}

TEST_CASE("kv cache: a full cache refuses another token; a cleared one repeats its bits") {
  const Drawn s = draw(6, 62);
  KvCache<double> cache = filled(kivi_cache(2, 2, 2), s);
  CHECK_THROWS_AS(cache.append(s.keys.row(0).data(), s.values.row(0).data(), stay), ContractError);
  const std::vector<double> before = cache.key(4);
  cache.clear();
  CHECK(cache.length() == 0);
  for (Index t = 0; t < 6; ++t) cache.append(s.keys.row(t).data(), s.values.row(t).data(), stay);
  CHECK(cache.key(4) == before);
}

TEST_CASE("kv cache: every wrong option is named with its value and the fix") {
  KvCacheOptions o = per_token(3);
  o.key.granularity = Granularity::tensor, o.value.rounding = Rounding::stochastic;
  o.residual = -1, o.sinks = -2, o.key_group = 4;
  const std::string told = message_of<OptionError>([&] { o.validate(); });
  for (const char* part : {"kv.key.granularity = 'tensor'", "kv.value.rounding = 'stochastic'", "kv.residual = -1",
                           "kv.sinks = -2", "kv.key_group = 4"})
    CHECK_MESSAGE(mentions(told, part), part);
  CHECK(mentions(message_of<OptionError>([] { per_channel(3, 0).validate(); }), "kv.key_group = 0"));
  CHECK(mentions(message_of<OptionError>([] { per_channel(3, 4, 6).validate(); }), "no multiple of kv.key_group = 4"));
  o = per_channel(3, 4);
  o.key.granularity = Granularity::group, o.key.group = 2;
  CHECK(mentions(message_of<OptionError>([&] { o.validate(); }), "kv.key.granularity = 'group'"));
  CHECK(mentions(message_of<OptionError>([] { per_token(0).validate(); }), "kv.key.bits = 0"));
  o = per_token(3);
  o.key.outlier_threshold = 6;
  CHECK(mentions(message_of<OptionError>([&] { o.validate(); }), "kv.key.outlier_threshold = 6"));
  o = per_token(16);
  o.value.format = Format::nf4, o.value.scale = ScaleKind::e4m3_two_level;
  CHECK(mentions(causality_problem(o.value, "kv.value"), "kv.value.scale = 'e4m3_two_level'"));
  CHECK_NOTHROW(kivi_cache(2).validate());
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
