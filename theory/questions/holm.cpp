#include "theory/questions/holm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"

namespace hone::theory {

std::vector<double> holm(const std::vector<double>& p, int family) {
  EXPECTS(family >= static_cast<int>(p.size()), "holm: {} p-values in a family of {}", p.size(), family);
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double largest = 0;
  for (std::size_t j = 0; j < order.size(); ++j) {
    largest = std::max(largest, std::min(1.0, (family - static_cast<double>(j)) * p[order[j]]));
    adjusted[order[j]] = largest;
  }
  return adjusted;
}

void correct_for_questions(std::vector<Verdict>& verdicts) {
  std::vector<Verdict*> decided;
  std::vector<double> p;
  int family = 0;
  for (Verdict& v : verdicts) {
    if (!v.is_primary || !std::isfinite(v.low) || !std::isfinite(v.high)) continue;
    ++family;
    if (!std::isfinite(v.p_value)) continue;
    decided.push_back(&v);
    p.push_back(v.p_value);
  }
  const std::vector<double> adjusted = holm(p, family);
  for (std::size_t i = 0; i < decided.size(); ++i) {
    Verdict& v = *decided[i];
    v.p_holm = adjusted[i];
    if (v.p_holm <= 1 - v.level) continue;
    v.prose += fmt::format(
        " At its own level this would be {} ({}). It does not hold after Holm's correction over {} verdicts ({}).",
        outcome_name(v.outcome), p_in_words(v.p_value), family, p_in_words(v.p_holm));
    v.outcome = Outcome::inconclusive;
    v.answer = undecided;
  }
}

}  // namespace hone::theory
