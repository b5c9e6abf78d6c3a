#include "theory/precision/training_law.hpp"

#include <cmath>

#include "sim/base/error.hpp"
#include "theory/laws/formulas.hpp"

namespace hone::theory {

TrainingLaw training_law(const std::vector<double>& p) {
  EXPECTS(p.size() == law(LawKind::train_exponential).parameters.size(), "training_law: {} parameters, expected 11",
          p.size());
  return {std::exp(p[0]), p[1], std::exp(p[2]), p[3], p[4], {{{p[5], p[6]}, {p[7], p[8]}, {p[9], p[10]}}}};
}

TrainingLaw kumar_training_law() { return training_law(kumar_training_parameters()); }

TrainingLaw averaged(const TrainingLaw& law) {
  PartScale mean{0, 0};
  for (const PartScale& part : law.parts) mean.gamma += part.gamma / 3, mean.offset += part.offset / 3;
  TrainingLaw result = law;
  result.parts.fill(mean);
  return result;
}

TrainingLaw without_offsets(const TrainingLaw& law) {
  TrainingLaw result = law;
  for (PartScale& part : result.parts) part.offset = 0;
  return result;
}

double effective_fraction(const PartScale& part, double bits) {
  return part_fraction(LawKind::train_exponential, bits, part.gamma, part.offset);
}

double effective_fraction(const TrainingLaw& law, const Point& x) {
  std::array<double, 6> parts{};
  for (std::size_t i = 0; i < 3; ++i) parts[2 * i] = law.parts[i].gamma, parts[2 * i + 1] = law.parts[i].offset;
  return std::exp(log_fraction(LawKind::train_exponential, parts.data(), x));
}

double zero_bits(const PartScale& part) { return part.gamma * part.offset; }

double training_loss(const TrainingLaw& law, const Point& x) {
  const double n_eff = x.N * effective_fraction(law, x);
  return law.A * std::pow(n_eff, -law.alpha) + law.B * std::pow(x.D, -law.beta) + law.E;
}

Point trained_at(double N, double D, double bits) {
  Point x;
  x.N = N;
  x.D = D;
  x.P_w = x.P_a = x.P_kv = bits;
  return x;
}

}  // namespace hone::theory
