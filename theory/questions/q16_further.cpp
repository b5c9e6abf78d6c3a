#include "theory/questions/q16_further.hpp"

#include <map>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/questions/exponent_gap.hpp"

namespace hone::theory {
namespace {

/// Training with fewer bits than these is what a published question is about.
constexpr double few_bits = 4;

using Checkpoint = std::tuple<std::string, std::string, double>;
Checkpoint checkpoint_of(const Subject& s) { return {s.run, s.variant, s.D}; }

using Twin = std::tuple<double, double, std::int64_t, Recipe, double>;
Twin twin_of(const PtqRow& r) { return {r.N, r.D, r.seed, recipe_of(r), r.P}; }

/// A model trained at few bits and quantized below them, with what that costs in full precision.
struct Further {
  PtqRow row;
  double cost = 0, of_full = 0, cost_se = 0, full_se = 0;
};

std::vector<Further> further_rows(const Table& table) {
  std::map<Checkpoint, double> trained;  // loss at the precision of training
  for (const LossRow& r : table.losses)
    if (!r.is_full_precision()) trained[checkpoint_of(r)] = r.loss;
  std::map<Twin, const PtqRow*> full;
  for (const PtqRow& r : table.ptq)
    if (r.is_transformer() && is_full_trunk(r)) full[twin_of(r)] = &r;
  std::vector<Further> rows;
  for (const PtqRow& r : table.ptq) {
    if (!r.is_transformer() || r.kind != Kind::trunk || !(r.P < r.train_w_bits) || r.train_w_bits >= 16) continue;
    const auto own = trained.find(checkpoint_of(r));
    const auto twin = full.find(twin_of(r));
    if (own == trained.end() || twin == full.end()) continue;
    const Further f{r, r.loss + r.delta - own->second, twin->second->delta, r.delta_se, twin->second->delta_se};
    if (std::isfinite(f.cost) && std::isfinite(f.of_full)) rows.push_back(f);
  }
  return rows;
}

Interval mean_change(const std::vector<Further>& some, const Thresholds& thresholds) {
  std::vector<PtqRow> rows;
  std::vector<double> change;
  for (const Further& f : some) rows.push_back(f.row), change.push_back(f.cost - f.of_full);
  return mean_interval(keys_of(rows), change, std::vector<double>(change.size(), 1.0), interval_options(thresholds));
}

/// Exponents of D of the cost below `few_bits` of training and of full precision at the same places.
void add_exponents(Verdict& v, const std::vector<Further>& all, const Thresholds& thresholds) {
  const std::string low = "low", full = "full";
  std::vector<FamilyRow> rows;
  for (const Further& f : all)
    if (f.row.train_w_bits < few_bits && f.cost > 0 && f.of_full > 0) {
      rows.push_back({f.row, low, f.row.P, f.cost, f.cost_se / f.cost});
      rows.push_back({f.row, full, f.row.P, f.of_full, f.full_se / f.of_full});
    }
  for (const FamilyExponent& e : exponents_by_family(rows, full, thresholds))
    if (e.family == low)
      add_finding(
          v,
          {"further.exponent_gap",
           fmt::format("gamma_D of the cost of quantizing further, trained below {:g} bits minus full precision",
                       few_bits)},
          e.gap);
}

}  // namespace

void add_further_quantization(Verdict& v, const Table& table, const Thresholds& thresholds) {
  const std::vector<Further> all = further_rows(table);
  if (all.empty()) return;
  const Interval mean = mean_change(all, thresholds);
  add_finding(v, {"further", "cost of quantizing below the bits of training minus that of full precision", "nats"},
              mean);
  std::map<std::pair<double, double>, std::vector<Further>> pairs;
  for (const Further& f : all) pairs[{f.row.train_w_bits, f.row.P}].push_back(f);
  for (const auto& [bits, some] : pairs)
    add_finding(
        v,
        {fmt::format("further.w{}_to_w{}", key_word(fmt::format("{:.3g}", bits.first)), key_number(bits.second)),
         fmt::format("the same, trained at {:.3g} bits and quantized to {:g}", bits.first, bits.second), "nats"},
        mean_change(some, thresholds));
  add_exponents(v, all, thresholds);
  v.prose += fmt::format(
      " To quantize models below the bits of their training costs {} nats more than the same of full precision.",
      in_words(mean));
}

}  // namespace hone::theory
