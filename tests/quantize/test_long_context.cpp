// Measurements of long contexts: the null of independent keys and values, losses by position, copying, free runs.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "sim/quantize/long_context.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

constexpr Index context = 16;

Transformer<double> tiny_model() {
  TransformerOptions options = tiny_llama();
  options.positions = context, options.kv_heads = 2;
  return Transformer<double>(options);
}

DecodingVariant<double> variant(int bits, Index max_length, std::uint32_t number = 1) {
  const Transformer<double> model = tiny_model();
  const Vector<double> theta = random_parameters(model.layout(), number);
  return {std::make_shared<DecoderWeights<double>>(model, theta.data()),
          {.cache = {.key = {.bits = bits}, .value = {.bits = bits}}, .max_length = max_length}};
}

/// Relative squared error of attention over `length` independent normal keys and values, mean over queries.
double null_error(Index length, int bits, std::uint32_t number) {
  constexpr Index channels = 64, queries = 48;
  KvCache<double> full({}, 1, channels, length),
      rough({.key = {.bits = bits}, .value = {.bits = bits}}, 1, channels, length);
  const Vector<double> drawn = normals(2 * channels * length, number),
                       asked = normals(channels * queries, number + 500);
  const auto stay = [](double*, Index) {};
  for (Index t = 0; t < length; ++t)
    for (KvCache<double>* cache : {&full, &rough})
      cache->append(drawn.data() + 2 * t * channels, drawn.data() + (2 * t + 1) * channels, stay);
  AlignedVector<double> scratch(size_t(full.padded_capacity()));
  Vector<double> exact(channels), changed(channels);
  double error = 0, power = 0;
  for (Index i = 0; i < queries; ++i) {
    full.attend(exact.data(), asked.data() + i * channels, 1, scratch.data());
    rough.attend(changed.data(), asked.data() + i * channels, 1, scratch.data());
    error += (changed - exact).squaredNorm(), power += exact.squaredNorm();
  }
  return error / power;
}

TEST_SUITE_BEGIN("long_context");

TEST_CASE("kv cache: on independent keys and values the relative error of attention is flat in the length [3 bits]") {
  std::vector<double> errors;
  for (const Index length : {64, 512, 4096}) {
    double sum = 0;
    for (std::uint32_t i = 0; i < 4; ++i) sum += null_error(length, 3, 1000 + i + std::uint32_t(length)) / 4;
    errors.push_back(sum);
    MESSAGE("T = ", length, ": ", sum);
  }
  const auto [low, high] = std::minmax_element(errors.begin(), errors.end());
  CHECK(*low > 0);
  CHECK(*high < 1.3 * *low);
}

TEST_CASE("octave_edges: powers of two up to the length, each position in one bucket") {
  CHECK(octave_edges(1) == std::vector<Index>{0, 1});
  CHECK(octave_edges(8) == std::vector<Index>{0, 1, 2, 4, 8});
  CHECK(octave_edges(11) == std::vector<Index>{0, 1, 2, 4, 8, 11});
  CHECK_THROWS_AS(octave_edges(0), ContractError);
}

TEST_CASE("decoded_losses: full precision equals the row losses of the one-pass forward [35 windows, 2 threads]") {
  const Transformer<double> model = tiny_model();
  const Vector<double> theta = random_parameters(model.layout(), 1);
  const TokenBatch windows = random_tokens(model.options(), 35, 3);
  auto acts = model.make_acts(35);
  model.forward(theta.data(), windows, 0, acts, {});
  DecodingVariant<double> full = variant(16, context);
  full.options.threads = 2;
  const Matrix<double> losses = decoded_losses(full, windows);
  const ConstMatView<double> expected(acts.row_loss.data, 35, context);
  CHECK(relative_error(losses, expected) <= 1e-12);
  full.options.threads = 1;
  CHECK(decoded_losses(full, windows) == losses);
}

TEST_CASE("compare_by_position: means and paired errors are those of the window means, worked by hand") {
  Matrix<double> reference(2, 4), changed(2, 4);
  reference << 1, 2, 3, 5, 2, 2, 4, 4;
  changed << 2, 2, 3, 7, 2, 5, 4, 6;
  const auto buckets = compare_by_position(changed, reference, {0, 1, 3});
  REQUIRE(buckets.size() == 2);
  CHECK(buckets[0].difference.mean == 0.5);
  CHECK(buckets[0].difference.standard_error == 0.5);
  CHECK(buckets[1].first == 1);
  CHECK(buckets[1].last == 3);
  CHECK(buckets[1].reference.mean == 2.75);
  CHECK(buckets[1].reference.count == 2);
  CHECK(buckets[1].changed.mean == 3.5);
  CHECK(buckets[1].difference.mean == 0.75);
  CHECK(buckets[1].difference.standard_error == 0.75);
  CHECK_THROWS_AS(compare_by_position(changed, reference, {0, 2, 2}), ContractError);
  CHECK_THROWS_AS(compare_by_position(changed, reference, {0, 5}), ContractError);
}

