#include "theory/questions/q14_scheme_exponents.hpp"

#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "theory/questions/exponent_gap.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/scheme_selection.hpp"

namespace hone::theory {
namespace {

constexpr const char* nearest = "rtn";

struct Chosen {
  std::vector<FamilyRow> rows;
  Dropped dropped;
};

Chosen choose(const Table& table, const Thresholds& t) {
  Chosen c;
  for (const SchemeRow& r : table.schemes) {
    if (!is_scheme_of_weights(r) || !is_within_bits(r, t)) continue;
    const double value = remainder(r), predicted = second_order(r), error = remainder_error(r);
    if (!std::isfinite(value) || !std::isfinite(predicted) || !std::isfinite(error))
      ++c.dropped.not_finite;
    else if (predicted <= t.ptq_min_snr * error)
      ++c.dropped.below_noise;
    else if (value <= 0)
      ++c.dropped.not_positive;
    else
      c.rows.push_back({r, r.scheme, r.P, value, error / predicted});
  }
  return c;
}

/// The rows of schemes that were measured at several token counts, in enough cells and trajectories.
std::vector<FamilyRow> of_comparable_schemes(const std::vector<FamilyRow>& rows, const Thresholds& t, int& schemes) {
  std::map<std::string, std::vector<FamilyRow>> by_scheme;
  for (const FamilyRow& r : rows) by_scheme[r.family].push_back(r);
  std::vector<FamilyRow> comparable;
  schemes = 0;
  for (const auto& [scheme, own] : by_scheme) {
    std::vector<Subject> subjects;
    std::map<double, std::set<double>> tokens;
    bool has_spread = false;
    for (const FamilyRow& r : own) {
      subjects.push_back(r.subject);
      auto& of_size = tokens[r.subject.N];
      of_size.insert(r.subject.D);
      has_spread = has_spread || of_size.size() > 1;
    }
    const auto keys = keys_of(subjects);
    if (!has_spread || count_cells(keys) < t.cells_min || count_trajectories(keys) < t.trajectories_min) continue;
    comparable.insert(comparable.end(), own.begin(), own.end());
    ++schemes;
  }
  return comparable;
}

}  // namespace

Verdict judge_scheme_exponents(const Table& table, const Thresholds& t) {
  Verdict v = open_verdict("Q14", "Does the exponent of tokens depend on the scheme of quantization?",
                           "the damage of every scheme grows with tokens as that of rounding to nearest",
                           {"worst_gap", "exponent of D minus that of rtn, of the scheme that decides"},
                           scheme_exponent_rule(), t);
  const Chosen chosen = choose(table, t);
  add_dropped(v, chosen.dropped);
  int schemes = 0;
  const std::vector<FamilyRow> rows = of_comparable_schemes(chosen.rows, t, schemes);
  BandEvidence evidence;
  std::string words;
  for (const FamilyExponent& e : exponents_by_family(rows, nearest, t, std::max(1, schemes - 1))) {
    const std::string key = key_word(e.family);
    add_finding(v, {"exponent." + key, "exponent of D of the damage, " + e.family}, e.exponent);
    if (e.family == nearest || !std::isfinite(e.gap.estimate)) continue;
    add_finding(v, {"gap." + key, "that exponent minus that of rtn, " + e.family + ", with all others"}, e.gap);
    evidence.numbers.push_back(e.gap);
    words += fmt::format("{}{} for {}", words.empty() ? "" : ", ", in_words(e.gap), e.family);
  }
  v.n = static_cast<int>(rows.size());
  if (evidence.numbers.empty()) {
    v.prose = fmt::format(
        "Nothing can be said: rtn and one more scheme are needed at several token counts, in {:g} cells and {:g} "
        "trajectories each (option quantize.schemes_at = \"every\").",
        t.cells_min, t.trajectories_min);
    return v;
  }
  set_estimate(v, evidence.numbers[deciding(evidence, 0, t.q14_equivalence)]);
  decide(v, scheme_exponent_rule(), evidence, t);
  v.prose = fmt::format("The exponent of D exceeds that of rounding to nearest by {}.", words);
  return v;
}

}  // namespace hone::theory
