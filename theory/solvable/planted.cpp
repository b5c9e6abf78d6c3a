#include "theory/solvable/planted.hpp"

#include <cmath>
#include <map>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace hone::theory {
namespace {

constexpr double fit_scatter = 0.1;

/// Substreams of one campaign.
enum Purpose : std::uint32_t { sizes = 0x100, offsets, drifts, checkpoints, rows_own };

/// Numbers keys in the order in which they first come.
template <class Key>
class Numbering {
 public:
  std::uint64_t operator()(const Key& key) { return places_.try_emplace(key, places_.size()).first->second; }

 private:
  std::map<Key, std::uint64_t> places_;
};

double mean_log_tokens(const std::vector<Point>& points) {
  double sum = 0;
  for (const Point& x : points) sum += std::log(x.D);
  return sum / static_cast<double>(points.size());
}

double row_sigma(const CampaignNoise& noise, double bits) {
  const double further = std::isfinite(bits) ? std::max(bits - 3, 0.0) : 0;
  return noise.row * std::pow(noise.row_per_bit, further);
}

}  // namespace

SyntheticGrid reference_grid() {
  SyntheticGrid grid{.N = {13e3, 27e3, 55e3, 106e3, 221e3}, .D = {}, .P = {3, 4, 5, 6}, .seeds = 3};
  constexpr int counts = 7;
  for (int i = 0; i < counts; ++i) grid.D.push_back(0.25e6 * std::pow(52.0, i / (counts - 1.0)));
  return grid;
}

std::vector<Point> points_of(const SyntheticGrid& grid) {
  std::vector<Point> points;
  for (const double n : grid.N)
    for (const double d : grid.D)
      for (const double p : grid.P) points.push_back({n, d, p});
  return points;
}

std::vector<Observation> planted_campaign(LawKind kind, const std::vector<double>& parameters,
                                          const std::vector<Point>& points, int seeds, const CampaignNoise& noise,
                                          std::uint64_t seed) {
  const auto draw = [&](Purpose purpose, std::uint64_t counter) {
    return normal(Stream{seed, Domain::synthetic, purpose}, counter);
  };
  Numbering<double> size_of;
  Numbering<std::pair<double, int>> trajectory_of;
  Numbering<std::tuple<double, double, int>> checkpoint_of;
  Numbering<std::pair<double, double>> cell_of;
  const double middle = mean_log_tokens(points);
  std::vector<Observation> rows;
  for (int s = 0; s < seeds; ++s)
    for (const Point& x : points) {
      const double y = predict(kind, parameters, x), own = row_sigma(noise, x.P);
      EXPECTS(y > 0, "planted_campaign: {} is {} at N {}, D {}, expected > 0", law(kind).name, y, x.N, x.D);
      const std::uint64_t t = trajectory_of({x.N, s});
      Observation o;
      o.point = x;
      o.log_y = std::log(y) + noise.size * draw(sizes, size_of(x.N)) + noise.trajectory * draw(offsets, t) +
                noise.drift * draw(drifts, t) * (std::log(x.D) - middle) +
                noise.checkpoint * draw(checkpoints, checkpoint_of({x.N, x.D, s})) + own * draw(rows_own, rows.size());
      o.log_sigma = std::hypot(own, fit_scatter);
      o.cell = static_cast<std::int64_t>(cell_of({x.N, x.D}));
      o.seed = s;
      rows.push_back(o);
    }
  return rows;
}

}  // namespace hone::theory
