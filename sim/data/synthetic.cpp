#include "sim/data/synthetic.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/data/permutation.hpp"

namespace hone {
namespace {

// Substreams of Domain::synthetic that belong to this source; kernels of lag l use 2l and 2l + 1.
constexpr std::uint32_t evaluation_substream = 8;
constexpr std::uint32_t training_substream = 9;

constexpr Index longest_sequence = Index(1) << 20;
constexpr Index largest_pair_vocabulary = 2048;

double x_log_x(double x) { return x > 0 ? x * std::log(x) : 0; }

Index first_above(const Vector<double>& cumulative, double u) {
  const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), u);
  return std::min<Index>(found - cumulative.begin(), cumulative.size() - 1);
}

/// Σ_j p_j log p_j for rows p = base + weight·(lag 1 row) + weight·(lag 2 row), touching only the
/// entries where p differs from base.
class RowEntropy {
 public:
  RowEntropy(const Vector<double>& base, double weight)
      : base_(base), extra_(Vector<double>::Zero(base.size())), weight_(weight) {
    for (const double b : base_) base_sum_ += x_log_x(b);
  }

  double operator()(std::span<const CouplingKernel::Entry> lag1, std::span<const CouplingKernel::Entry> lag2) {
    for (const auto& entry : lag1) extra_[entry.next] += weight_ * entry.probability;
    for (const auto& entry : lag2) extra_[entry.next] += weight_ * entry.probability;
    double sum = base_sum_;
    for (const auto row : {lag1, lag2}) {
      for (const auto& entry : row) {
        double& extra = extra_[entry.next];  // zero once counted: a token may be in both rows
        if (extra > 0) sum += x_log_x(base_[entry.next] + extra) - x_log_x(base_[entry.next]);
        extra = 0;
      }
    }
    return -sum;
  }

 private:
  const Vector<double>& base_;
  Vector<double> extra_;
  double weight_, base_sum_ = 0;
};

}  // namespace

Vector<double> zipf_law(Index vocabulary, double exponent) {
  EXPECTS(vocabulary >= 1, "zipf_law: vocabulary {}", vocabulary);
  Vector<double> law(vocabulary);
  for (Index j = 0; j < vocabulary; ++j) law[j] = std::pow(static_cast<double>(j + 1), -exponent);
  return law / law.sum();
}

CouplingKernel::CouplingKernel(const Vector<double>& marginal, const Stream& rows_order, const Stream& columns_order) {
  const Index states = marginal.size();
  begin_.resize(static_cast<size_t>(states));
  end_.resize(static_cast<size_t>(states));
  Index column = 0;
  double column_left = 0;
  Index next = -1;
  for (Index k = 0; k < states; ++k) {
    const Index row = permuted(k, states, rows_order);
    double row_left = marginal[row];
    begin_[row] = entries_.size();
    double mass = 0;
    // Rounding may leave a sliver of the last column unused or missing; rows are normalized below.
    while (row_left > 0) {
      if (column_left <= 0) {
        if (column == states) break;
        next = permuted(column++, states, columns_order);
        column_left = marginal[next];
      }
      const double width = std::min(row_left, column_left);
      row_left -= width, column_left -= width, mass += width;
      entries_.push_back({next, width, mass});
    }
    end_[row] = entries_.size();
    EXPECTS(mass > 0, "coupling kernel: state {} has probability {}", row, marginal[row]);
    for (size_t e = begin_[row]; e < end_[row]; ++e) {
      entries_[e].probability /= mass;
      entries_[e].cumulative /= mass;
    }
  }
}

std::span<const CouplingKernel::Entry> CouplingKernel::row(Index state) const {
  return {entries_.data() + begin_[state], end_[state] - begin_[state]};
}

double CouplingKernel::probability(Index state, Index next) const {
  for (const Entry& entry : row(state))
    if (entry.next == next) return entry.probability;
  return 0;
}

Index CouplingKernel::draw(Index state, double u) const {
  const auto entries = row(state);
  const auto found = std::upper_bound(entries.begin(), entries.end(), u,
                                      [](double value, const Entry& e) { return value < e.cumulative; });
  return found == entries.end() ? entries.back().next : found->next;
}

void MarkovOptions::validate() const {
  std::string complaints;
  const auto complain = [&](const std::string& what) { complaints += (complaints.empty() ? "" : "; ") + what; };
  const bool order_known = order == 1 || order == 2;
  if (!order_known) complain(fmt::format("markov order is {}, give 1 or 2", order));
  const Index largest = order == 2 ? largest_pair_vocabulary : 65536;
  if (vocabulary < 2 || vocabulary > largest)
    complain(fmt::format("markov vocabulary is {}, give 2 to {} for order {}", vocabulary, largest, order));
  const double rarest = std::pow(static_cast<double>(std::max<Index>(vocabulary, 1)), -zipf_exponent);
  if (!(zipf_exponent >= 0) || !(rarest >= 1e-10))
    complain(fmt::format("markov zipf_exponent is {}, give a value from 0 to {:.2f}", zipf_exponent,
                         10 * std::log(10.0) / std::log(std::max<double>(2, double(vocabulary)))));
  if (!(coupling >= 0 && coupling < 1))
    complain(fmt::format("markov coupling is {}, give a value from 0 to below 1", coupling));
  if (!complaints.empty()) throw OptionError(complaints);
}

