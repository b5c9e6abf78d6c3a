// A claim of a published text, and how a verdict answers it.
#pragma once

#include <limits>
#include <string_view>

namespace hone::theory {

/// How the evidence of a question bears on a claim. The first reads the outcome of the verdict, the others the interval
/// of one number.
enum class Reading {
  agrees,  ///< the claim is the hypothesis: `supported` confirms it
  inside,  ///< confirmed where the interval lies within the range, contradicted where it is disjoint from the range
  outside  ///< confirmed where the interval is disjoint from the range, contradicted where it lies within it
};

constexpr double unbounded = std::numeric_limits<double>::infinity();

/// An open range of a number.
struct Range {
  double from = -unbounded;
  double to = unbounded;
};

/// One claim, failure mode, open question or recipe step.
struct Claim {
  std::string_view key = {};         ///< "kumar.ptq_power": who says it, then words of lower-case letters and digits
  std::string_view source = {};      ///< the text that states it
  std::string_view place = {};       ///< section of the text
  std::string_view claim = {};       ///< in one sentence
  std::string_view refuted_by = {};  ///< what would refute it, in one sentence
  std::string_view question = {};    ///< id of the question that answers it, empty where none does
  Reading reading = Reading::agrees;
  std::string_view finding = {};  ///< key of the number that `inside` and `outside` read; empty for the other readings
  Range range = {};               ///< of that number
  std::string_view missing = {};  ///< without a question: what an answer lacks; with a finding: the rows that give it
};

}  // namespace hone::theory
