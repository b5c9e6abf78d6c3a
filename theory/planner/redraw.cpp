#include "theory/planner/redraw.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "theory/questions/selection.hpp"

namespace hone::theory {
namespace {

using Numbers = std::vector<double*>;

Numbers numbers_of(PtqRow& r) {
  return {&r.loss,     &r.delta,        &r.delta_se,  &r.predicted, &r.predicted_se,
          &r.gradient, &r.remainder_se, &r.quadratic, &r.mean_step2};
}
Numbers numbers_of(SharpnessRow& r) {
  return {&r.trace,        &r.trace_se,       &r.lambda_max, &r.frobenius,
          &r.weight_norm2, &r.preconditioned, &r.stability,  &r.weighted_trace};
}
Numbers numbers_of(FactorialRow& r) { return {&r.delta, &r.delta_se}; }
Numbers numbers_of(NoiseRow& r) {
  return {
      &r.energy, &r.delta, &r.delta_se, &r.predicted, &r.residual_share, &r.curvature_share, &r.curvature_null_share};
}
Numbers numbers_of(LossRow& r) { return {&r.loss, &r.loss_se}; }
Numbers numbers_of(ShiftRow& r) { return {&r.loss, &r.delta, &r.delta_se}; }
Numbers numbers_of(SchemeRow& r) {
  return {&r.delta, &r.delta_se, &r.gradient, &r.quadratic, &r.bits_per_weight, &r.remainder_se, &r.quadratic_other};
}
Numbers numbers_of(InjectionRow& r) { return {&r.energy, &r.predicted, &r.delta, &r.delta_se}; }
Numbers numbers_of(ExpertRow& r) { return {&r.load, &r.delta, &r.delta_se}; }
Numbers numbers_of(CacheRow& r) { return {&r.delta, &r.delta_se}; }
Numbers numbers_of(CopyRow& r) { return {&r.accuracy, &r.delta, &r.delta_se, &r.accuracy_delta}; }
Numbers numbers_of(ScheduleRow& r) { return {&r.delta, &r.delta_se, &r.to_uniform, &r.to_uniform_se}; }
Numbers numbers_of(TaskRow& r) {
  return {&r.accuracy, &r.accuracy_se, &r.loss,           &r.loss_se,
          &r.delta,    &r.delta_se,    &r.accuracy_delta, &r.accuracy_delta_se};
}

/// What tells rows of one checkpoint apart. Amplitudes of noise differ between seeds and count by their order.
std::string label_of(const PtqRow& r) { return fmt::format("{:g}", r.P); }
std::string label_of(const SharpnessRow&) { return ""; }
std::string label_of(const FactorialRow& r) { return fmt::format("{:g} {:g} {:g}", r.w_bits, r.a_bits, r.kv_bits); }
std::string label_of(const NoiseRow& r) { return r.subspace; }
std::string label_of(const LossRow&) { return ""; }
std::string label_of(const ShiftRow& r) { return fmt::format("{} {:g}", r.shifted_data, r.P); }
std::string label_of(const SchemeRow& r) { return fmt::format("{} {:g}", r.scheme, r.P); }
std::string label_of(const InjectionRow& r) { return fmt::format("{} {:g}", r.subspace, r.rise); }
std::string label_of(const ExpertRow& r) { return fmt::format("{:g} {:g} {:g}", r.P, r.layer, r.expert); }
std::string label_of(const CacheRow& r) { return fmt::format("{} {:g}", r.policy, r.first); }
std::string label_of(const CopyRow& r) { return fmt::format("{} {:g}", r.policy, r.distance); }
std::string label_of(const ScheduleRow& r) { return fmt::format("{} {:g}", r.schedule, r.average_bits); }
std::string label_of(const TaskRow& r) { return fmt::format("{} {:g}", r.task, r.P); }

/// Takes the first-order term out of the damage (sign -1) or puts it back (+1): the term may have either sign, and the
/// rest is what keeps to a law.
template <class Row>
void move_first_order(Row& row, int sign) {
  if constexpr (requires { row.gradient; })
    if (std::isfinite(row.gradient)) row.delta += sign * row.gradient;
}

/// Rows of one place of the design, one per seed.
template <class Row>
Site<Row> site_of(std::vector<Row> rows, const std::vector<int>& seeds) {
  Site<Row> site{rows.front(), {}, seeds, {}};
  for (Row& r : rows) move_first_order(r, -1);
  const std::size_t count = numbers_of(rows.front()).size();
  site.is_log.resize(count);
  site.deviations.assign(rows.size() * count, 0);
  const Numbers mean = numbers_of(site.mean);
  for (std::size_t k = 0; k < count; ++k) {
    const auto value = [&](Row& r) { return *numbers_of(r)[k]; };
    const bool is_log =
        std::all_of(rows.begin(), rows.end(), [&](Row& r) { return value(r) > 0 && std::isfinite(value(r)); });
    site.is_log[k] = is_log;
    double sum = 0, known = 0;
    for (Row& r : rows)
      if (std::isfinite(value(r))) sum += is_log ? std::log(value(r)) : value(r), ++known;
    const double center = sum / known;  // NaN where no seed has it
    *mean[k] = is_log ? std::exp(center) : center;
    for (std::size_t s = 0; s < rows.size(); ++s)
      if (std::isfinite(value(rows[s])))
        site.deviations[s * count + k] = (is_log ? std::log(value(rows[s])) : value(rows[s])) - center;
  }
  move_first_order(site.mean, 1);
  return site;
}

}  // namespace

template <class Self, class Visit>
void Redraw::for_kinds(Self& self, Visit&& visit) {
  visit(self.ptq_, &Table::ptq), visit(self.sharpness_, &Table::sharpness), visit(self.factorial_, &Table::factorial);
  visit(self.noise_, &Table::noise), visit(self.losses_, &Table::losses), visit(self.shift_, &Table::shift);
  visit(self.schemes_, &Table::schemes), visit(self.injection_, &Table::injection);
  visit(self.experts_, &Table::expert_damage);
  visit(self.cache_, &Table::cache), visit(self.copies_, &Table::copies);
  visit(self.schedules_, &Table::schedules), visit(self.tasks_, &Table::tasks);
}

template <class Row>
void Redraw::add(Sites<Row>& sites, const std::vector<Row>& rows) {
  using Place = std::tuple<Cell, std::string, int>;
  std::map<Place, std::size_t> places;
  std::map<std::tuple<std::string, Cell, std::string>, int> seen;
  std::vector<std::pair<std::vector<Row>, std::vector<int>>> members;
  for (const Row& r : rows) {
    const std::string label = label_of(r);
    const int order = seen[{r.run, cell_of(r), label}]++;
    const std::size_t at = places.try_emplace({cell_of(r), label, order}, members.size()).first->second;
    if (at == members.size()) members.emplace_back();
    members[at].first.push_back(r), members[at].second.push_back(static_cast<int>(r.seed));
  }
  for (const auto& [of_place, seeds] : members) sites.push_back(site_of(of_place, seeds));
}

Redraw::Redraw(const Table& pilot) {
  for_kinds(*this, [&](auto& sites, auto kind) { add(sites, pilot.*kind); });
  std::set<double> sizes;
  for_kinds(*this, [&](auto& sites, auto) {
    for (const auto& site : sites) {
      sizes.insert(site.mean.N);
      seeds_ = std::max(seeds_, static_cast<int>(site.seeds.size()));
    }
  });
  sizes_.assign(sizes.begin(), sizes.end());
}

Redraw Redraw::with(const std::function<void(Table& mean)>& plant) const {
  Redraw other = *this;
  Table table;
  for_kinds(other, [&](auto& sites, auto kind) {
    for (const auto& site : sites) (table.*kind).push_back(site.mean);
  });
  plant(table);
  for_kinds(other, [&](auto& sites, auto kind) {
    EXPECTS((table.*kind).size() == sites.size(), "Redraw::with: {} rows after planting, {} before",
            (table.*kind).size(), sites.size());
    for (std::size_t i = 0; i < sites.size(); ++i) sites[i].mean = (table.*kind)[i];
  });
  return other;
}

template <class Row>
void Redraw::draw(std::vector<Row>& rows, const Sites<Row>& sites, int seed, std::uint64_t world) const {
  for (const Site<Row>& site : sites) {
    Row row = site.mean;
    row.seed = seed, row.run = fmt::format("{} seed {}", row.model, seed);
    move_first_order(row, -1);
    const auto size = std::lower_bound(sizes_.begin(), sizes_.end(), row.N) - sizes_.begin();
    const Stream stream{world, Domain::bootstrap, static_cast<std::uint32_t>(size * 4096 + seed)};
    const Numbers numbers = numbers_of(row);
    const double scale = 1 / std::sqrt(std::max<double>(1, static_cast<double>(site.seeds.size()) - 1));
    for (std::size_t s = 0; s < site.seeds.size(); ++s) {
      const double z = scale * normal(stream, static_cast<std::uint64_t>(site.seeds[s]));
      for (std::size_t k = 0; k < numbers.size(); ++k) {
        const double shift = z * site.deviations[s * numbers.size() + k];
        *numbers[k] = site.is_log[k] ? *numbers[k] * std::exp(shift) : *numbers[k] + shift;
      }
    }
    move_first_order(row, 1);
    rows.push_back(row);
  }
}

Table Redraw::draw(int seeds, std::uint64_t world) const {
  EXPECTS(seeds >= 1, "Redraw::draw: {} seeds, expected at least 1", seeds);
  Table table;
  for (int seed = 0; seed < seeds; ++seed)
    for_kinds(*this, [&](auto& sites, auto kind) { draw(table.*kind, sites, seed, world); });
  return table;
}

}  // namespace hone::theory
