#include "sim/quantize/allocation.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"

namespace hone {
namespace {

/// A sum of choices for the items so far, which no other sum beats in bits and in cost.
struct PartialSum {
  std::int64_t bits = 0;
  double cost = 0;
  int previous = -1;  ///< number of the partial sum before this item
  int choice = -1;
};

double charged(const WidthChoice& choice) { return std::max(choice.cost, 0.0); }

std::int64_t fewest_bits(const AllocationItem& item) {
  EXPECTS(!item.choices.empty(), "allocation: item '{}' has no width to choose", item.name);
  std::int64_t fewest = item.choices.front().bits;
  for (const WidthChoice& c : item.choices) {
    EXPECTS(std::isfinite(c.cost), "allocation: the cost of '{}' at {} bits is {}", item.name, c.width, c.cost);
    fewest = std::min(fewest, c.bits);
  }
  return fewest;
}

/// Bits that the items from each on need at least; the first entry is checked against the budget.
std::vector<std::int64_t> least_bits_from(const std::vector<AllocationItem>& items, std::int64_t budget) {
  std::vector<std::int64_t> least(items.size() + 1, 0);
  for (size_t i = items.size(); i-- > 0;) least[i] = least[i + 1] + fewest_bits(items[i]);
  if (least[0] > budget)
    throw OptionError(
        fmt::format("allocation: a budget of {} bits is below the {} that the smallest widths take; raise "
                    "the average bits or offer smaller widths",
                    budget, least[0]));
  return least;
}

/// All sums of a partial sum and a choice within `room`, without those that another beats.
std::vector<PartialSum> extend(const std::vector<PartialSum>& before, const AllocationItem& item, std::int64_t room) {
  std::vector<PartialSum> sums;
  sums.reserve(before.size() * item.choices.size());
  for (size_t p = 0; p < before.size(); ++p)
    for (size_t c = 0; c < item.choices.size(); ++c) {
      const std::int64_t bits = before[p].bits + item.choices[c].bits;
      if (bits <= room) sums.push_back({bits, before[p].cost + charged(item.choices[c]), int(p), int(c)});
    }
  std::stable_sort(sums.begin(), sums.end(), [](const PartialSum& a, const PartialSum& b) {
    return a.bits != b.bits ? a.bits < b.bits : a.cost < b.cost;
  });
  std::vector<PartialSum> kept;
  for (const PartialSum& s : sums)
    if (kept.empty() || s.cost < kept.back().cost) kept.push_back(s);
  return kept;
}

Allocation allocation_of(const std::vector<AllocationItem>& items, const std::vector<int>& choices) {
  Allocation result;
  for (size_t i = 0; i < items.size(); ++i) {
    const WidthChoice& c = items[i].choices[size_t(choices[i])];
    result.widths.push_back(c.width);
    result.bits += c.bits;
    result.cost += charged(c);
  }
  return result;
}

/// Widens the choices that a budget leaves room for, one step of the narrowest item at a time, where it costs no more.
void spend_rest(const std::vector<AllocationItem>& items, std::int64_t budget, std::vector<int>& choices) {
  std::int64_t room = budget - allocation_of(items, choices).bits;
  for (;;) {
    int best = -1, best_choice = -1;
    const auto choice_of = [&](int i) -> const WidthChoice& {
      return items[size_t(i)].choices[size_t(choices[size_t(i)])];
    };
    for (int i = 0; i < int(items.size()); ++i) {
      const WidthChoice& now = choice_of(i);
      if (best >= 0 && choice_of(best).width <= now.width) continue;
      int step = -1;  // the next wider choice of item i
      for (int c = 0; c < int(items[size_t(i)].choices.size()); ++c) {
        const WidthChoice& more = items[size_t(i)].choices[size_t(c)];
        if (more.bits <= now.bits || more.bits - now.bits > room || charged(more) > charged(now)) continue;
        if (step < 0 || more.bits < items[size_t(i)].choices[size_t(step)].bits) step = c;
      }
      if (step >= 0) best = i, best_choice = step;
    }
    if (best < 0) return;
    room -= items[size_t(best)].choices[size_t(best_choice)].bits - choice_of(best).bits;
    choices[size_t(best)] = best_choice;
  }
}

/// Number of the widest choice of at most `width` bits, else of the narrowest.
int widest_within(const AllocationItem& item, double width) {
  int best = -1, narrowest = 0;
  for (int c = 0; c < int(item.choices.size()); ++c) {
    const int offered = item.choices[size_t(c)].width;
    if (offered < item.choices[size_t(narrowest)].width) narrowest = c;
    if (offered <= width && (best < 0 || offered > item.choices[size_t(best)].width)) best = c;
  }
  return best < 0 ? narrowest : best;
}

std::vector<int> share_choices(const std::vector<AllocationItem>& items, const std::vector<double>& shares,
                               double slope) {
  int low = 64, high = 0;
  for (const AllocationItem& item : items)
    for (const WidthChoice& c : item.choices) low = std::min(low, c.width), high = std::max(high, c.width);
  std::vector<int> choices;
  for (size_t i = 0; i < items.size(); ++i)
    choices.push_back(widest_within(items[i], low + (high - low) * std::min(1.0, slope * shares[i])));
  return choices;
}

}  // namespace

std::vector<double> sound_sensitivities(const std::vector<MeanEstimate>& measured) {
  double smallest = INFINITY;
  for (const MeanEstimate& m : measured) {
    EXPECTS(std::isfinite(m.mean) && m.standard_error >= 0, "allocation: a sensitivity of {} ± {}", m.mean,
            m.standard_error);
    const double error = std::isfinite(m.standard_error) ? m.standard_error : 0;
    if (m.mean > 0 && m.mean > 2 * error) smallest = std::min(smallest, m.mean);
  }
  std::vector<double> sound;
  double least = INFINITY;  // of the positive ones, for those without any hint of their own
  for (const MeanEstimate& m : measured) {
    const bool has_error = m.standard_error > 0 && std::isfinite(m.standard_error);
    const double floor = std::min(has_error ? m.standard_error : INFINITY, smallest);
    sound.push_back(std::isfinite(floor) ? std::max(m.mean, floor) : m.mean);
    if (sound.back() > 0) least = std::min(least, sound.back());
  }
  for (double& value : sound)
    if (value <= 0) value = std::isfinite(least) ? least : 1;
  return sound;
}

Allocation allocate_exactly(const std::vector<AllocationItem>& items, std::int64_t budget_bits) {
  const std::vector<std::int64_t> least = least_bits_from(items, budget_bits);
  std::vector<std::vector<PartialSum>> sums{{PartialSum{}}};
  for (size_t i = 0; i < items.size(); ++i) sums.push_back(extend(sums.back(), items[i], budget_bits - least[i + 1]));
  std::vector<int> choices(items.size());
  int at = int(sums.back().size()) - 1;  // costs fall along the list
  for (size_t i = items.size(); i-- > 0;) {
    const PartialSum& s = sums[i + 1][size_t(at)];
    choices[i] = s.choice;
    at = s.previous;
  }
  spend_rest(items, budget_bits, choices);
  return allocation_of(items, choices);
}

Allocation allocate_by_share(const std::vector<AllocationItem>& items, const std::vector<double>& scores,
                             std::int64_t budget_bits) {
  EXPECTS(items.size() == scores.size(), "allocation: {} scores for {} items", scores.size(), items.size());
  least_bits_from(items, budget_bits);
  double total = 0;
  for (double score : scores) {
    EXPECTS(std::isfinite(score) && score >= 0, "allocation: a score of {}", score);
    total += score;
  }
  std::vector<double> shares(scores);
  for (double& share : shares) share = total > 0 ? share / total : 1.0 / double(items.size());
  double low = 0, high = 1;
  const auto bits_at = [&](double slope) { return allocation_of(items, share_choices(items, shares, slope)).bits; };
  while (high < 0x1p60 && bits_at(high) <= budget_bits) high *= 2;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (bits_at(middle) <= budget_bits ? low : high) = middle;
  }
  std::vector<int> choices = share_choices(items, shares, low);
  spend_rest(items, budget_bits, choices);
  return allocation_of(items, choices);
}

}  // namespace hone
