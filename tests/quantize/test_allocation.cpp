// Bits under a budget: exactness against enumeration and stored optima, and the shape of the closed-form optimum.
#include "sim/quantize/allocation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

using nlohmann::json;

/// Items of n_l weights whose cost at b bits is s_l·4^-b.
std::vector<AllocationItem> exponential_items(const std::vector<Index>& counts, const std::vector<double>& scores,
                                              const std::vector<int>& widths) {
  std::vector<AllocationItem> items;
  for (size_t i = 0; i < counts.size(); ++i) {
    AllocationItem item{"item " + std::to_string(i), {}};
    for (int b : widths) item.choices.push_back({b, counts[i] * b, scores[i] * std::pow(4.0, -b)});
    items.push_back(item);
  }
  return items;
}

/// Five items with random costs that need not fall with the width.
std::vector<AllocationItem> random_items(std::uint64_t seed) {
  std::vector<AllocationItem> items;
  for (std::uint64_t i = 0; i < 5; ++i) {
    AllocationItem item{"r" + std::to_string(i), {}};
    const auto size = std::int64_t(10 + 200 * uniform({seed, Domain::test, 0}, i));
    for (int b : {2, 3, 4, 8}) item.choices.push_back({b, size * b, uniform({seed, Domain::test, 1}, i * 16 + b)});
    items.push_back(item);
  }
  return items;
}

double best_by_enumeration(const std::vector<AllocationItem>& items, std::int64_t budget) {
  double best = INFINITY;
  const size_t k = items.front().choices.size();
  size_t count = 1;
  for (size_t i = 0; i < items.size(); ++i) count *= k;
  for (size_t code = 0; code < count; ++code) {
    std::int64_t bits = 0;
    double cost = 0;
    size_t rest = code;
    for (const AllocationItem& item : items) {
      bits += item.choices[rest % k].bits, cost += item.choices[rest % k].cost;
      rest /= k;
    }
    if (bits <= budget) best = std::min(best, cost);
  }
  return best;
}

TEST_CASE("allocation: the exact solver finds the stored optima") {
  const json stored = json::parse(read_text(HONE_GOLDEN "/quant/rtn_extra_lsq_alloc.json"))["allocation"];
  std::vector<double> scores;
  for (size_t i = 0; i < 5; ++i) scores.push_back(stored["trace"][i].get<double>() * stored["var"][i].get<double>());
  const auto items = exponential_items(stored["n"].get<std::vector<Index>>(), scores, stored["bits"]);
  REQUIRE(stored["cases"].size() == 4);
  for (const json& example : stored["cases"]) {
    const Allocation found = allocate_exactly(items, example["budget"].get<std::int64_t>());
    CHECK_NEAR(found.cost, example["best_cost"].get<double>(), 1e-14, 0);
    CHECK(found.widths == example["bits"].get<std::vector<int>>());
    CHECK(found.bits <= example["budget"].get<std::int64_t>());
  }
}

TEST_CASE("allocation: the exact solver equals enumeration on five items of arbitrary costs") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const auto items = random_items(seed);
    std::int64_t least = 0;
    for (const AllocationItem& item : items) least += item.choices.front().bits;
    for (double factor : {1.0, 1.2, 1.7, 2.5, 4.0}) {
      const auto budget = std::int64_t(double(least) * factor);
      const Allocation found = allocate_exactly(items, budget);
      CHECK_NEAR(found.cost, best_by_enumeration(items, budget), 1e-14, 0);
      CHECK(found.bits <= budget);
    }
  }
}

TEST_CASE("allocation: cost never rises with the budget and never exceeds the uniform choice") {
  const std::vector<Index> counts{512, 64, 300, 300, 2048};
  const std::vector<double> scores{3, 90, 0.2, 7, 1};
  const auto items = exponential_items(counts, scores, {2, 3, 4, 5, 6, 8});
  double previous = INFINITY;
  for (std::int64_t budget = 2 * 3224; budget <= 8 * 3224; budget += 137) {
    const double cost = allocate_exactly(items, budget).cost;
    CHECK(cost <= previous);
    previous = cost;
  }
  for (int b : {2, 3, 4, 5, 6, 8}) {
    double uniform_cost = 0;
    for (double s : scores) uniform_cost += s * std::pow(4.0, -b);
    CHECK(allocate_exactly(items, 3224 * b).cost <= uniform_cost);
  }
}

TEST_CASE("allocation: equal scores and sizes give equal widths") {
  const auto items = exponential_items({100, 100, 100, 100}, {2, 2, 2, 2}, {2, 3, 4, 8});
  CHECK(allocate_exactly(items, 1200).widths == std::vector<int>{3, 3, 3, 3});
  CHECK(allocate_by_share(items, {1, 1, 1, 1}, 1200).widths == std::vector<int>{3, 3, 3, 3});
}

TEST_CASE("allocation: the share-linear baseline keeps the budget and never beats the exact solver") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::vector<double> scores;
    for (std::uint64_t i = 0; i < 6; ++i) scores.push_back(std::exp(3 * normal({seed, Domain::test, 2}, i)));
    const auto items = exponential_items({64, 128, 64, 256, 32, 500}, scores, {2, 3, 4, 5, 6, 8});
    for (double average : {2.0, 2.5, 3.5, 6.0, 8.0}) {
      const auto budget = std::int64_t(average * 1044);
      const Allocation share = allocate_by_share(items, scores, budget);
      CHECK(share.bits <= budget);
      CHECK(allocate_exactly(items, budget).cost <= share.cost);
    }
  }
}

