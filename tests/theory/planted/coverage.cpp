#include <algorithm>
#include <cmath>

#include "sim/base/parallel.hpp"
#include "tests/theory/planted/worlds.hpp"
#include "theory/fits/jackknife.hpp"
#include "theory/solvable/planted.hpp"

namespace hone::theory {
namespace {

/// A law with the points at which it is measured.
struct Family {
  std::string name;
  LawKind kind = LawKind::ptq_exponential;
  std::vector<double> parameters;
  std::vector<Point> points;
  CampaignNoise noise{};
  int seeds = 3;
};

/// Losses of models trained at the given bits of weights, activations and cache; infinite: full precision.
std::vector<Point> training_points() {
  constexpr double full = INFINITY;
  const SyntheticGrid grid = reference_grid();
  std::vector<Point> points;
  for (const double n : grid.N)
    for (const double d : {1e6, 4e6, 13e6})
      for (const auto& [w, a, kv] : {std::tuple{full, full, full},
                                     {3.0, full, full},
                                     {4.0, full, full},
                                     {6.0, full, full},
                                     {full, 4.0, full},
                                     {full, 6.0, full},
                                     {full, full, 3.0},
                                     {full, full, 4.0},
                                     {5.0, 5.0, 5.0},
                                     {8.0, 8.0, 8.0}})
        points.push_back({.N = n, .D = d, .P = full, .P_w = w, .P_a = a, .P_kv = kv});
  return points;
}

std::vector<Point> one_width(const std::vector<double>& bits) {
  SyntheticGrid grid = reference_grid();
  grid.P = bits;
  return points_of(grid);
}

std::vector<Family> families() {
  const std::vector<Point> damage = points_of(reference_grid()), trace = one_width({3});
  const CampaignNoise of_trace{.row = 0.05};
  const CampaignNoise of_loss{.trajectory = 4e-3, .drift = 1e-3, .checkpoint = 2e-3, .row = 1e-3};
  // Losses near those of the demo's models: 2.4 to 1.9 nats over a floor of 1.3.
  const std::vector<double> loss{2.6, 0.3, 4.6, 0.35, 1.3, 2.67, 0.3, 2.21, 1.4, 0.96, 2.4};
  return {{"exponential in bits", LawKind::ptq_exponential, {-3, 0.5, 0.35, 1.6}, damage},
          {"power of bits", LawKind::ptq_bit_power, {-1, 0.5, 0.25, 5.5}, damage},
          {"squared step", LawKind::ptq_step, {-3, 0.5, 0.35}, damage},
          {"saturating in D/N", LawKind::ptq_saturating, {-2, 0.35, std::log(60.0), 0.9, 1.6}, damage},
          {"broken power of D/N", LawKind::ptq_broken, {-2, 0.3, std::log(60.0), 1.2, 0.2, 1.6}, damage},
          {"sharpness, power", LawKind::sharpness_power, {1, 0.5, 0.3}, trace, of_trace},
          {"sharpness, saturating", LawKind::sharpness_saturating, {1, 0.3, std::log(60.0), 0.9}, trace, of_trace},
          {"training bits", LawKind::train_exponential, loss, training_points(), of_loss}};
}

/// Interval of each number in each campaign: hits, gaps and the median width.
std::vector<Coverage> count(const std::string& family, const std::vector<std::string>& numbers,
                            const std::vector<double>& planted, const std::vector<std::vector<Interval>>& campaigns) {
  std::vector<Coverage> table;
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    Coverage c{family, numbers[k], planted[k], 0, static_cast<int>(campaigns.size()), 0, NAN};
    std::vector<double> widths;
    for (const auto& intervals : campaigns) {
      if (k >= intervals.size() || !std::isfinite(intervals[k].low)) {
        ++c.missing;
        continue;
      }
      c.held += intervals[k].low <= planted[k] && planted[k] <= intervals[k].high;
      widths.push_back(intervals[k].high - intervals[k].low);
    }
    std::sort(widths.begin(), widths.end());
    if (!widths.empty()) c.median_width = widths[widths.size() / 2];
    table.push_back(c);
  }
  return table;
}

/// `number` tells the draws of one family from those of the next.
std::vector<Coverage> cover(const Family& f, std::uint64_t number, const WorldOptions& options) {
  std::vector<std::vector<Interval>> campaigns(static_cast<std::size_t>(options.campaigns));
  parallel_for(options.campaigns, options.threads, [&](Index i, int) {
    const auto rows = planted_campaign(f.kind, f.parameters, f.points, f.seeds, f.noise,
                                       100000 * number + static_cast<std::uint64_t>(i));
    // From the planted values: whether random starts find the minimum is another question (test_law_recovery.cpp).
    campaigns[static_cast<std::size_t>(i)] = fit_intervals(f.kind, rows, {.start = f.parameters}, {}).parameters;
  });
  std::vector<std::string> names;
  for (const Parameter& p : law(f.kind).parameters) names.push_back(p.name);
  return count(f.name, names, f.parameters, campaigns);
}

void append(std::vector<Coverage>& table, const std::vector<Coverage>& more) {
  table.insert(table.end(), more.begin(), more.end());
}

}  // namespace

std::vector<Coverage> limit_coverage(const WorldOptions& options) {
  SyntheticGrid three = reference_grid(), two = reference_grid();
  three.N = {13e3, 55e3, 106e3}, two.N = {13e3, 55e3};
  const LawKind kind = LawKind::ptq_exponential;
  const std::vector<double> p{-3, 0.5, 0.35, 1.6};
  const std::vector<Point> all = points_of(reference_grid());
  std::vector<Coverage> table;
  append(table, cover({"3 sizes, 2 seeds: 6 trajectories", kind, p, points_of(three), {}, 2}, 100, options));
  append(table, cover({"3 sizes, 1 seed: 3 trajectories", kind, p, points_of(three), {}, 1}, 101, options));
  append(table, cover({"2 sizes, 2 seeds: 4 trajectories", kind, p, points_of(two), {}, 2}, 102, options));
  append(table, cover({"5 sizes, 3 seeds, each size 0.15 off the law", kind, p, all, {.size = 0.15}}, 103, options));
  return table;
}

std::vector<Coverage> law_coverage(const WorldOptions& options) {
  std::vector<Coverage> table;
  const std::vector<Family> all = families();
  for (std::size_t k = 0; k < all.size(); ++k) append(table, cover(all[k], k, options));
  return table;
}

}  // namespace hone::theory
