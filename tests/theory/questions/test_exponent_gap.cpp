#include "theory/questions/exponent_gap.hpp"

#include "tests/support/near.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// Families whose value goes as D^exponent. What a seed adds to the exponent is common to its families.
std::vector<FamilyRow> families(const std::map<std::string, double>& exponents, double of_seed, double noise) {
  std::vector<FamilyRow> rows;
  std::uint64_t draw = 0;
  for (const double n : {3e4, 1e5})
    for (int seed = 1; seed <= 3; ++seed) {
      const double own = of_seed * normal(Stream{201, Domain::test}, draw++);
      for (const double d : {1e6, 3e6, 1e7})
        for (const auto& [name, exponent] : exponents)
          for (const double bits : {3.0, 4.0}) {
            const double z = noise * normal(Stream{202, Domain::test}, draw++);
            rows.push_back({subject_of(n, d, seed, "trunk"), name, bits,
                            std::exp((exponent + own) * std::log(d) + z) * std::exp2(-2 * bits), 0.01});
          }
    }
  return rows;
}

const FamilyExponent& of(const std::vector<FamilyExponent>& all, const std::string& name) {
  const auto at = std::find_if(all.begin(), all.end(), [&](const FamilyExponent& e) { return e.family == name; });
  REQUIRE(at != all.end());
  return *at;
}

}  // namespace

TEST_SUITE("exponent gap") {
  TEST_CASE("exponent gap: each family has its exponent, and the gap to the reference lies in its interval") {
    const auto found = exponents_by_family(families({{"gptq", 0.8}, {"rtn", 0.5}}, 0, 0.05), "rtn", Thresholds{});
    REQUIRE(found.size() == 2);
    CHECK_NEAR(of(found, "rtn").exponent.estimate, 0.5, 0, 0.05);
    CHECK_NEAR(of(found, "gptq").exponent.estimate, 0.8, 0, 0.05);
    const Interval& gap = of(found, "gptq").gap;
    CHECK(is_inside({0.3, 0.3, 0.3}, gap.low, gap.high));
    CHECK(gap.low > 0);
    CHECK(of(found, "gptq").cells == 6);
    CHECK(std::isnan(of(found, "rtn").gap.estimate));
  }

  TEST_CASE("exponent gap: what a seed gives to both families cancels in the gap") {
    const auto found = exponents_by_family(families({{"gptq", 0.5}, {"rtn", 0.5}}, 0.3, 0), "rtn", Thresholds{});
    const Interval own = of(found, "gptq").exponent, gap = of(found, "gptq").gap;
    CHECK(own.high - own.low > 0.2);
    CHECK_NEAR(gap.estimate, 0, 0, 1e-9);
    CHECK(gap.high - gap.low < 1e-9);
  }

  TEST_CASE("exponent gap: gaps that hold together are wider, a reference without rows gives none") {
    const auto rows = families({{"a", 0.5}, {"b", 0.6}}, 0, 0.05);
    const Interval alone = of(exponents_by_family(rows, "a", Thresholds{}), "b").gap,
                   together = of(exponents_by_family(rows, "a", Thresholds{}, 3), "b").gap;
    CHECK(alone.estimate == together.estimate);
    CHECK(together.high - together.low > alone.high - alone.low);
    CHECK(together.family == 3);
    CHECK(std::isnan(of(exponents_by_family(rows, "rtn", Thresholds{}), "b").gap.estimate));
    CHECK(exponents_by_family({}, "rtn", Thresholds{}).empty());
  }

  TEST_CASE("exponent gap: one token count has no exponent") {
    std::vector<FamilyRow> rows;
    for (const FamilyRow& r : families({{"a", 0.5}}, 0, 0.05))
      if (r.subject.D == 1e6) rows.push_back(r);
    CHECK(std::isnan(of(exponents_by_family(rows, "a", Thresholds{}), "a").exponent.estimate));
  }
}
