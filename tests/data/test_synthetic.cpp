#include <doctest/doctest.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "sim/data/hidden_markov.hpp"
#include "sim/data/synthetic.hpp"
#include "tests/support/near.hpp"
#include "tests/support/temporary_folder.hpp"

using namespace hone;
using hone::test::mentions;
using hone::test::message_of;

namespace {

/// Mean and standard error of source_loss_nats over `count` independent windows.
template <class Source>
EntropyEstimate loss_over_windows(const Source& source, Index positions, Index count) {
  Vector<double> loss(count);
  for (Index k = 0; k < count; ++k) loss[k] = source.source_loss_nats(source.batch(k, 1, positions));
  EntropyEstimate estimate{.nats = loss.mean(), .sequences = count, .tokens = count * positions};
  const double variance = (loss.array() - estimate.nats).square().sum() / double(count - 1);
  estimate.standard_error = std::sqrt(variance / double(count));
  return estimate;
}

std::vector<std::uint16_t> tail(const std::vector<std::uint16_t>& tokens, std::size_t begin) {
  return {tokens.begin() + static_cast<std::ptrdiff_t>(begin), tokens.end()};
}

}  // namespace

TEST_CASE("coupling kernel: rows sum to one and the marginal is stationary") {
  for (const Index vocabulary : {2, 5, 300}) {
    const Vector<double> law = zipf_law(vocabulary, 1.2);
    const CouplingKernel kernel(law, {3, Domain::test, 0}, {3, Domain::test, 1});
    Vector<double> next = Vector<double>::Zero(vocabulary);
    Index entries = 0;
    for (Index i = 0; i < vocabulary; ++i) {
      double sum = 0;
      for (const auto& entry : kernel.row(i)) {
        sum += entry.probability;
        next[entry.next] += law[i] * entry.probability;
        CHECK(entry.probability > 0);
        CHECK_NEAR(entry.cumulative, sum, 1e-14, 0);
        ++entries;
      }
      CHECK_NEAR(sum, 1.0, 1e-14, 0);
    }
    CHECK(entries <= 2 * vocabulary);
    CHECK(test::relative_error(next, law) < 1e-13);
  }
}

TEST_CASE("markov: probabilities sum to one and Zipf's law is stationary [order 1]") {
  const MarkovSource source({.vocabulary = 40, .order = 1, .zipf_exponent = 1.1, .coupling = 0.7});
  Vector<double> next = Vector<double>::Zero(40);
  for (std::uint16_t i = 0; i < 40; ++i) {
    double sum = 0;
    for (std::uint16_t j = 0; j < 40; ++j) {
      const double p = source.probability({&i, 1}, j);
      sum += p;
      next[j] += source.marginal()[i] * p;
    }
    CHECK_NEAR(sum, 1.0, 1e-13, 0);
  }
  CHECK(test::relative_error(next, zipf_law(40, 1.1)) < 1e-13);
}

TEST_CASE("markov: the law of pairs is stationary and has Zipf marginals [order 2]") {
  constexpr Index V = 12;
  const MarkovSource source({.vocabulary = V, .order = 2, .zipf_exponent = 1, .coupling = 0.9});
  Matrix<double> pair(V, V), next = Matrix<double>::Zero(V, V);
  for (std::uint16_t i = 0; i < V; ++i)
    for (std::uint16_t j = 0; j < V; ++j) pair(i, j) = source.marginal()[i] * source.probability({&i, 1}, j);
  for (std::uint16_t i = 0; i < V; ++i) {
    for (std::uint16_t j = 0; j < V; ++j) {
      const std::uint16_t past[] = {i, j};
      double sum = 0;
      for (std::uint16_t k = 0; k < V; ++k) {
        const double p = source.probability(past, k);
        sum += p;
        next(j, k) += pair(i, j) * p;
      }
      CHECK_NEAR(sum, 1.0, 1e-13, 0);
    }
  }
  CHECK(test::relative_error(next, pair) < 1e-13);
  const Vector<double> columns = next.colwise().sum().transpose();
  CHECK(test::relative_error(columns, zipf_law(V, 1)) < 1e-13);
}

TEST_CASE("markov: token frequencies in a long sample are Zipf's law") {
  for (const int order : {1, 2}) {
    const MarkovSource source({.vocabulary = 16, .order = order, .coupling = 0.6});
    constexpr Index sequences = 400, length = 256;
    Matrix<double> share = Matrix<double>::Zero(sequences, 16);
    for (Index s = 0; s < sequences; ++s)
      for (const auto token : source.sequence(s, length)) share(s, token) += 1.0 / length;
    for (Index j = 0; j < 16; ++j) {
      const double mean = share.col(j).mean();
      const double variance = (share.col(j).array() - mean).square().sum() / (sequences - 1);
      CHECK_NEAR(mean, source.marginal()[j], 0, 5 * std::sqrt(variance / sequences));
    }
  }
}