MarkovSource::MarkovSource(const MarkovOptions& options) : options_(options) {
  options_.validate();
  marginal_ = zipf_law(options_.vocabulary, options_.zipf_exponent);
  cumulative_.resize(marginal_.size());
  double sum = 0;
  for (Index j = 0; j < marginal_.size(); ++j) cumulative_[j] = sum += marginal_[j];
  for (std::uint32_t lag = 1; lag <= static_cast<std::uint32_t>(options_.order); ++lag)
    kernels_.emplace_back(marginal_, Stream{options_.source_seed, Domain::synthetic, 2 * lag},
                          Stream{options_.source_seed, Domain::synthetic, 2 * lag + 1});
  if (options_.order == 2) find_pair_law();
  find_entropies();
}

void MarkovSource::find_pair_law() {
  // P'(i, j) = π_i ((1-a) π_j + a₁ K¹_ij) + a₂ Σ_h P(h, i) K²_hj contracts by a₂ ≤ 1/2.
  const Index V = vocabulary();
  Matrix<double> fixed = (1 - options_.coupling) * marginal_ * marginal_.transpose();
  for (Index i = 0; i < V; ++i)
    for (const auto& entry : kernels_[0].row(i)) fixed(i, entry.next) += weight() * marginal_[i] * entry.probability;
  pair_law_ = fixed;
  Matrix<double> next_transposed(V, V);
  double change = 1;
  while (change > 1e-16) {
    next_transposed = fixed.transpose();
    for (Index h = 0; h < V; ++h)
      for (const auto& entry : kernels_[1].row(h))
        next_transposed.row(entry.next) += weight() * entry.probability * pair_law_.row(h);
    change = (next_transposed.transpose() - pair_law_).cwiseAbs().maxCoeff();
    pair_law_ = next_transposed.transpose();
  }
}

void MarkovSource::find_entropies() {
  const Index V = vocabulary();
  const Vector<double> base = (1 - options_.coupling) * marginal_;
  RowEntropy entropy(base, weight());
  double rate = 0, first = 0;
  for (Index last = 0; last < V; ++last) {
    if (options_.order == 1) {
      rate += marginal_[last] * entropy(kernels_[0].row(last), {});
      continue;
    }
    for (Index before = 0; before < V; ++before) {
      rate += pair_law_(before, last) * entropy(kernels_[0].row(last), kernels_[1].row(before));
      first -= x_log_x(pair_law_(last, before));
    }
    first += x_log_x(marginal_[last]);
  }
  entropy_rate_nats_ = rate;
  first_entropy_nats_ = options_.order == 1 ? rate : first;
}

std::vector<std::uint16_t> MarkovSource::draw(const Stream& stream, std::int64_t s, Index length) const {
  EXPECTS(s >= 0 && length >= 0 && length <= longest_sequence, "sequence {} of length {}", s, length);
  const std::uint64_t base = static_cast<std::uint64_t>(s) * 2 * longest_sequence;
  std::vector<std::uint16_t> tokens(static_cast<size_t>(length));
  for (Index t = 0; t < length; ++t) {
    const double u = uniform(stream, base + 2 * static_cast<std::uint64_t>(t));
    if (t == 1 && options_.order == 2) {
      const Index first = tokens[0];
      Index next = 0;
      double left = u * marginal_[first] - pair_law_(first, 0);
      while (left >= 0 && next + 1 < vocabulary()) left -= pair_law_(first, ++next);
      tokens[t] = static_cast<std::uint16_t>(next);
      continue;
    }
    const double choice = uniform(stream, base + 2 * static_cast<std::uint64_t>(t) + 1);
    if (t == 0 || choice >= options_.coupling) {
      tokens[t] = static_cast<std::uint16_t>(first_above(cumulative_, u));
    } else {
      const int lag = choice < weight() ? 1 : options_.order;
      tokens[t] = static_cast<std::uint16_t>(kernels_[lag - 1].draw(tokens[t - lag], u));
    }
  }
  return tokens;
}

std::vector<std::uint16_t> MarkovSource::sequence(std::int64_t s, Index length) const {
  return draw({options_.data_seed, Domain::synthetic, training_substream}, s, length);
}

TokenBatch MarkovSource::batch(std::int64_t step, Index sequences, Index positions) const {
  return stacked_windows(sequences, positions, [&](Index b) { return sequence(step * sequences + b, positions + 1); });
}

TokenBatch MarkovSource::evaluation_windows(Index positions, Index count) const {
  const Stream stream{options_.source_seed, Domain::synthetic, evaluation_substream};
  return stacked_windows(count, positions, [&](Index k) { return draw(stream, k, positions + 1); });
}

double MarkovSource::probability(std::span<const std::uint16_t> past, std::uint16_t next) const {
  EXPECTS(!past.empty() && next < vocabulary(), "probability of token {} after {}", next, past.size());
  const Index last = past.back();
  if (options_.order == 2 && past.size() == 1) return pair_law_(last, next) / marginal_[last];
  double p = (1 - options_.coupling) * marginal_[next] + weight() * kernels_[0].probability(last, next);
  if (options_.order == 2) p += weight() * kernels_[1].probability(past[past.size() - 2], next);
  return p;
}

double MarkovSource::source_loss_nats(const TokenBatch& windows) const {
  const Index width = windows.positions + 1;
  double sum = 0;
  for (Index b = 0; b < windows.sequences; ++b) {
    const std::span<const std::uint16_t> window(windows.tokens.data() + b * width, static_cast<size_t>(width));
    for (Index t = 1; t < width; ++t) sum -= std::log(probability(window.first(t), window[t]));
  }
  return sum / static_cast<double>(windows.sequences * windows.positions);
}

double MarkovSource::best_loss_nats(Index positions) const {
  EXPECTS(positions >= 1, "best loss of {} positions", positions);
  return (first_entropy_nats_ + static_cast<double>(positions - 1) * entropy_rate_nats_) /
         static_cast<double>(positions);
}

}  // namespace hone
