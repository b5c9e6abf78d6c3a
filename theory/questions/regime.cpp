#include "theory/questions/regime.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "theory/fits/weighted.hpp"
#include "theory/questions/selection.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

constexpr double least_bend = 0.1;  ///< by which the slope must fall for a knee

/// Tokens at the knee of ln tr H; NaN where there is none.
double knee_of(const std::vector<SharpnessRow>& all) {
  std::vector<double> x, y, sigma;
  std::vector<std::size_t> group;
  std::map<double, std::size_t> groups;
  std::set<double> tokens;
  for (const SharpnessRow& r : all) {
    if (!r.is_transformer() || !is_main_trunk(r) || !(r.trace > 0) || !std::isfinite(r.trace) || !(r.D > 0)) continue;
    x.push_back(std::log(r.D)), y.push_back(std::log(r.trace)), sigma.push_back(1);
    group.push_back(groups.try_emplace(r.N, groups.size()).first->second);
    tokens.insert(r.D);
  }
  const std::vector<std::size_t> rows = all_indices(x.size());
  double best = -1, knee = nan;
  for (const double candidate : tokens) {
    std::vector<double> beyond;
    for (const double at : x) beyond.push_back(std::max(0.0, at - std::log(candidate)));
    const auto slopes = regress_within({x, beyond}, y, sigma, group, rows);
    if (!std::isfinite(slopes[1]) || !(slopes[1] < -least_bend)) continue;
    const double explained = r_squared_within({x, beyond}, slopes, y, sigma, group, rows);
    if (explained > best) best = explained, knee = candidate;
  }
  return knee;
}

}  // namespace

LateRegime::LateRegime(const Table& table, const Thresholds& thresholds) : knee_(nan) {
  const double loss = thresholds.late_loss;
  const bool by_loss = loss > 0;
  if (!by_loss) knee_ = knee_of(table.sharpness);
  words_ = by_loss                ? fmt::format("loss below {:g} nats", loss)
           : std::isfinite(knee_) ? fmt::format("from {:.3g} tokens on", knee_)
                                  : "no knee of the trace";
  const auto add = [&](const Subject& s, double at) {
    if (by_loss ? at < loss : s.D >= knee_) late_.insert({s.run, s.variant, s.D});
  };
  for (const LossRow& r : table.losses) add(r, r.loss);
  for (const PtqRow& r : table.ptq) add(r, r.loss);
}

}  // namespace hone::theory