TEST_CASE("markov: neighbours in a long sample follow the law of pairs") {
  constexpr Index V = 6, sequences = 600, length = 200;
  for (const int order : {1, 2}) {
    const MarkovSource source({.vocabulary = V, .order = order, .coupling = 0.9});
    Matrix<double> share = Matrix<double>::Zero(sequences, V * V);
    for (Index s = 0; s < sequences; ++s) {
      const auto tokens = source.sequence(s, length);
      for (Index t = 1; t < length; ++t) share(s, tokens[t - 1] * V + tokens[t]) += 1.0 / (length - 1);
    }
    for (std::uint16_t i = 0; i < V; ++i) {
      for (std::uint16_t j = 0; j < V; ++j) {
        const auto column = share.col(i * V + j);
        const double mean = column.mean();
        const double variance = (column.array() - mean).square().sum() / (sequences - 1);
        CHECK_NEAR(mean, source.marginal()[i] * source.probability({&i, 1}, j), 0, 5 * std::sqrt(variance / sequences));
      }
    }
  }
}

TEST_CASE("markov: the entropy rate is the sum over all pasts and nexts") {
  constexpr Index V = 9;
  for (const int order : {1, 2}) {
    const MarkovSource source({.vocabulary = V, .order = order, .zipf_exponent = 0.8, .coupling = 0.85});
    double rate = 0;
    for (std::uint16_t i = 0; i < V; ++i) {
      for (std::uint16_t j = 0; j < V; ++j) {
        const std::uint16_t past[] = {i, j};
        const double weight = source.marginal()[i] * source.probability({&i, 1}, j);
        for (std::uint16_t k = 0; k < V; ++k) {
          const double p = source.probability(past, k);
          rate -= weight * p * std::log(p);
        }
      }
    }
    CHECK_NEAR(source.entropy_rate_nats(), rate, 1e-12, 0);
  }
}

TEST_CASE("markov: a long sample loses the entropy rate, within five standard errors") {
  for (const int order : {1, 2}) {
    for (const double coupling : {0.0, 0.5, 0.95}) {
      CAPTURE(order);
      CAPTURE(coupling);
      const MarkovSource source({.vocabulary = 64, .order = order, .coupling = coupling});
      const EntropyEstimate loss = loss_over_windows(source, 128, 400);
      CHECK_NEAR(loss.nats, source.best_loss_nats(128), 0, 5 * loss.standard_error);
      CHECK(loss.standard_error < 0.02);
      const EntropyEstimate brief = loss_over_windows(source, 1, 4000);
      CHECK_NEAR(brief.nats, source.best_loss_nats(1), 0, 5 * brief.standard_error);
    }
  }
}

TEST_CASE("markov: independent tokens have the entropy of Zipf's law, coupling lowers it") {
  const Vector<double> law = zipf_law(64, 1);
  const double entropy = -(law.array() * law.array().log()).sum();
  const MarkovSource independent({.vocabulary = 64, .coupling = 0});
  CHECK_NEAR(independent.entropy_rate_nats(), entropy, 1e-12, 0);
  const MarkovSource coupled({.vocabulary = 64, .coupling = 0.9});
  CHECK(coupled.entropy_rate_nats() < 0.7 * entropy);
}

TEST_CASE("markov: order 2 knows less from one token than from two") {
  const MarkovSource source({.vocabulary = 64, .order = 2, .coupling = 0.9});
  CHECK(source.best_loss_nats(1) > source.entropy_rate_nats() + 0.05);
  CHECK_NEAR(source.best_loss_nats(1 << 20), source.entropy_rate_nats(), 1e-5, 0);
}

TEST_CASE("synthetic: tokens are a function of seed, sequence and position") {
  const MarkovSource markov({.vocabulary = 50, .order = 2, .source_seed = 1, .data_seed = 2});
  const HiddenMarkovSource hidden({.states = 5, .vocabulary = 50, .source_seed = 1, .data_seed = 2});
  const auto check = [](const auto& source) {
    const auto whole = source.sequence(9, 100);
    const auto beginning = source.sequence(9, 40);
    CHECK(std::equal(beginning.begin(), beginning.end(), whole.begin()));
    CHECK(whole != source.sequence(10, 100));
    const TokenBatch batch = source.batch(4, 2, 99);  // sequences 8 and 9
    CHECK(tail(batch.tokens, 100) == whole);
    CHECK(source.batch(4, 2, 99).tokens == batch.tokens);
    CHECK(source.evaluation_windows(99, 2).tokens != source.batch(0, 2, 99).tokens);
  };
  check(markov);
  check(hidden);
}