TEST_CASE("teacher-forced: to 8 times the context a cache of fewer bits costs more in every octave, 15 bits nothing") {
  const Index length = 8 * context;
  TransformerOptions longer = tiny_model().options();
  longer.positions = length;
  const TokenBatch windows = random_tokens(longer, 12, 5);
  const Matrix<double> full = decoded_losses(variant(16, length), windows);
  const auto edges = octave_edges(length);
  const auto spread = [&](int bits) {
    const auto buckets = compare_by_position(decoded_losses(variant(bits, length), windows), full, edges);
    std::vector<double> errors;
    for (const BucketComparison& b : buckets) errors.push_back(b.difference.standard_error);
    return errors;
  };
  const auto two = spread(2), six = spread(6), fifteen = spread(15);
  for (size_t i = 0; i < two.size(); ++i) {
    CHECK(six[i] < 0.5 * two[i]);
    CHECK(fifteen[i] < 1e-3);
  }
  CHECK_THROWS_AS(decoded_losses(variant(16, context), windows), ContractError);
}

TEST_CASE("copy_windows: the block comes again at its distance, and the seed decides all") {
  const CopyTask task{.block = 5, .distance = 9};
  const TokenBatch windows = copy_windows(task, 50, 3, 7);
  CHECK(windows.positions == 13);
  for (Index w = 0; w < 3; ++w)
    for (Index t = 0; t < 5; ++t) CHECK(windows.tokens[size_t(w * 14 + t)] == windows.tokens[size_t(w * 14 + t + 9)]);
  CHECK(copy_windows(task, 50, 3, 7).tokens == windows.tokens);
  CHECK(copy_windows(task, 50, 3, 8).tokens != windows.tokens);
  CHECK(!std::equal(windows.tokens.begin(), windows.tokens.begin() + 14, windows.tokens.begin() + 14));
  CHECK_THROWS_WITH_AS(copy_windows({.block = 9, .distance = 8}, 50, 1, 1), doctest::Contains("distance = 8"),
                       OptionError);
}

TEST_CASE("copy_score: scores the repetition without its first token, and a variant against itself differs by 0") {
  const CopyTask task{.block = 4, .distance = 12};
  const auto full = variant(16, 16), rough = variant(2, 16);
  const CopyScore score = copy_score(rough, full, task, 6, 3);
  const TokenBatch windows = copy_windows(task, 11, 6, 3);
  const Matrix<double> before = decoded_losses(full, windows), now = decoded_losses(rough, windows);
  CHECK_NEAR(score.first_loss.mean, before.leftCols(3).mean(), 1e-13, 0);
  CHECK_NEAR(score.reference_loss.mean, before.middleCols(12, 3).mean(), 1e-13, 0);
  CHECK_NEAR(score.changed_loss.mean, now.middleCols(12, 3).mean(), 1e-13, 0);
  CHECK_NEAR(score.loss_difference.mean, score.changed_loss.mean - score.reference_loss.mean, 1e-10, 1e-14);
  CHECK(score.reference_loss.count == 6);
  CHECK(score.distance == 12);
  Decoder<double> decoder(full.weights, full.options, 1);
  double hits = 0;
  for (Index w = 0; w < 6; ++w) {
    decoder.reset();
    decoder.feed(std::span(windows.tokens).subspan(size_t(w * 16), 15), [&](Index, Index t, ConstVecView<double> z) {
      Index best = 0;
      z.maxCoeff(&best);
      hits += t >= 12 && best == windows.tokens[size_t(w * 16 + t + 1)];
    });
  }
  CHECK_NEAR(score.reference_accuracy.mean, hits / 18, 1e-13, 1e-15);
  const CopyScore same = copy_score(full, full, task, 6, 3);
  CHECK(same.loss_difference.mean == 0);
  CHECK(same.loss_difference.standard_error == 0);
  CHECK(same.accuracy_difference.mean == 0);
}

