#include "sim/data/hidden_markov.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/data/permutation.hpp"

namespace hone {
namespace {

// Substreams of Domain::synthetic that belong to this source: one for the hidden states, the next
// for what they emit. 32 + s orders the tokens of state s.
constexpr std::uint32_t training_substream = 16;
constexpr std::uint32_t evaluation_substream = 18;
constexpr std::uint32_t estimate_substream = 20;
constexpr std::uint32_t first_state_substream = 32;

constexpr std::uint64_t longest_sequence = std::uint64_t(1) << 20;

MarkovOptions chain_options(const HiddenMarkovOptions& options) {
  options.validate();
  return {.vocabulary = options.states,
          .order = 1,
          .zipf_exponent = 0,
          .coupling = options.coupling,
          .source_seed = options.source_seed,
          .data_seed = options.data_seed};
}

/// The token of rank `rank` in a state.
Index token_of_rank(const HiddenMarkovOptions& options, Index state, Index rank) {
  if (options.emission == Emission::revealing) return state + rank * options.states;
  const auto substream = first_state_substream + static_cast<std::uint32_t>(state);
  return permuted(rank, options.vocabulary, {options.source_seed, Domain::synthetic, substream});
}

Stream emissions_of(Stream states) {
  ++states.substream;
  return states;
}

double entropy(const Vector<double>& law) {
  double sum = 0;
  for (const double p : law) sum -= p > 0 ? p * std::log(p) : 0;
  return sum;
}

}  // namespace

void HiddenMarkovOptions::validate() const {
  std::string complaints;
  const auto complain = [&](const std::string& what) { complaints += (complaints.empty() ? "" : "; ") + what; };
  if (vocabulary < 2 || vocabulary > 65536)
    complain(fmt::format("hidden_markov vocabulary is {}, give 2 to 65536", vocabulary));
  if (states < 2 || states > std::min<Index>(vocabulary, 4096))
    complain(fmt::format("hidden_markov states is {}, give 2 to {}", states, std::min<Index>(vocabulary, 4096)));
  if (emission == Emission::revealing && states >= 2 && vocabulary % states != 0)
    complain(
        fmt::format("hidden_markov vocabulary {} is not a multiple of the {} states, which a revealing "
                    "emission needs; change one of them",
                    vocabulary, states));
  if (!(zipf_exponent >= 0 && zipf_exponent <= 8))
    complain(fmt::format("hidden_markov zipf_exponent is {}, give a value from 0 to 8", zipf_exponent));
  if (!(coupling >= 0 && coupling < 1))
    complain(fmt::format("hidden_markov coupling is {}, give a value from 0 to below 1", coupling));
  if (!complaints.empty()) throw OptionError(complaints);
}

HiddenMarkovSource::HiddenMarkovSource(const HiddenMarkovOptions& options)
    : options_(options), chain_(chain_options(options)) {
  const Index S = options_.states;
  const Index tokens_of_state =
      options_.emission == Emission::revealing ? options_.vocabulary / S : options_.vocabulary;
  law_ = zipf_law(tokens_of_state, options_.zipf_exponent);
  cumulative_ = law_;
  for (Index r = 1; r < law_.size(); ++r) cumulative_[r] += cumulative_[r - 1];
  transition_.resize(S, S);
  emission_.setZero(S, options_.vocabulary);
  for (Index s = 0; s < S; ++s) {
    const auto state = static_cast<std::uint16_t>(s);
    for (Index next = 0; next < S; ++next)
      transition_(s, next) = chain_.probability({&state, 1}, static_cast<std::uint16_t>(next));
    for (Index r = 0; r < law_.size(); ++r) emission_(s, token_of_rank(options_, s, r)) = law_[r];
  }
}

std::vector<std::uint16_t> HiddenMarkovSource::draw(const Stream& stream, std::int64_t s, Index length) const {
  std::vector<std::uint16_t> tokens = chain_.draw(stream, s, length);  // of hidden states, replaced in place
  for (Index t = 0; t < length; ++t) {
    const auto counter = static_cast<std::uint64_t>(s) * longest_sequence + static_cast<std::uint64_t>(t);
    const double u = uniform(emissions_of(stream), counter);
    const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), u);
    const Index rank = std::min<Index>(found - cumulative_.begin(), cumulative_.size() - 1);
    tokens[t] = static_cast<std::uint16_t>(token_of_rank(options_, tokens[t], rank));
  }
  return tokens;
}

std::vector<std::uint16_t> HiddenMarkovSource::sequence(std::int64_t s, Index length) const {
  return draw({options_.data_seed, Domain::synthetic, training_substream}, s, length);
}

TokenBatch HiddenMarkovSource::batch(std::int64_t step, Index sequences, Index positions) const {
  return stacked_windows(sequences, positions, [&](Index b) { return sequence(step * sequences + b, positions + 1); });
}

TokenBatch HiddenMarkovSource::evaluation_windows(Index positions, Index count) const {
  const Stream stream{options_.source_seed, Domain::synthetic, evaluation_substream};
  return stacked_windows(count, positions, [&](Index k) { return draw(stream, k, positions + 1); });
}

std::vector<double> HiddenMarkovSource::surprises(std::span<const std::uint16_t> tokens) const {
  const Index S = options_.states;
  Vector<double> state = Vector<double>::Constant(S, 1.0 / static_cast<double>(S));
  std::vector<double> out;
  out.reserve(tokens.size());
  for (size_t t = 0; t < tokens.size(); ++t) {
    // `state` is the law of the hidden state given the tokens before t.
    state = state.cwiseProduct(emission_.col(tokens[t]));
    const double probability = state.sum();
    if (t > 0) out.push_back(-std::log(probability));
    const Vector<double> filtered = state / probability;
    state.noalias() = transition_.transpose() * filtered;
  }
  return out;
}

double HiddenMarkovSource::source_loss_nats(const TokenBatch& windows) const {
  const Index width = windows.positions + 1;
  double sum = 0;
  for (Index b = 0; b < windows.sequences; ++b)
    for (const double surprise : surprises({windows.tokens.data() + b * width, static_cast<size_t>(width)}))
      sum += surprise;
  return sum / static_cast<double>(windows.sequences * windows.positions);
}

std::optional<double> HiddenMarkovSource::exact_entropy_rate_nats() const {
  if (options_.emission != Emission::revealing) return std::nullopt;
  return chain_.entropy_rate_nats() + entropy(law_);
}

EntropyEstimate HiddenMarkovSource::estimate_entropy_rate(Index sequences, Index length) const {
  EXPECTS(sequences >= 2 && length >= 8, "entropy rate from {} sequences of {}", sequences, length);
  const Stream stream{options_.source_seed, Domain::synthetic, estimate_substream};
  const Index skipped = length / 4, kept = length - 1 - skipped;
  Vector<double> mean = Vector<double>::Zero(sequences);
  for (Index s = 0; s < sequences; ++s) {
    const std::vector<double> surprise = surprises(draw(stream, s, length));
    for (Index t = skipped; t < length - 1; ++t) mean[s] += surprise[t] / static_cast<double>(kept);
  }
  EntropyEstimate estimate{.nats = mean.mean(), .sequences = sequences, .tokens = sequences * kept};
  const double variance = (mean.array() - estimate.nats).square().sum() / static_cast<double>(sequences - 1);
  estimate.standard_error = std::sqrt(variance / static_cast<double>(sequences));
  return estimate;
}

}  // namespace hone