TEST_CASE("synthetic: the data seed changes the text and not the language or the evaluation") {
  const MarkovSource a({.source_seed = 1, .data_seed = 2}), b({.source_seed = 1, .data_seed = 3});
  CHECK(a.sequence(0, 64) != b.sequence(0, 64));
  CHECK(a.evaluation_windows(64, 3).tokens == b.evaluation_windows(64, 3).tokens);
  const std::uint16_t past = 7;
  const MarkovSource other({.source_seed = 9, .data_seed = 2});
  double difference = 0;
  for (std::uint16_t j = 0; j < 256; ++j) {
    CHECK(a.probability({&past, 1}, j) == b.probability({&past, 1}, j));
    difference += std::abs(a.probability({&past, 1}, j) - other.probability({&past, 1}, j));
  }
  CHECK(difference > 0.1);
}

TEST_CASE("hidden markov: revealing tokens have the exact entropy rate") {
  const HiddenMarkovSource source({.states = 4, .vocabulary = 32, .emission = Emission::revealing});
  REQUIRE(source.exact_entropy_rate_nats().has_value());
  const EntropyEstimate estimate = source.estimate_entropy_rate(200, 256);
  CHECK_NEAR(estimate.nats, *source.exact_entropy_rate_nats(), 0, 5 * estimate.standard_error);
  CHECK(estimate.standard_error < 0.01);
  const EntropyEstimate loss = loss_over_windows(source, 128, 300);
  CHECK_NEAR(loss.nats, *source.exact_entropy_rate_nats(), 0, 5 * loss.standard_error);
}

TEST_CASE("hidden markov: an ambiguous source is estimated, and shorter contexts lose more") {
  const HiddenMarkovSource source({.states = 6, .vocabulary = 48});
  CHECK(!source.exact_entropy_rate_nats().has_value());
  const EntropyEstimate rate = source.estimate_entropy_rate(200, 512);
  const EntropyEstimate again = source.estimate_entropy_rate(200, 1024);
  const double error = std::hypot(rate.standard_error, again.standard_error);
  CHECK_NEAR(rate.nats, again.nats, 0, 5 * error);
  CHECK(rate.standard_error < 0.01);
  const EntropyEstimate brief = loss_over_windows(source, 1, 4000);
  CHECK(brief.nats > rate.nats + 3 * brief.standard_error);
}

TEST_CASE("hidden markov: the forward algorithm is the sum over all hidden paths") {
  // Tokens of a revealing source name their states, so P(x₁|x₀) = A(s₀, s₁) P(x₁|s₁) by hand.
  constexpr int states = 9;
  const HiddenMarkovSource source(
      {.states = states, .vocabulary = 2 * states, .coupling = 0.6, .emission = Emission::revealing});
  const MarkovSource chain({.vocabulary = states, .zipf_exponent = 0, .coupling = 0.6});
  const Vector<double> law = zipf_law(2, 1);
  for (std::uint16_t x0 = 0; x0 < 2 * states; ++x0) {
    for (std::uint16_t x1 = 0; x1 < 2 * states; ++x1) {
      const std::uint16_t s0 = x0 % states, s1 = x1 % states;
      const double expected = -std::log(chain.probability({&s0, 1}, s1) * law[x1 / states]);
      CHECK_NEAR(source.source_loss_nats({1, 1, {x0, x1}}), expected, 1e-12, 0);
    }
  }
}

TEST_CASE("hidden markov: states and emissions are drawn independently") {
  const HiddenMarkovSource source(
      {.states = 2, .vocabulary = 4, .zipf_exponent = 0, .coupling = 0, .emission = Emission::revealing});
  constexpr Index length = 4000;
  const auto tokens = source.sequence(0, length);
  // A draw of the state at t and one of the emission at t or 2t must not be the same number.
  for (const Index stretch : {1, 2}) {
    Index equal = 0;
    for (Index t = 0; t < length / 2; ++t) equal += tokens[t] % 2 == tokens[stretch * t] / 2;
    CHECK_NEAR(double(equal) / (length / 2), 0.5, 0, 5 * std::sqrt(0.25 / (length / 2)));
  }
}

TEST_CASE("synthetic: each error names the field and the fix") {
  const std::string markov =
      message_of<OptionError>([] { MarkovSource({.vocabulary = 1, .order = 3, .zipf_exponent = -1, .coupling = 1}); });
  for (const char* part : {"vocabulary is 1", "order is 3", "zipf_exponent is -1", "coupling is 1", "give"})
    CHECK(mentions(markov, part));
  CHECK(mentions(message_of<OptionError>([] { MarkovSource({.vocabulary = 4096, .order = 2}); }), "2048"));
  CHECK(mentions(message_of<OptionError>([] { MarkovSource({.zipf_exponent = NAN}); }), "zipf"));
  const std::string hidden = message_of<OptionError>(
      [] { HiddenMarkovSource({.states = 5, .vocabulary = 64, .coupling = NAN, .emission = Emission::revealing}); });
  CHECK(mentions(hidden, "multiple of the 5 states"));
  CHECK(mentions(hidden, "coupling"));
}
