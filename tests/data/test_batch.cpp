#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "sim/base/error.hpp"
#include "sim/data/batch.hpp"
#include "sim/data/permutation.hpp"
#include "tests/support/near.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace hone;
using hone::test::mentions;
using hone::test::message_of;

namespace {

/// A stream whose token at place i is i, so that a window tells where it was cut.
TokenStream counting_stream(std::size_t train, std::size_t validation) {
  TokenStream stream;
  stream.train.resize(train);
  stream.validation.resize(validation);
  std::iota(stream.train.begin(), stream.train.end(), std::uint16_t(0));
  std::iota(stream.validation.begin(), stream.validation.end(), std::uint16_t(0));
  stream.vocabulary = 65536;
  stream.name = "counting";
  return stream;
}

/// First tokens of the windows, after checking that each window is a run of neighbours.
std::vector<int> starts_of(const TokenBatch& batch) {
  std::vector<int> starts;
  for (Index b = 0; b < batch.sequences; ++b) {
    const auto* window = batch.tokens.data() + b * (batch.positions + 1);
    starts.push_back(window[0]);
    for (Index t = 0; t <= batch.positions; ++t) CHECK(window[t] == window[0] + t);
  }
  return starts;
}

}  // namespace

TEST_CASE("permuted: a bijection for every size") {
  for (const Index count : {1, 2, 3, 4, 5, 16, 17, 100, 1023, 4096, 5000}) {
    std::vector<bool> seen(static_cast<std::size_t>(count), false);
    for (Index i = 0; i < count; ++i) {
      const Index image = permuted(i, count, {.seed = 1, .domain = Domain::test});
      REQUIRE(image >= 0);
      REQUIRE(image < count);
      CHECK(!seen[image]);
      seen[image] = true;
    }
  }
}

TEST_CASE("permuted: items go anywhere, and each stream has its own order") {
  constexpr Index count = 1000;
  int fixed = 0, equal = 0, neighbours = 0;
  for (Index i = 0; i < count; ++i) {
    const Index a = permuted(i, count, {.seed = 1, .domain = Domain::test});
    const Index b = permuted(i, count, {.seed = 1, .domain = Domain::test, .substream = 1});
    const Index next = permuted((i + 1) % count, count, {.seed = 1, .domain = Domain::test});
    fixed += a == i, equal += a == b, neighbours += next == a + 1;
  }
  // Each count is Poisson with mean 1 for random permutations: above 9 once in 10^6.
  CHECK(fixed <= 9);
  CHECK(equal <= 9);
  CHECK(neighbours <= 9);
}

TEST_CASE("permuted: every place is equally likely for an item") {
  constexpr Index count = 10, trials = 20000;
  std::vector<double> hits(count, 0);
  for (Index k = 0; k < trials; ++k) ++hits[permuted(3, count, {.seed = std::uint64_t(k), .domain = Domain::test})];
  for (const double h : hits) CHECK_NEAR(h / trials, 0.1, 0, 5 * std::sqrt(0.09 / trials));
}

TEST_CASE("text batches: an epoch visits every window exactly once") {
  const TokenStream stream = counting_stream(60000, 0);
  const TextBatches batches(stream, 7, 31, 5);
  std::multiset<int> seen;
  const Index windows = batches.windows();
  CHECK(windows >= 60000 / 32 - 1);
  for (std::int64_t step = 0; step * 7 < 3 * windows; ++step)
    for (const int start : starts_of(batches.batch(step)))
      if (seen.size() < std::size_t(3 * windows)) seen.insert(start);
  for (const int start : seen) CHECK(seen.count(start) == 3);
  const int offset = *seen.begin();
  CHECK(offset <= 31);
  for (const int start : seen) CHECK((start - offset) % 32 == 0);
}

TEST_CASE("text batches: no window is repeated while epoch_of is 0, and epochs differ in order") {
  const TokenStream stream = counting_stream(40000, 0);
  const TextBatches batches(stream, 8, 15, 11);
  std::set<int> seen;
  std::vector<int> first, second;
  for (std::int64_t step = 0; first.size() + second.size() < std::size_t(2 * batches.windows()); ++step) {
    for (const int start : starts_of(batches.batch(step))) {
      if (batches.epoch_of(step) == 0) CHECK(seen.insert(start).second);
      (first.size() < std::size_t(batches.windows()) ? first : second).push_back(start);
    }
  }
  second.resize(first.size());
  CHECK(first != second);
  CHECK(std::is_permutation(first.begin(), first.end(), second.begin()));
}

TEST_CASE("text batches: a batch is a function of seed and step only") {
  const TokenStream stream = counting_stream(30000, 0);
  const TextBatches a(stream, 4, 63, 3), b(stream, 4, 63, 3), c(stream, 4, 63, 4);
  std::vector<std::vector<std::uint16_t>> forward;
  for (int step = 0; step < 20; ++step) forward.push_back(a.batch(step).tokens);
  for (int step = 19; step >= 0; --step) CHECK(b.batch(step).tokens == forward[step]);
  CHECK(a.batch(0).tokens != c.batch(0).tokens);
  CHECK(a.batch(0).sequences == 4);
  CHECK(a.batch(0).positions == 63);
}

TEST_CASE("text batches: the seed decides where the windows begin") {
  const TokenStream stream = counting_stream(30000, 0);
  std::set<int> offsets;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    offsets.insert(starts_of(TextBatches(stream, 1, 63, seed).batch(0)).front() % 64);
  CHECK(offsets.size() > 10);
}

TEST_CASE("text batches: the shortest text that holds a batch is enough, one token less is not") {
  const TokenStream enough = counting_stream(129 * 2, 0);
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    CHECK(starts_of(TextBatches(enough, 2, 128, seed).batch(seed)).size() == 2);
  const TokenStream stream = counting_stream(93, 0);
  const std::string message = message_of<OptionError>([&] { TextBatches(stream, 1, 128, 0); });
  CHECK(message ==
        "corpus counting has 93 tokens of training text, one batch needs 129; give a longer corpus "
        "or smaller "
        "batch/context");
}

TEST_CASE("evaluation windows: they do not overlap, are evenly spaced and stay inside") {
  for (const Index count : {1, 2, 7, 31}) {
    const TokenStream stream = counting_stream(0, 1000);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const TokenBatch windows = evaluation_windows(stream, 31, count, seed);
      const std::vector<int> starts = starts_of(windows);
      CHECK(starts.front() >= 0);
      CHECK(starts.back() + 32 <= 1000);
      for (std::size_t k = 1; k < starts.size(); ++k) {
        CHECK(starts[k] - starts[k - 1] >= 32);
        CHECK(starts[k] - starts[k - 1] == 1000 / count);
      }
      CHECK(windows.tokens == evaluation_windows(stream, 31, count, seed).tokens);
    }
  }
  for (std::uint64_t seed = 0; seed < 20; ++seed)  // no room to move
    CHECK(starts_of(evaluation_windows(counting_stream(0, 7 * 32), 31, 7, seed)).back() == 6 * 32);
  const TokenStream stream = counting_stream(0, 100);
  const std::string message = message_of<OptionError>([&] { evaluation_windows(stream, 31, 4, 0); });
  CHECK(mentions(message, "counting"));
  CHECK(mentions(message, "fewer or shorter windows"));
  CHECK_FALSE(mentions(message, "fraction"));  // no word of a study: commands on checkpoints call this too
}
