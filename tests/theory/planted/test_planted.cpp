// The tables of outputs/published/planted/README.md with fewer campaigns: planted values inside their intervals, verdicts
// as planted.
#include <cmath>
#include <set>

#include "sim/base/parallel.hpp"
#include "tests/support/near.hpp"
#include "tests/theory/planted/worlds.hpp"
#include "theory/rows/tables.hpp"
#include "theory/solvable/planted.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

void check_outcomes(const std::vector<OutcomeRate>& table, double share_min) {
  for (const OutcomeRate& r : table) {
    const int all = r.supported + r.refuted + r.inconclusive;
    const int as_wanted = r.wanted == "supported" ? r.supported : r.wanted == "refuted" ? r.refuted : r.inconclusive;
    CHECK_MESSAGE(as_wanted >= share_min * all, r.question, ", ", r.world, ": ", r.supported, " supported, ", r.refuted,
                  " refuted, ", r.inconclusive, " inconclusive, should be ", r.wanted);
  }
}

}  // namespace

TEST_SUITE("planted") {
  TEST_CASE("planted_campaign: each kind of noise is shared by its own rows alone") {
    const SyntheticGrid grid{.N = {1e4, 1e5}, .D = {1e6, 1e7}, .P = {3, 4}};
    const std::vector<double> p{-3, 0.5, 0.35, 1.6};
    const auto distinct = [&](const CampaignNoise& noise) {
      std::set<long> offsets;
      for (const Observation& o : planted_campaign(LawKind::ptq_exponential, p, points_of(grid), 3, noise, 5))
        offsets.insert(std::lround(1e9 * (o.log_y - std::log(predict(LawKind::ptq_exponential, p, o.point)))));
      return offsets.size();
    };
    CHECK(distinct({.trajectory = 0, .drift = 0, .checkpoint = 0, .row = 0, .size = 0}) == 1);
    CHECK(distinct({.trajectory = 0, .drift = 0, .checkpoint = 0, .row = 0, .size = 1}) == 2);
    CHECK(distinct({.trajectory = 1, .drift = 0, .checkpoint = 0, .row = 0, .size = 0}) == 6);
    CHECK(distinct({.trajectory = 0, .drift = 1, .checkpoint = 0, .row = 0, .size = 0}) == 12);
    CHECK(distinct({.trajectory = 0, .drift = 0, .checkpoint = 1, .row = 0, .size = 0}) == 12);
    CHECK(distinct({.trajectory = 0, .drift = 0, .checkpoint = 0, .row = 1, .size = 0}) == 24);
  }

  TEST_CASE("intervals: at 95 % they hold every parameter of every law in 50 of 60 campaigns or more, and not in all") {
    double held = 0;
    const auto table = law_coverage({60, hardware_threads()});
    for (const Coverage& c : table) {
      CHECK_MESSAGE(c.held >= 50, c.family, ", ", c.number, ": ", c.held, " of 60");  // chance of fewer: 4e-4
      CHECK(c.missing == 0);
      held += c.held / 60.0 / static_cast<double>(table.size());
    }
    CHECK_NEAR(held, 0.95, 0, 0.03);
  }

  TEST_CASE(
      "verdicts: directions, prediction, cooling and composition come out as planted in 32 of 40 campaigns or more") {
    check_outcomes(contrast_tables({40, hardware_threads()}).outcomes, 0.8);
  }

  TEST_CASE("verdicts: growth comes out as planted in at least two of three campaigns") {
    check_outcomes(growth_tables({3, hardware_threads()}).outcomes, 0.6);
  }

  TEST_CASE("verdicts: on the design and noise of the reference study at most one campaign of 20 decides wrongly") {
    const Table study = from_tables(HONE_SOURCE_DIR "/outputs/reference/table.csv.gz");
    int decided = 0;
    const auto rates = real_contrast_tables(study, 3, {20, hardware_threads()}).outcomes;
    for (const OutcomeRate& r : rates) {
      const int wrong = r.wanted == "supported" ? r.refuted : r.supported;
      CHECK_MESSAGE(wrong <= 1, r.question, ", ", r.world, ": ", wrong, " of 20");
      decided += 20 - r.inconclusive;
    }
    CHECK(decided > 10 * static_cast<int>(rates.size()));  // some designs lack power, most worlds are told apart
  }

  TEST_CASE("verdicts: forms and precisions come out as planted, or for Q7 not against it") {
    for (const OutcomeRate& r : form_tables({1, hardware_threads()}).outcomes) {
      INFO(r.question, ", ", r.world);
      if (r.wanted != "supported") CHECK(r.supported == 0);
      if (r.wanted != "refuted") CHECK(r.refuted == 0);
      if (r.question == "Q8") CHECK((r.wanted == "inconclusive") == (r.inconclusive == 1));
    }
  }

  TEST_CASE("campaigns: threads change no count") {
    const auto one = contrast_tables({3, 1}).coverage, two = contrast_tables({3, 2}).coverage;
    REQUIRE(one.size() == two.size());
    for (std::size_t i = 0; i < one.size(); ++i) {
      CHECK(one[i].held == two[i].held);
      CHECK(one[i].median_width == two[i].median_width);
    }
  }
}
