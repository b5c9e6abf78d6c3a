#include "theory/claims/claims.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "theory/claims/page_claims.hpp"
#include "theory/claims/review_claims.hpp"

namespace hone::theory {
namespace {

using Json = nlohmann::ordered_json;
constexpr int schema = 1;
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// The number that a claim names, the estimate of the verdict being one of them.
Finding number_of(const Verdict& v, std::string_view key) {
  const Finding of_rule{v.estimate_key, v.estimate_label, v.estimate, v.low, v.high, v.unit};
  if (key.empty() || key == v.estimate_key) return of_rule;
  const Finding* found = find_finding(v, key);
  return found ? *found : Finding{std::string(key), "", unknown, unknown, unknown, ""};
}

/// The state of a claim that holds where `is_so`, and is false where `is_not`.
ClaimState decided(bool is_so, bool is_not, bool is_measured) {
  if (is_so) return ClaimState::confirmed;
  if (is_not) return ClaimState::contradicted;
  return is_measured ? ClaimState::open : ClaimState::not_measured;
}

/// A bound at the limit of an open range does not lie within it: an interval of exactly 0 is no sign of a number below 0.
ClaimState by_range(const Claim& claim, const Finding& f) {
  const auto [from, to] = claim.range;
  const bool is_within = f.low > from && f.high < to;
  const bool is_disjoint = f.low > to || f.high < from;
  const bool is_measured = std::isfinite(f.estimate);
  return claim.reading == Reading::inside ? decided(is_within, is_disjoint, is_measured)
                                          : decided(is_disjoint, is_within, is_measured);
}

ClaimState by_outcome(const Verdict& v) {
  return decided(v.outcome == Outcome::supported, v.outcome == Outcome::refuted, std::isfinite(v.estimate));
}

/// "above 0", "below 1", "between 7 and 8"
std::string words_of(const Range& range) {
  if (!std::isfinite(range.to)) return fmt::format("above {:g}", range.from);
  if (!std::isfinite(range.from)) return fmt::format("below {:g}", range.to);
  return fmt::format("between {:g} and {:g}", range.from, range.to);
}

std::string words_of(const Finding& f) {
  const std::string bounds =
      std::isfinite(f.low) && std::isfinite(f.high) ? fmt::format("{:.3g} to {:.3g}", f.low, f.high) : "no interval";
  return fmt::format("{} is {:.3g} ({})", f.label, f.estimate, bounds);
}

std::string answer_in_words(const Claim& claim, ClaimState state, const Verdict& v, const Finding& f) {
  if (state == ClaimState::not_measured)
    return claim.missing.empty()
               ? fmt::format("{} has too few rows in this study for an answer.", v.id)
               : fmt::format("This study has no number {} for {}; it comes from {}.", f.key, v.id, claim.missing);
  const std::string number = std::isfinite(f.estimate) ? words_of(f) : fmt::format("{} has no estimate", v.id);
  if (claim.reading == Reading::agrees) return fmt::format("{} is {}: {}.", v.id, outcome_name(v.outcome), number);
  return fmt::format("{}; the claim needs it {}{}.", number, claim.reading == Reading::inside ? "" : "not ",
                     words_of(claim.range));
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json to_object(const ClaimAnswer& a) {
  return {{"key", a.claim.key},
          {"source", a.claim.source},
          {"place", a.claim.place},
          {"claim", a.claim.claim},
          {"refuted_by", a.claim.refuted_by},
          {"question", a.claim.question},
          {"finding", a.claim.finding},
          {"state", state_name(a.state)},
          {"answer", a.answer},
          {"estimate", number(a.estimate)},
          {"low", number(a.low)},
          {"high", number(a.high)}};
}

}  // namespace

const std::vector<Claim>& claims() {
  static const std::vector<Claim> all = [] {
    std::vector<Claim> list(review_claims().begin(), review_claims().end());
    list.insert(list.end(), page_claims().begin(), page_claims().end());
    return list;
  }();
  return all;
}

std::string_view state_name(ClaimState state) {
  switch (state) {
    case ClaimState::confirmed: return "confirmed";
    case ClaimState::contradicted: return "contradicted";
    case ClaimState::open: return "open";
    case ClaimState::not_measured: return "not_measured";
    case ClaimState::not_covered: return "not_covered";
  }
  return "";
}

ClaimAnswer answer_claim(const Claim& claim, const std::vector<Verdict>& verdicts) {
  if (claim.question.empty())
    return {claim,  ClaimState::not_covered, fmt::format("No question covers it: {}.", claim.missing), unknown, unknown,
            unknown};
  const auto verdict =
      std::find_if(verdicts.begin(), verdicts.end(), [&](const Verdict& v) { return v.id == claim.question; });
  if (verdict == verdicts.end())
    return {claim,  ClaimState::not_measured, fmt::format("{} was not judged.", claim.question), unknown, unknown,
            unknown};
  const Finding f = number_of(*verdict, claim.finding);
  const ClaimState state = claim.reading == Reading::agrees ? by_outcome(*verdict) : by_range(claim, f);
  return {claim, state, answer_in_words(claim, state, *verdict, f), f.estimate, f.low, f.high};
}

std::vector<ClaimAnswer> answer_claims(const std::vector<Verdict>& verdicts) {
  std::vector<ClaimAnswer> answers;
  for (const Claim& claim : claims()) answers.push_back(answer_claim(claim, verdicts));
  return answers;
}

std::string count_claims(const std::vector<ClaimAnswer>& answers) {
  std::string words;
  for (const ClaimState state : all_claim_states) {
    const auto n =
        std::count_if(answers.begin(), answers.end(), [&](const ClaimAnswer& a) { return a.state == state; });
    std::string name(state_name(state));
    std::replace(name.begin(), name.end(), '_', ' ');
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", n, name);
  }
  return words;
}

std::string claims_to_json(const std::vector<ClaimAnswer>& answers) {
  Json all{{"schema", schema}, {"claims", Json::array()}};
  for (const ClaimAnswer& a : answers) all["claims"].push_back(to_object(a));
  return all.dump(2) + "\n";
}

}  // namespace hone::theory
