#include "theory/questions/rule.hpp"

namespace hone::theory {

Outcome decide_band(const Interval& i, double centre, double tolerance) {
  if (is_inside(i, centre - tolerance, centre + tolerance)) return Outcome::supported;
  return is_outside(i, centre - tolerance, centre + tolerance) ? Outcome::refuted : Outcome::inconclusive;
}

double band_margin(double truth, double centre, double tolerance) {
  return std::abs(tolerance - std::abs(truth - centre));
}

std::vector<double> around(double centre, double tolerance) { return {centre - tolerance, centre + tolerance}; }

std::size_t deciding(const BandEvidence& e, double centre, double tolerance) {
  return farthest_beyond(
      e.numbers, [&](Interval i) { return i.estimate -= centre, i; }, [&](const Interval&) { return tolerance; });
}

std::size_t least_above(const BandEvidence& e, double minimum) {
  return farthest_beyond(
      e.numbers, [](Interval i) { return i.estimate = 0, i; }, [&](const Interval& i) { return i.estimate - minimum; });
}

double p_of_all(const std::vector<Statement>& statements) {
  double p = 0;
  for (const Statement& s : statements) {
    const double own = p_beyond(s.interval, s.bounds);
    if (!(own <= p)) p = own;
    if (std::isnan(p)) break;
  }
  return p;
}

double p_of_any(const std::vector<Statement>& statements) {
  double p = NAN;
  for (const Statement& s : statements)
    if (const double own = p_beyond(s.interval, s.bounds); s.holds && !(own >= p)) p = own;
  return p;
}

}  // namespace hone::theory
