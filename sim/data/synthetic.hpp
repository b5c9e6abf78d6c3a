// A source of tokens that never repeats and whose entropy rate is known exactly: a Markov chain of
// order 1 or 2 with Zipfian token frequencies. The loss of a
// model above that rate is an error of the model.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/data/batch.hpp"

namespace hone {

/// Zipf's law over V ranks.
/// math     π_j = (j+1)^-s / Σ_i (i+1)^-s
Vector<double> zipf_law(Index vocabulary, double exponent);

/// A random sparse transition kernel that leaves `marginal` unchanged: K_ij = |I_i ∩ J_j| / π_i,
/// where the I and the J cut [0, 1) into intervals of lengths π in two random orders.
class CouplingKernel {
 public:
  struct Entry {
    Index next;
    double probability;
    double cumulative;  ///< of this and the entries before it in the row; 1 at the last
  };
  /// expects  marginal positive with sum 1;
  /// cost     linear in V, at most 2V-1 entries
  CouplingKernel(const Vector<double>& marginal, const Stream& rows_order, const Stream& columns_order);

  std::span<const Entry> row(Index state) const;
  double probability(Index state, Index next) const;
  /// Inverse of the row's cumulative distribution at u in (0, 1).
  Index draw(Index state, double u) const;

 private:
  std::vector<Entry> entries_;
  std::vector<size_t> begin_, end_;  // of each row
};

struct MarkovOptions {
  Index vocabulary = 256;         ///< 2 … 65536; for order 2 at most 2048 (a table of V² doubles)
  int order = 1;                  ///< 1 or 2
  double zipf_exponent = 1;       ///< s ≥ 0 of the token frequencies, V^-s ≥ 1e-10; 0 = uniform
  double coupling = 0.8;          ///< a in [0, 1): weight of the past; 0 = independent tokens
  std::uint64_t source_seed = 0;  ///< the language: transition kernels and evaluation windows
  std::uint64_t data_seed = 0;    ///< the training text

  /// errors  OptionError with all complaints
  void validate() const;
};

/// math     P(next = j | i₁, i₂) = (1-a) π_j + Σ_l a_l K^l_{i_l j},  a_l = a/order,  i_l the token
///          l places back. Every K^l leaves π unchanged and a < 1, so π is the only stationary law
///          of single tokens.
/// ensures  every token is a pure function of (seeds, sequence number, position)
/// source   mixture transition distribution: Raftery 1985
class MarkovSource {
 public:
  /// errors   OptionError.
  /// cost     about 100 V² for order 2, linear in V otherwise
  explicit MarkovSource(const MarkovOptions& options);

  Index vocabulary() const { return options_.vocabulary; }
  const Vector<double>& marginal() const { return marginal_; }

  /// First `length` tokens of sequence s of `stream`; the counters of sequence s belong to it
  /// alone.
  /// expects  length ≤ 2^20
  std::vector<std::uint16_t> draw(const Stream& stream, std::int64_t s, Index length) const;
  /// First `length` tokens of training sequence s, in the stationary law; a longer call has the
  /// same beginning.
  std::vector<std::uint16_t> sequence(std::int64_t s, Index length) const;
  /// Training batch: sequences step·B … step·B+B-1, never seen before.
  TokenBatch batch(std::int64_t step, Index sequences, Index positions) const;
  /// Held-out windows, the same for every data_seed.
  TokenBatch evaluation_windows(Index positions, Index count) const;

  /// P(next | all tokens before it), of which the last one or two matter.
  /// expects  `past` not empty; with one token, order 2 sums over the unknown one
  double probability(std::span<const std::uint16_t> past, std::uint16_t next) const;
  /// Mean of -log P(target | tokens before it in its window): the loss of the true source on these
  /// windows.
  double source_loss_nats(const TokenBatch& windows) const;
  /// Entropy of a token given all tokens before it.
  /// units    nats per token
  double entropy_rate_nats() const { return entropy_rate_nats_; }
  /// Expectation of source_loss_nats: the least expected loss of any model on windows of T
  /// positions.
  double best_loss_nats(Index positions) const;

 private:
  double weight() const { return options_.coupling / options_.order; }
  void find_pair_law();
  void find_entropies();

  MarkovOptions options_;
  Vector<double> marginal_, cumulative_;
  std::vector<CouplingKernel> kernels_;  // of lag 1, lag 2
  Matrix<double> pair_law_;              // order 2: P(i₂, i₁) of neighbours, stationary
  double entropy_rate_nats_ = 0, first_entropy_nats_ = 0;
};

}  // namespace hone