TEST_CASE("free_running: a variant against itself never differs [greedy; sampled]") {
  const TokenBatch prompts{5, 3, ids<std::uint16_t>(20, 11, 40)};
  for (const double temperature : {0.0, 1.0}) {
    const FreeRunning run = free_running(variant(3, 20), variant(3, 20), prompts, 12, {temperature, 5});
    CHECK(run.first_difference == std::vector<Index>(5, 12));
    CHECK(run.reference == run.changed);
    for (Index t = 0; t < 12; ++t) {
      CHECK(run.agreement[size_t(t)].mean == 1);
      CHECK(run.kl[size_t(t)].mean == 0);
    }
  }
}

TEST_CASE("free_running: the reference run is the greedy decoding, and a seed repeats a sampled one") {
  const TokenBatch prompts{1, 3, ids<std::uint16_t>(4, 11, 41)};
  const auto full = variant(16, 20);
  const FreeRunning greedy = free_running(variant(2, 20), full, prompts, 10, {});
  std::vector<std::uint16_t> tokens = prompts.tokens;
  for (Index t = 0; t < 10; ++t) {
    Decoder<double> decoder(full.weights, full.options, 1);
    const ConstMatView<double> logits = decoder.prefill(tokens);
    tokens.push_back(std::uint16_t(std::max_element(logits.data(), logits.data() + 11) - logits.data()));
    CHECK(greedy.reference(0, t) == tokens.back());
  }
  CHECK(free_running(full, full, prompts, 10, {1e-6, 1}).reference == greedy.reference);
  const auto sampled = [&](std::uint64_t seed) { return free_running(full, full, prompts, 10, {1.5, seed}).reference; };
  CHECK(sampled(1) == sampled(1));
  CHECK(sampled(1) != sampled(2));
  CHECK_THROWS_AS(free_running(full, full, prompts, 10, {NAN, 1}), OptionError);
  CHECK_THROWS_AS(free_running(full, full, prompts, 18, {}), ContractError);
}

TEST_CASE("free_running: KL is that of the two next-token laws after the reference's tokens") {
  const TokenBatch prompts{1, 3, ids<std::uint16_t>(4, 11, 43)};
  const auto full = variant(16, 30), rough = variant(2, 30);
  const FreeRunning run = free_running(rough, full, prompts, 20, {1.0, 9});
  REQUIRE(run.first_difference[0] < 19);
  std::vector<std::uint16_t> tokens = prompts.tokens;
  for (Index t = 0; t < 20; ++t) {
    const auto law = [&](const DecodingVariant<double>& v) {
      Decoder<double> decoder(v.weights, v.options, 1);
      const ConstMatView<double> logits = decoder.prefill(tokens);
      const Vector<double> weights = ConstVecView<double>(logits.data(), 11).array().exp();
      return Vector<double>(weights / weights.sum());
    };
    const Vector<double> p = law(full), q = law(rough);
    CHECK_NEAR(run.kl[size_t(t)].mean, (p.array() * (p.array() / q.array()).log()).sum(), 1e-9, 1e-12);
    tokens.push_back(run.reference(0, t));
  }
}

TEST_CASE("free_running: the first difference and the agreement are those of the tokens, KL is positive and falls") {
  const TokenBatch prompts{8, 3, ids<std::uint16_t>(32, 11, 42)};
  const auto full = variant(16, 40);
  const FreeRunning rough = free_running(variant(2, 40), full, prompts, 30, {});
  CHECK(*std::min_element(rough.first_difference.begin(), rough.first_difference.end()) < 30);
  for (Index b = 0; b < 8; ++b) {
    const Index first = rough.first_difference[size_t(b)];
    CHECK(rough.reference.row(b).head(first) == rough.changed.row(b).head(first));
    if (first < 30) CHECK(rough.reference(b, first) != rough.changed(b, first));
  }
  for (Index t = 0; t < 30; ++t)
    CHECK(rough.agreement[size_t(t)].mean * 8 ==
          double((rough.reference.col(t).array() == rough.changed.col(t).array()).count()));
  const auto total = [](const FreeRunning& run) {
    return std::accumulate(run.kl.begin(), run.kl.end(), 0.0, [](double sum, const MeanEstimate& kl) {
      CHECK(kl.mean > 0);
      return sum + kl.mean;
    });
  };
  const double six = total(free_running(variant(6, 40), full, prompts, 30, {}));
  CHECK(six < 0.1 * total(rough));
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
