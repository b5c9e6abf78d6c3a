#include "theory/questions/q6_interactions.hpp"

#include <algorithm>

#include "sim/base/error.hpp"
#include "theory/noise/rounding.hpp"
#include "theory/precision/effective_parameters.hpp"

namespace hone::theory {
namespace {

using Cells = std::map<Bits, FactorialRow>;

/// The cells of each checkpoint that has any.
std::vector<Cells> checkpoints_of(const std::vector<FactorialRow>& rows) {
  using Checkpoint = std::tuple<std::string, std::int64_t, double, double, std::string>;
  std::map<Checkpoint, Cells> checkpoints;
  for (const FactorialRow& r : rows)
    if (r.is_transformer() && r.arm == "main" && r.is_full_precision())
      checkpoints[{r.run, r.seed, r.N, r.D, r.variant}][{r.w_bits, r.a_bits, r.kv_bits}] = r;
  std::vector<Cells> all;
  for (auto& [checkpoint, cells] : checkpoints)
    if (std::any_of(cells.begin(), cells.end(), [](const auto& c) { return std::isfinite(c.second.delta); }))
      all.push_back(std::move(cells));
  return all;
}

/// The damages of one cell and of all cells below it, by mask over the sites; empty when one was not measured.
struct Family {
  std::vector<double> delta;
  double se = 0;      ///< of the alternating sum
  double single = 0;  ///< sum over single sites
  double single_se = 0;
  double least = INFINITY;  ///< of the single sites
  double least_se = 0;
};

Family family_of(const Cells& cells, const Bits& bits, const Sites& sites) {
  Family f;
  const std::size_t k = sites.of.size();
  f.delta.assign(std::size_t{1} << k, 0);
  double squares = 0, single_squares = 0;
  for (unsigned mask = 1; mask < f.delta.size(); ++mask) {
    const auto cell = cells.find(masked(bits, sites, mask));
    if (cell == cells.end()) return {};
    const double se = combined_sigma({cell->second.delta_se}, 0);
    f.delta[mask] = cell->second.delta;
    squares += se * se;
    if (__builtin_popcount(mask) > 1) continue;
    f.single += cell->second.delta;
    single_squares += se * se;
    if (cell->second.delta < f.least) f.least = cell->second.delta, f.least_se = se;
  }
  f.se = std::sqrt(squares);
  f.single_se = std::sqrt(single_squares);
  return f;
}

/// nu of each site multiplied as the damages are, over their sum or the least of them.
double independent_noise(const Bits& bits, const Sites& sites, bool is_dominated, int channel_length) {
  double product = 1, sum = 0, least = INFINITY;
  for (const std::size_t s : sites.of) {
    if (bits[s] < 2) return NAN;
    const double nu = rtn_relative_mse(static_cast<int>(bits[s]), channel_length);
    product *= nu, sum += nu, least = std::min(least, nu);
  }
  return product / (is_dominated ? least : sum);
}

/// Damage if the N_eff/N of the single sites in the mask multiplied.
double product_damage(const Family& f, const TrainingLaw& law, double N, unsigned mask) {
  double size = N;
  for (unsigned site = 1; site < f.delta.size(); site <<= 1)
    if (mask & site) size *= empirical_fraction(law, N, f.delta[site], 0);
  return law.A * (std::pow(size, -law.alpha) - std::pow(N, -law.alpha));
}

Interaction interaction_of(const Family& f, bool is_dominated, const FactorialRow& joint, const Sites& sites,
                           const TrainingLaw* law, const Thresholds& thresholds) {
  const double whole = is_dominated ? f.least : f.single;
  const std::size_t k = sites.of.size();
  Interaction i;
  static_cast<Subject&>(i) = joint;
  i.bits = {joint.w_bits, joint.a_bits, joint.kv_bits};
  i.damage = alternating_sum(k, [&](unsigned mask) { return f.delta[mask]; }) / whole;
  i.sigma = combined_sigma({f.se / whole}, thresholds.fit_scatter);
  i.independent = independent_noise(i.bits, sites, is_dominated, static_cast<int>(thresholds.q6_channel_length));
  i.size = i.product = i.beyond_product = NAN;
  if (law == nullptr) return i;
  const auto log_size = [&](unsigned mask) { return std::log(empirical_fraction(*law, joint.N, f.delta[mask], 0)); };
  double single = 0;
  for (unsigned site = 1; site < f.delta.size(); site <<= 1) single += log_size(site);
  i.size = alternating_sum(k, log_size) / std::abs(single);
  i.product = alternating_sum(k, [&](unsigned mask) { return product_damage(f, *law, joint.N, mask); }) / whole;
  i.beyond_product = i.damage - i.product;
  return i;
}

}  // namespace

Bits masked(const Bits& bits, const Sites& sites, unsigned mask) {
  Bits some = unquantized;
  for (std::size_t s = 0; s < sites.of.size(); ++s)
    if (mask & (1u << s)) some[sites.of[s]] = bits[sites.of[s]];
  return some;
}

std::string Sites::label(const Bits& bits) const {
  const char* names[] = {"W", "A", "KV"};
  std::string text;
  for (const std::size_t s : of) text += fmt::format("{}{:g}", names[s], bits[s]);
  return text;
}

Interactions interactions_of(const std::vector<FactorialRow>& rows, const Sites& sites, const TrainingLaw* law,
                             const Thresholds& thresholds, Dropped& dropped) {
  // For two sites the smaller share is at most ½, for three ⅓: the same balance of both.
  const double share = thresholds.q6_balance * 2 / static_cast<double>(sites.of.size());
  const unsigned all = (1u << sites.of.size()) - 1;
  Interactions found;
  for (const Cells& cells : checkpoints_of(rows))
    for (const auto& [bits, joint] : cells) {
      const bool is_joint = std::all_of(sites.of.begin(), sites.of.end(), [&](std::size_t s) { return bits[s] < 16; });
      if (!is_joint || bits != masked(bits, sites, all)) continue;
      const Family f = family_of(cells, bits, sites);
      if (f.delta.empty()) continue;
      const double sum = alternating_sum(sites.of.size(), [&](unsigned mask) { return f.delta[mask]; });
      if (!std::isfinite(sum) || !std::isfinite(f.single))
        ++dropped.not_finite;
      else if (!(f.single > 0))
        ++dropped.not_positive;
      else if (!(f.single > thresholds.ptq_min_snr * f.single_se))
        ++dropped.below_noise;
      else if (f.least >= share * f.single)
        found.balanced.push_back(interaction_of(f, false, joint, sites, law, thresholds));
      else {
        ++dropped.unbalanced, ++found.unbalanced[bits];
        if (f.least > 0 && f.least > thresholds.ptq_min_snr * f.least_se)
          found.dominated.push_back(interaction_of(f, true, joint, sites, law, thresholds));
      }
    }
  return found;
}

Interval interaction_interval(const std::vector<Interaction>& rows, double Interaction::*number,
                              const IntervalOptions& options) {
  std::vector<Interaction> known;
  std::vector<double> values, sigma;
  for (const Interaction& i : rows) {
    if (!std::isfinite(i.*number)) continue;
    known.push_back(i);
    values.push_back(i.*number);
    sigma.push_back(i.sigma);
  }
  return mean_interval(keys_of(known), values, sigma, options);
}

std::vector<Combination> combinations_of(const Sites& sites, const std::vector<Interaction>& rows,
                                         const Thresholds& thresholds) {
  std::map<Bits, std::vector<Interaction>> by_bits;
  for (const Interaction& i : rows) by_bits[i.bits].push_back(i);
  std::vector<Combination> all;
  int deciding = 0;
  for (auto& [bits, some] : by_bits) {
    Combination c;
    c.bits = bits, c.label = sites.label(bits), c.independent = some.front().independent;
    c.decides = *std::min_element(bits.begin(), bits.end()) >= thresholds.ptq_bits_min &&
                count_trajectories(keys_of(some)) >= thresholds.trajectories_min;
    c.rows = std::move(some);
    deciding += c.decides;
    all.push_back(std::move(c));
  }
  const IntervalOptions together = simultaneous_options(thresholds, deciding);
  for (Combination& c : all) {
    c.damage = interaction_interval(c.rows, &Interaction::damage, together);
    c.product = interaction_interval(c.rows, &Interaction::product, together).estimate;
    c.beyond_product = interaction_interval(c.rows, &Interaction::beyond_product, together);
  }
  return all;
}

}  // namespace hone::theory
