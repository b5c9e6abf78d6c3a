// What published texts claim about precision and scaling, each claim beside the answer of a study's verdicts.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "theory/claims/claim.hpp"
#include "theory/questions/verdict.hpp"

namespace hone::theory {

/// Every claim, in the order of the texts.
const std::vector<Claim>& claims();

enum class ClaimState {
  confirmed,     ///< the study shows what the claim says
  contradicted,  ///< the study shows the opposite
  open,          ///< measured, but the interval decides nothing
  not_measured,  ///< a question covers it, but this study has no number for it
  not_covered    ///< no question covers it
};

inline constexpr std::array all_claim_states{ClaimState::confirmed, ClaimState::contradicted, ClaimState::open,
                                             ClaimState::not_measured, ClaimState::not_covered};

/// "confirmed", "not_measured": the word of claims.json.
std::string_view state_name(ClaimState state);

struct ClaimAnswer {
  Claim claim;
  ClaimState state = ClaimState::not_covered;
  std::string answer;  ///< one sentence for people
  double estimate = 0;
  double low = 0;  ///< NaN where unknown, as the other two
  double high = 0;
};

/// One claim against the verdicts of a study.
/// math  `agrees`: the outcome decides; inconclusive is open with a finite estimate, else not measured.
///       `inside`, `outside`: the interval of the finding against the open range; a finding without an interval is open,
///       one that is absent or not finite is not measured
ClaimAnswer answer_claim(const Claim& claim, const std::vector<Verdict>& verdicts);

/// Every claim against the verdicts of a study.
std::vector<ClaimAnswer> answer_claims(const std::vector<Verdict>& verdicts);

/// "2 confirmed, 0 contradicted, 5 open, 20 not measured, 40 not covered"
std::string count_claims(const std::vector<ClaimAnswer>& answers);

/// JSON text of answers, schema 1 (sim/record/SCHEMA.md): {"schema": 1, "claims": [...]}; numbers that are not finite
/// become null.
std::string claims_to_json(const std::vector<ClaimAnswer>& answers);

}  // namespace hone::theory
