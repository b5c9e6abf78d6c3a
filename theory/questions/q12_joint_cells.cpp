#include "theory/questions/q12_joint_cells.hpp"

#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/noise/rounding.hpp"
#include "theory/precision/effective_parameters.hpp"

namespace hone::theory {
namespace {

/// Everything that models must share to be compared, their bits aside.
using Family = std::tuple<double, double, std::int64_t, Recipe>;
Family family_of(const LossRow& r) { return {r.N, r.D, r.seed, recipe_of(r)}; }

bool is_usable(const LossRow& r) {
  return r.is_transformer() && r.kind == Kind::trunk && r.loss > 0 && std::isfinite(r.loss) && r.N > 0 && r.D > 0;
}

bool is_lowered(const LossRow& r) { return !r.is_full_precision() && (r.method.empty() || r.method == "qat"); }

Bits bits_of(const LossRow& r) {
  Bits bits{r.train_w_bits, r.train_a_bits, r.train_kv_bits};
  for (double& b : bits) b = std::min(b, 16.0);
  return bits;
}

Sites sites_of(const Bits& bits) {
  const char* names[] = {"W", "A", "KV"};
  Sites sites;
  for (std::size_t s = 0; s < bits.size(); ++s)
    if (bits[s] < 16) sites.name += fmt::format("{}{}", sites.of.empty() ? "" : "x", names[s]), sites.of.push_back(s);
  return sites;
}

bool is_single(unsigned mask) { return (mask & (mask - 1)) == 0; }

/// ln f of a rise of the loss.
double log_size(const TrainingLaw& law, double N, double rise) { return std::log(empirical_fraction(law, N, rise, 0)); }

}  // namespace

double noise_together(const Bits& bits, int channel_length) {
  double product = 1, sum = 0;
  for (const double b : bits) {
    if (b >= 16) continue;
    if (b < 2) return NAN;
    const double nu = rtn_relative_mse(static_cast<int>(b), channel_length);
    product *= 1 + nu, sum += nu;
  }
  return (product - 1) / sum;
}

std::vector<LoweredModel> lowered_models(const std::vector<LossRow>& losses, const Thresholds& thresholds,
                                         UnpairedModels& unpaired) {
  std::map<Bits, double> noise;  // a quadrature each
  std::map<Family, std::map<Bits, LossRow>> families;
  for (const LossRow& r : losses)
    if (is_usable(r) && (is_lowered(r) || (r.is_full_precision() && is_main_trunk(r))))
      families[family_of(r)][bits_of(r)] = r;
  std::vector<LoweredModel> models;
  for (const auto& [family, by_bits] : families) {
    const auto full = by_bits.find(unquantized);
    for (const auto& [bits, row] : by_bits) {
      if (bits == unquantized) continue;
      if (full == by_bits.end()) {
        ++unpaired.without_full;
        continue;
      }
      LoweredModel m;
      static_cast<Subject&>(m) = row;
      m.bits = bits, m.sites = sites_of(bits);
      const auto [known, is_new] = noise.try_emplace(bits, NAN);
      if (is_new) known->second = noise_together(bits, static_cast<int>(thresholds.q6_channel_length));
      m.noise_together = known->second;
      m.rise.assign(std::size_t{1} << m.sites.of.size(), NAN);
      m.rise[0] = 0;
      bool has_singles = true;
      for (unsigned mask = 1; mask < m.rise.size(); ++mask) {
        const auto other = by_bits.find(masked(bits, m.sites, mask));
        if (other != by_bits.end()) m.rise[mask] = other->second.loss - full->second.loss;
        has_singles = has_singles && (other != by_bits.end() || !is_single(mask));
      }
      unpaired.without_single += !has_singles;
      if (has_singles) models.push_back(std::move(m));
    }
  }
  return models;
}

SizesOfModel sizes_of(const LoweredModel& m, const TrainingLaw& law) {
  SizesOfModel sizes;
  double sum = 0;
  const auto size = [&](unsigned mask) { return log_size(law, m.N, m.rise[mask]); };
  for (unsigned mask = 1; mask < m.rise.size(); mask <<= 1) sizes.product += size(mask), sum += m.rise[mask];
  sizes.own = size(static_cast<unsigned>(m.rise.size()) - 1);
  sizes.interaction = sizes.own - sizes.product;
  sizes.third = m.sites.of.size() == 3 ? alternating_sum(3, size) : NAN;
  sizes.additive = log_size(law, m.N, sum) - sizes.product;
  sizes.independent = log_size(law, m.N, m.noise_together * sum) - sizes.product;
  sizes.beyond_additive = sizes.interaction - sizes.additive;
  sizes.beyond_independent = sizes.interaction - sizes.independent;
  return sizes;
}

}  // namespace hone::theory
