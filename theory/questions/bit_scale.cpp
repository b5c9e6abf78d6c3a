#include "theory/questions/bit_scale.hpp"

#include <cmath>
#include <map>
#include <tuple>

#include "theory/precision/effective_parameters.hpp"

namespace hone::theory {
namespace {

constexpr double least_scale = 0.05, most_scale = 50;

/// Beside the weights, what is kept at so many bits counts as full: BitNet's activations are.
constexpr double as_good_as_full = 8;

using Twin = std::tuple<double, double, std::int64_t, Recipe>;
Twin twin_of(const Subject& s) { return {s.N, s.D, s.seed, recipe_of(s)}; }

bool is_usable(const LossRow& r) {
  return r.is_transformer() && r.kind == Kind::trunk && r.loss > 0 && std::isfinite(r.loss) && r.N > 0 && r.D > 0;
}

bool is_low(const LossRow& r) {
  return r.train_w_bits < 16 && r.train_a_bits >= as_good_as_full && r.train_kv_bits >= as_good_as_full;
}

/// Sum and number of the ln f at each width.
using Widths = std::map<double, std::pair<double, double>>;

/// Σ (mean ln f - law)² over the widths, in models: what the scatter within a width adds does not move the minimum.
double misfit(const Widths& widths, double log_scale) {
  double sum = 0;
  for (const auto& [bits, known] : widths) {
    const double off = known.first / known.second - log_share_of_scale(bits, log_scale);
    sum += known.second * off * off;
  }
  return sum;
}

}  // namespace

LowWeightModels low_weight_models(const std::vector<LossRow>& losses, int& unpaired) {
  std::map<Twin, double> full;
  for (const LossRow& r : losses)
    if (is_usable(r) && is_full_trunk(r)) full[twin_of(r)] = r.loss;
  LowWeightModels models;
  for (const LossRow& r : losses) {
    if (!is_usable(r) || !is_low(r)) continue;
    const auto twin = full.find(twin_of(r));
    if (twin == full.end()) {
      ++unpaired;
      continue;
    }
    LowWeightModel m;
    static_cast<Subject&>(m) = r;
    if (m.method.empty()) m.method = "qat";  // what older files call training at few bits without a name
    m.rise = r.loss - twin->second;
    models.push_back(std::move(m));
  }
  return models;
}

double log_share(const TrainingLaw& law, const LowWeightModel& m) {
  return std::log(empirical_fraction(law, m.active_N(), m.rise, 0));
}

double log_share_of_scale(double bits, double log_scale) { return std::log(-std::expm1(-bits * std::exp(-log_scale))); }

double log_scale_of(const TrainingLaw& law, const LowWeightModels& models, const std::vector<std::size_t>& some) {
  Widths widths;
  for (const std::size_t i : some) {
    auto& [sum, count] = widths[models[i].train_w_bits];
    sum += log_share(law, models[i]), ++count;
  }
  constexpr int places = 120;
  const double low = std::log(least_scale), step = (std::log(most_scale) - low) / places;
  int best = 0;
  double least = INFINITY;
  for (int i = 0; i <= places; ++i)
    if (const double here = misfit(widths, low + i * step); here < least) least = here, best = i;
  constexpr double flat = 1e-12;  // where nothing is lost, every small scale does as well
  if (widths.empty() || !std::isfinite(least) || best == places || misfit(widths, low) <= least + flat) return NAN;
  double from = low + (best - 1) * step, to = low + (best + 1) * step;
  const double golden = (std::sqrt(5.0) - 1) / 2;
  for (int i = 0; i < 60; ++i) {  // 60 sections leave 1e-13 of two steps
    const double a = to - golden * (to - from), b = from + golden * (to - from);
    if (misfit(widths, a) < misfit(widths, b))
      to = b;
    else
      from = a;
  }
  return (from + to) / 2;
}

Interval interval_of_models(const LawWithError& law, const LowWeightModels& models,
                            const std::vector<std::size_t>& chosen,
                            const std::function<double(const TrainingLaw&, const std::vector<std::size_t>&)>& statistic,
                            const IntervalOptions& options) {
  if (chosen.empty()) return {NAN, NAN, NAN, 0};
  LowWeightModels own;
  for (const std::size_t i : chosen) own.push_back(models[i]);
  const auto of_places = [&](const TrainingLaw& of, const std::vector<std::size_t>& rows) {
    std::vector<std::size_t> places;
    for (const std::size_t i : rows) places.push_back(chosen[i]);
    return statistic(of, places);
  };
  return interval_with_law(law, keys_of(own), of_places, options);
}

int trajectories_of(const LowWeightModels& models, const std::vector<std::size_t>& chosen) {
  LowWeightModels own;
  for (const std::size_t i : chosen) own.push_back(models[i]);
  return count_trajectories(keys_of(own));
}

}  // namespace hone::theory
