#include "theory/questions/settled.hpp"

#include <set>
#include <tuple>

#include "theory/rows/layouts.hpp"

namespace hone::theory {
namespace {

constexpr double full_rate = 0.999;         ///< of the peak, from which a constant rate counts as reached
constexpr double warmup_weight_max = 0.05;  ///< of an average

using Checkpoint = std::tuple<std::string, double>;  // run and tokens of its trunk

/// Checkpoints of trunks that are still warming up.
std::set<Checkpoint> warming(const Table& table) {
  std::set<Checkpoint> found;
  const auto add = [&](const auto& rows) {
    for (const Subject& s : rows)
      if (s.kind == Kind::trunk && !has_warmed_up(s)) found.insert({s.run, s.D});
  };
  add(table.ptq), add(table.sharpness), add(table.losses);
  return found;
}

}  // namespace

bool has_warmed_up(const Subject& s) {
  if (s.kind == Kind::average) return s.warmup_weight <= warmup_weight_max;
  const bool is_constant = s.schedule.empty() || s.schedule == "constant";
  const bool is_known = s.peak_lr > 0 && s.lr > 0;
  return s.kind != Kind::trunk || !is_constant || !is_known || s.lr >= full_rate * s.peak_lr;
}

SettledRows settle(const Table& table) {
  SettledRows settled;
  const std::set<Checkpoint> early = warming(table);
  std::set<std::tuple<std::string, std::string, double>> dropped;
  settled.table = table;
  for_kinds(settled.table, [&]<class Row>(std::vector<Row>& rows) {
    std::erase_if(rows, [&](const Row& row) {
      const bool left_early = row.kind != Kind::trunk && early.contains({row.run, row.branched_at});
      if (has_warmed_up(row) && !left_early) return false;
      dropped.insert({row.run, row.variant, row.D});
      return true;
    });
  });
  settled.in_warmup = static_cast<int>(table.ptq.size() - settled.table.ptq.size());
  settled.checkpoints_in_warmup = static_cast<int>(dropped.size());
  return settled;
}

}  // namespace hone::theory
