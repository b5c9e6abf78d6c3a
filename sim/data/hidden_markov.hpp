// A source of tokens that depend on the past at every distance: a hidden Markov chain. Its entropy rate
// is an integral over the Blackwell measure of the filter and has no closed form; it is estimated
// by the forward algorithm with a standard error, and known exactly only when each token reveals
// its hidden state.
// source   Blackwell 1957, "The entropy of functions of finite-state Markov chains"
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/data/batch.hpp"
#include "sim/data/synthetic.hpp"

namespace hone {

/// `ambiguous`: every state may emit every token, each in its own random order of Zipf's law.
/// `revealing`: the tokens are divided among the states, so a token tells the state.
enum class Emission { ambiguous, revealing };

struct HiddenMarkovOptions {
  Index states = 8;          ///< 2 … vocabulary, at most 4096
  Index vocabulary = 64;     ///< up to 65536
  double zipf_exponent = 1;  ///< of the emissions of a state
  double coupling = 0.9;     ///< of the hidden chain; all its states are equally frequent
  Emission emission = Emission::ambiguous;
  std::uint64_t source_seed = 0;  ///< the language and the evaluation windows
  std::uint64_t data_seed = 0;    ///< the training text

  /// errors  OptionError with all complaints
  void validate() const;
};

/// A mean over independent sequences.
/// units    nats per token
struct EntropyEstimate {
  double nats = 0;
  double standard_error = 0;
  Index sequences = 0, tokens = 0;
};

class HiddenMarkovSource {
 public:
  /// errors  OptionError
  explicit HiddenMarkovSource(const HiddenMarkovOptions& options);

  Index vocabulary() const { return options_.vocabulary; }

  /// First `length` tokens of training sequence s, started in the stationary law.
  std::vector<std::uint16_t> sequence(std::int64_t s, Index length) const;
  /// Training batch: sequences step·B … step·B+B-1, never seen before.
  TokenBatch batch(std::int64_t step, Index sequences, Index positions) const;
  /// Held-out windows, the same for every data_seed.
  TokenBatch evaluation_windows(Index positions, Index count) const;

  /// Mean of -log P(target | tokens before it in its window) by the forward algorithm: the loss of
  /// the true source on these windows.
  /// cost     states² per token
  double source_loss_nats(const TokenBatch& windows) const;

  /// Entropy rate when each token reveals its state.
  /// math     h(A) + Σ_s π_s H(B_s): the chain's own rate and the mean entropy of an emission
  std::optional<double> exact_entropy_rate_nats() const;

  /// Entropy rate by the forward algorithm on `sequences` fresh sequences of `length` tokens, whose
  /// first quarter only fills the filter; what is left of the start is below the filter's
  /// forgetting over that time.
  /// expects  sequences ≥ 2, length ≥ 8
  EntropyEstimate estimate_entropy_rate(Index sequences, Index length) const;

 private:
  std::vector<std::uint16_t> draw(const Stream& stream, std::int64_t s, Index length) const;
  /// -log P(token t+1 | tokens 0 … t) for t ≥ 0.
  std::vector<double> surprises(std::span<const std::uint16_t> tokens) const;

  HiddenMarkovOptions options_;
  MarkovSource chain_;         // of the hidden states
  Vector<double> law_;         // Zipf's law of a state's tokens
  Vector<double> cumulative_;  // of law_
  Matrix<double> transition_;  // (states, states), rows sum to 1
  Matrix<double> emission_;    // (states, vocabulary), rows sum to 1
};

}  // namespace hone