/// Whether one more step of one item fits the budget at no higher cost.
bool leaves_room(const std::vector<AllocationItem>& items, const Allocation& found, std::int64_t budget) {
  for (size_t i = 0; i < items.size(); ++i) {
    const auto& choices = items[i].choices;
    const auto now =
        std::find_if(choices.begin(), choices.end(), [&](const WidthChoice& c) { return c.width == found.widths[i]; });
    for (const WidthChoice& c : choices)
      if (c.bits > now->bits && found.bits + c.bits - now->bits <= budget &&
          std::max(c.cost, 0.0) <= std::max(now->cost, 0.0))
        return true;
  }
  return false;
}

TEST_CASE("allocation: costs of zero or below leave no bits of the budget unspent") {
  const std::vector<Index> counts{100, 100, 100, 100};
  const std::vector<int> widths{2, 3, 4, 5, 6, 8};
  for (const std::vector<double>& scores : std::vector<std::vector<double>>{
           {0, 0, 0, 0}, {-1, -2, -3, -4}, {1, 0, -1, 2}, {1e-9, 0, 0, 0}, {5, 5, 5, -1e9}, {0, -0.0, 3, 3}})
    for (std::int64_t budget = 800; budget <= 3300; budget += 50) {
      const auto items = exponential_items(counts, scores, widths);
      std::vector<double> shares;
      for (double score : scores) shares.push_back(std::max(score, 0.0));
      for (const Allocation& found : {allocate_exactly(items, budget), allocate_by_share(items, shares, budget)}) {
        CHECK(found.bits <= budget);
        CHECK(found.cost >= 0);
        CHECK(!leaves_room(items, found, budget));
      }
    }
  // All alike: nobody is better served than another by more than one step.
  const auto alike = exponential_items(counts, {0, 0, 0, 0}, widths);
  CHECK(allocate_exactly(alike, 1600).widths == std::vector<int>{4, 4, 4, 4});
  CHECK(allocate_exactly(alike, 1850).widths == std::vector<int>{5, 5, 4, 4});
}

TEST_CASE("allocation: resolved sensitivities stay, the others are noise around a small positive value") {
  const auto sound = [](std::vector<MeanEstimate> measured) { return sound_sensitivities(measured); };
  using List = std::vector<double>;
  CHECK(sound({{4, 1}, {0.5, 0.01}, {9, 0}}) == List{4, 0.5, 9});      // all resolved
  CHECK(sound({{4, 1}, {0.5, 0.1}, {-2, 0.2}}) == List{4, 0.5, 0.2});  // its error, below the least resolved
  CHECK(sound({{4, 1}, {0.5, 0.1}, {-2, 30}, {0, 3}}) == List{4, 0.5, 0.5, 0.5});  // never above the least resolved
  CHECK(sound({{4, 1}, {0.5, 0.4}, {7, 5}}) == List{4, 0.5, 7});  // positive, unresolved, above the floor
  CHECK(sound({{4, 1}, {0.1, 0.4}}) == List{4, 0.4});
  CHECK(sound({{3, 0}, {0, 0}, {-1, INFINITY}}) == List{3, 3, 3});         // without errors
  CHECK(sound({{-1, 0.25}, {0, 0.5}, {-3, 0}}) == List{0.25, 0.5, 0.25});  // nothing resolved
  CHECK(sound({{0, 0}, {-1, 0}, {0, INFINITY}}) == List{1, 1, 1});         // nothing known
  CHECK(sound({}).empty());
  CHECK_THROWS_AS(sound({{NAN, 1}}), ContractError);
  CHECK_THROWS_AS(sound({{1, -1}}), ContractError);
}

TEST_CASE("allocation: noise around small positive sensitivities costs little more than knowing them") {
  // Twelve items, of which four are too insensitive to be measured: their estimates are as often below zero as above.
  const std::vector<Index> counts(12, 100);
  const std::vector<int> widths{2, 3, 4, 5, 6, 7, 8};
  double known = 0, floored = 0, clipped = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::vector<double> truth;
    std::vector<MeanEstimate> measured;
    for (std::uint64_t i = 0; i < 12; ++i) {
      truth.push_back(i < 4 ? 0.02 : std::exp(normal({seed, Domain::test, 5}, i)));
      measured.push_back({truth.back() + 0.05 * normal({seed, Domain::test, 6}, i), 0.05});
    }
    const auto true_cost = [&](const std::vector<double>& charged) {
      const Allocation found = allocate_exactly(exponential_items(counts, charged, widths), 12 * 100 * 6);
      double cost = 0;
      for (size_t i = 0; i < 12; ++i) cost += truth[i] * std::pow(4.0, -found.widths[i]);
      return cost;
    };
    std::vector<double> positive;
    for (const MeanEstimate& m : measured) positive.push_back(std::max(m.mean, 0.0));
    known += true_cost(truth), floored += true_cost(sound_sensitivities(measured)), clipped += true_cost(positive);
  }
  MESSAGE("cost over that with known sensitivities: floored ", floored / known, ", clipped at zero ", clipped / known);
  CHECK(floored < 1.25 * known);
  CHECK(clipped > 2 * known);
}

TEST_CASE("allocation: a budget below the smallest widths is refused with both numbers") {
  const auto items = exponential_items({10, 10}, {1, 1}, {2, 4});
  CHECK_THROWS_WITH_AS(allocate_exactly(items, 39), doctest::Contains("39 bits is below the 40"), OptionError);
  CHECK_THROWS_AS(allocate_by_share(items, {1, 2}, 39), OptionError);
}

}  // namespace
}  // namespace hone::test
