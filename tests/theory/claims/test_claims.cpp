#include "theory/claims/claims.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <regex>
#include <set>

#include "tests/theory/planted/along_text.hpp"
#include "tests/theory/planted/bit_rows.hpp"
#include "tests/theory/planted/scheme_rows.hpp"
#include "tests/theory/planted/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

Verdict verdict(std::string id, Outcome outcome, double estimate, double low, double high) {
  Verdict v;
  v.id = std::move(id);
  v.estimate_key = key_word(v.id) + ".number";
  v.estimate_label = "the number";
  v.outcome = outcome;
  v.estimate = estimate, v.low = low, v.high = high;
  return v;
}

Verdict measured(Outcome outcome) { return verdict("Q1", outcome, 0.5, 0.4, 0.6); }

Claim outcome_claim() { return {.key = "page.one", .question = "Q1"}; }

Claim number_claim(Reading reading, Range range) {
  return {.key = "page.one",
          .question = "Q1",
          .reading = reading,
          .finding = "q1.slope",
          .range = range,
          .missing = "checkpoints in pairs"};
}

/// The answer to a claim on q1.slope where that is measured with this interval.
ClaimAnswer by_slope(const Claim& claim, double low, double high) {
  Verdict v = measured(Outcome::inconclusive);
  v.findings.push_back({"q1.slope", "the slope", 0.5 * (low + high), low, high, "1"});
  return answer_claim(claim, {v});
}

/// One study with every kind of row that a judge reads, as far as rows can be planted.
Table everything() {
  const SyntheticGrid grid{.N = {3e4, 1e5, 3e5}, .D = {1e6, 3e6, 1e7, 3e7, 1e8}, .seeds = 2};
  Table table = planted({}, grid);
  add_losses(table, grid, 1e-3);
  for (PtqRow& r : table.ptq) r.loss = planted_loss(r.N, r.D, 1);
  for (SharpnessRow& r : table.sharpness) r.frobenius = r.trace / 10;
  for (SharpnessRow& r : table.sharpness)  // a knee, beyond which the regime is late
    if (r.D > 1e7) r.trace *= std::sqrt(1e7 / r.D);
  for (const double bits : {2.0, 3.0, 4.0, 6.0})
    for (const double n : {3e4, 1e5})
      for (const double d : grid.D)
        for (int seed = 0; seed < grid.seeds; ++seed) {
          LossRow r;
          static_cast<Subject&>(r) = subject_of(n, d, seed, "qat_trunk");
          r.arm = "qat", r.method = "qat", r.train_w_bits = bits;
          r.loss = planted_loss(n, d, -std::expm1(-bits / 1.2 + 1));
          r.loss_se = 1e-3;
          table.losses.push_back(r);
          r.train_w_bits = 16, r.train_a_bits = bits;
          table.losses.push_back(r);
          r.train_w_bits = bits;
          r.loss = planted_loss(n, d, std::pow(std::expm1(-bits / 1.2 + 1), 2));
          table.losses.push_back(r);
        }
  table.factorial = factorial(0, 0.01).factorial;
  table.noise = noise_rows(1, 1, 0.1).noise;
  PlantedSchemes schemes;
  schemes.schemes = {{"rtn", {}}, {"gptq", {.gain = 0.4}}, {"guided", {.gain = 0.4}}, {"mixed-fisher", {.gain = 0.7}}};
  schemes.schemes["mixed-output"].gain = 0.8;
  schemes.bits = {2, 3, 4};
  table.schemes = planted_schemes(schemes).schemes;
  add_cache(table, {});
  add_schedules(table, {});
  add_tasks(table, {});
  add_power(table, {});
  add_rounding(table, {});
  return table;
}

bool names(const std::vector<Verdict>& verdicts, std::string_view key) {
  return std::any_of(verdicts.begin(), verdicts.end(),
                     [&](const Verdict& v) { return v.estimate_key == key || find_finding(v, key) != nullptr; });
}

