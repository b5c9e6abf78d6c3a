#include "theory/questions/exponent_gap.hpp"

#include <map>
#include <tuple>

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

/// Rows as columns, the rows of each family apart.
struct Columns {
  std::vector<RowKey> keys;
  std::vector<double> log_d, log_y, sigma;
  std::vector<std::size_t> group, family;
  std::vector<std::string> families;
};

Columns columns_of(const std::vector<FamilyRow>& rows, const Thresholds& thresholds) {
  Columns c;
  std::vector<Subject> subjects;
  std::map<std::tuple<std::string, double, double>, std::size_t> groups;
  std::map<std::string, std::size_t> families;
  for (const FamilyRow& r : rows) families.try_emplace(r.family, 0);
  for (auto& [name, place] : families) place = c.families.size(), c.families.push_back(name);
  for (const FamilyRow& r : rows) {
    subjects.push_back(r.subject);
    c.log_d.push_back(std::log(r.subject.D));
    c.log_y.push_back(std::log(r.value));
    c.sigma.push_back(combined_sigma({r.relative_se}, thresholds.fit_scatter));
    c.group.push_back(groups.try_emplace({r.family, r.subject.N, r.level}, groups.size()).first->second);
    c.family.push_back(families.at(r.family));
  }
  c.keys = keys_of(subjects);
  return c;
}

/// The slope of every family on some of the rows.
std::vector<double> slopes_of(const Columns& c, const Sample& rows) {
  std::vector<Sample> by_family(c.families.size());
  for (const std::size_t i : rows) by_family[c.family[i]].push_back(i);
  std::vector<double> slopes;
  for (const Sample& own : by_family) slopes.push_back(slope_within(c.log_d, c.log_y, c.sigma, c.group, own));
  return slopes;
}

}  // namespace

std::vector<FamilyExponent> exponents_by_family(const std::vector<FamilyRow>& rows, const std::string& reference,
                                                const Thresholds& thresholds, int gaps_together) {
  if (rows.empty()) return {};
  const Columns c = columns_of(rows, thresholds);
  const auto place = std::find(c.families.begin(), c.families.end(), reference) - c.families.begin();
  const auto gaps_of = [&](const Sample& some) {
    std::vector<double> slopes = slopes_of(c, some);
    const double base = static_cast<std::size_t>(place) < slopes.size() ? slopes[std::size_t(place)] : NAN;
    for (double& s : slopes) s -= base;
    return slopes;
  };
  const auto exponents = jackknife(
      c.keys, [&](const Sample& some) { return slopes_of(c, some); }, interval_options(thresholds));
  const auto gaps = jackknife(c.keys, gaps_of, simultaneous_options(thresholds, gaps_together));
  std::vector<FamilyExponent> found;
  for (std::size_t f = 0; f < c.families.size(); ++f) {
    std::vector<RowKey> own;
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (c.family[i] == f) own.push_back(c.keys[i]);
    FamilyExponent e{c.families[f], exponents[f], {NAN, NAN, NAN, 0}, count_cells(own)};
    if (e.family != reference) e.gap = gaps[f];
    found.push_back(std::move(e));
  }
  return found;
}

}  // namespace hone::theory