// Keys of numbers that the planted study lacks, because they need rows which no planted study has.
const std::set<std::string_view> of_certain_rows{
    "q1.shifted.ratio",          // windows of other data
    "q5.damage.rotated",         // schemes with a rotation
    "q5.residual.rotated",       //
    "q5.gamma_d.damage.cosine",  // an arm named cosine
    "q6.interaction.w2a2",       // 2 bits in a factorial
    "q6.farthest.wxkv",          // bits of the cache in a factorial
    "q16.gap",                   // other procedures than straight-through training
    "q16.further",               // models trained at few bits and quantized further
    "q16.further.exponent_gap",  //
    "q18.gap.scale",             // models with experts, trained at few bits
};

}  // namespace

TEST_SUITE("claims") {
  TEST_CASE("claims: keys are unique and well formed, and every claim says all that it must") {
    const std::regex form("(kumar|review|page)\\.[a-z0-9]+(_[a-z0-9]+)*");
    std::set<std::string_view> keys;
    for (const Claim& c : claims()) {
      INFO(std::string(c.key));
      CHECK(std::regex_match(std::string(c.key), form));
      CHECK(keys.insert(c.key).second);
      for (const std::string_view sentence : {c.claim, c.refuted_by}) {
        CHECK(sentence.size() > 10);
        CHECK(sentence.ends_with('.'));
      }
      CHECK(!c.source.empty());
      CHECK(!c.place.empty());
      const bool reads_number = c.reading == Reading::inside || c.reading == Reading::outside;
      CHECK(c.finding.empty() == !reads_number);
      CHECK(c.range.from < c.range.to);
      CHECK((std::isfinite(c.range.from) || std::isfinite(c.range.to)) == reads_number);
      if (c.question.empty() || reads_number) CHECK(!c.missing.empty());
      CHECK(!c.missing.ends_with('.'));  // it ends a sentence
    }
    CHECK(keys.size() >= 90);
  }

  TEST_CASE("claims: every question and every number that a claim names is made by the judges") {
    const std::vector<Verdict> verdicts = judge(everything(), Thresholds{});
    std::set<std::string_view> absent;
    for (const Claim& c : claims()) {
      INFO(std::string(c.key));
      if (c.question.empty()) continue;
      CHECK(std::any_of(verdicts.begin(), verdicts.end(), [&](const Verdict& v) { return v.id == c.question; }));
      if (c.finding.empty()) continue;
      CHECK(c.finding.starts_with(key_word(c.question) + "."));
      if (!names(verdicts, c.finding)) absent.insert(c.finding);
    }
    for (const std::string_view key : absent) CHECK_MESSAGE(of_certain_rows.contains(key), std::string(key));
    for (const std::string_view key : of_certain_rows) CHECK_MESSAGE(absent.contains(key), std::string(key));
  }

  TEST_CASE("claims: the outcome of a question confirms a claim or contradicts it") {
    const auto state = [](Outcome outcome) { return answer_claim(outcome_claim(), {measured(outcome)}).state; };
    CHECK(state(Outcome::supported) == ClaimState::confirmed);
    CHECK(state(Outcome::refuted) == ClaimState::contradicted);
    CHECK(state(Outcome::inconclusive) == ClaimState::open);
    const ClaimAnswer a = answer_claim(outcome_claim(), {measured(Outcome::supported)});
    CHECK(a.answer == "Q1 is supported: the number is 0.5 (0.4 to 0.6).");
    CHECK(a.estimate == 0.5);
    CHECK(a.low == 0.4);
    CHECK(a.high == 0.6);
  }

  TEST_CASE("claims: an interval within the range confirms `inside`, one beyond it contradicts, one across is open") {
    const Claim inside = number_claim(Reading::inside, {7, 8}), outside = number_claim(Reading::outside, {7, 8});
    const struct {
      double low, high;
      ClaimState of_inside, of_outside;
    } cases[] = {{7.2, 7.6, ClaimState::confirmed, ClaimState::contradicted},
                 {5.0, 6.0, ClaimState::contradicted, ClaimState::confirmed},
                 {8.5, 9.0, ClaimState::contradicted, ClaimState::confirmed},
                 {6.5, 7.5, ClaimState::open, ClaimState::open},
                 {6.0, 9.0, ClaimState::open, ClaimState::open}};
    for (const auto& c : cases) {
      CHECK(by_slope(inside, c.low, c.high).state == c.of_inside);
      CHECK(by_slope(outside, c.low, c.high).state == c.of_outside);
    }
    CHECK(by_slope(inside, 5, 6).answer == "the slope is 5.5 (5 to 6); the claim needs it between 7 and 8.");
    CHECK(by_slope(outside, 5, 6).answer == "the slope is 5.5 (5 to 6); the claim needs it not between 7 and 8.");
  }

  TEST_CASE("claims: a half-open range needs a sign, and a difference of exactly 0 has none") {
    const Claim below = number_claim(Reading::inside, {-unbounded, 0});
    CHECK(by_slope(below, -2, -1).state == ClaimState::confirmed);
    CHECK(by_slope(below, 1, 2).state == ClaimState::contradicted);
    CHECK(by_slope(below, 0, 0).state == ClaimState::open);
    CHECK(by_slope(number_claim(Reading::inside, {0, unbounded}), 1, 2).state == ClaimState::confirmed);
  }

  TEST_CASE(
      "claims: a number without an interval is open, one that is absent or a question without rows not measured") {
    const Claim claim = number_claim(Reading::inside, {0, 1});
    Verdict v = measured(Outcome::supported);
    v.findings.push_back({"q1.slope", "the slope", 0.5, NAN, NAN, "1"});
    const ClaimAnswer bare = answer_claim(claim, {v});
    CHECK(bare.state == ClaimState::open);
    CHECK(bare.answer == "the slope is 0.5 (no interval); the claim needs it between 0 and 1.");
    v.findings[0].estimate = NAN;
    CHECK(answer_claim(claim, {v}).state == ClaimState::not_measured);
    const ClaimAnswer absent = answer_claim(claim, {measured(Outcome::supported)});
    CHECK(absent.state == ClaimState::not_measured);
    CHECK(absent.answer == "This study has no number q1.slope for Q1; it comes from checkpoints in pairs.");
    CHECK(std::isnan(absent.estimate));
    const Verdict without_rows = verdict("Q1", Outcome::inconclusive, NAN, NAN, NAN);
    CHECK(answer_claim(outcome_claim(), {without_rows}).state == ClaimState::not_measured);
    CHECK(answer_claim(outcome_claim(), {}).answer == "Q1 was not judged.");
    CHECK(answer_claim({.key = "page.one", .missing = "no study"}, {}).answer == "No question covers it: no study.");
  }

  TEST_CASE("claims: planted growth as one power of the tokens confirms what says so and contradicts its opposite") {
    const auto answers = answer_claims(judge(planted({}), Thresholds{}));
    const auto state = [&](std::string_view key) {
      const auto at =
          std::find_if(answers.begin(), answers.end(), [&](const ClaimAnswer& a) { return a.claim.key == key; });
      REQUIRE(at != answers.end());
      return at->state;
    };
    CHECK(state("kumar.ptq_power") == ClaimState::confirmed);
    CHECK(state("page.penalty_falls_with_ratio") == ClaimState::contradicted);
    CHECK(state("kumar.optimal_bits_invariant") == ClaimState::not_measured);
    CHECK(state("review.energy") == ClaimState::not_covered);
  }

  TEST_CASE("claims: the JSON holds every claim with its state, and null for what is unknown") {
    const auto answers = answer_claims({verdict("Q1", Outcome::supported, 0.5, 0.4, NAN)});
    const auto all = nlohmann::json::parse(claims_to_json(answers));
    CHECK(all.at("schema") == 1);
    REQUIRE(all.at("claims").size() == claims().size());
    std::map<std::string, int> count;
    for (const auto& o : all.at("claims")) {
      CHECK(o.size() == 12);
      ++count[o.at("state")];
      if (o.at("key") != "kumar.ptq_power") continue;
      CHECK(o.at("state") == "confirmed");
      CHECK(o.at("estimate") == 0.5);
      CHECK(o.at("high").is_null());
    }
    CHECK(count_claims(answers) ==
          fmt::format("{} confirmed, {} contradicted, {} open, {} not measured, {} not covered", count["confirmed"],
                      count["contradicted"], count["open"], count["not_measured"], count["not_covered"]));
  }
}
