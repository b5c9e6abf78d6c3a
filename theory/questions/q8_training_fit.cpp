#include "theory/questions/q8_training_fit.hpp"

#include <algorithm>

#include "theory/fits/joint.hpp"
#include "theory/laws/formulas.hpp"

namespace hone::theory {
namespace {

constexpr double unlimited = std::numeric_limits<double>::infinity();

double training_bits(double bits) { return bits >= 16 ? unlimited : bits; }

std::array<double, 3> bits_of(const Subject& s) { return {s.train_w_bits, s.train_a_bits, s.train_kv_bits}; }
std::array<double, 3> bits_of(const Point& x) { return {x.P_w, x.P_a, x.P_kv}; }

bool is_usable_loss(const LossRow& r) {
  return r.is_transformer() && r.kind == Kind::trunk && r.loss > 0 && std::isfinite(r.loss) && r.N > 0 && r.D > 0;
}

/// The two parameters of a part in training laws start here: ln A, alpha, ln B, beta, E come first.
std::size_t place_of_part(std::size_t part) { return 5 + 2 * part; }

/// A law may leave no size at few bits.
bool is_defined(LawKind kind, const std::vector<double>& parameters, const std::vector<Observation>& rows) {
  return std::all_of(rows.begin(), rows.end(),
                     [&](const Observation& o) { return std::isfinite(predict(kind, parameters, o.point)); });
}

/// One part's parameters tied to those of another.
JointProblem share_part(JointProblem problem, LawKind kind, std::size_t leader, std::size_t part) {
  const auto& names = law(kind).parameters;
  for (const std::size_t k : {0u, 1u})
    problem = tied(problem, names[place_of_part(leader) + k].name, names[place_of_part(part) + k].name);
  return problem;
}

}  // namespace

bool PrecisionRows::is_lowered_alone(std::size_t part) const {
  return std::any_of(rows.begin(), rows.end(), [&](const LossRow& r) {
    const auto bits = bits_of(r);
    return std::any_of(bits.begin(), bits.end(), [&](double other) { return other != bits[part]; });
  });
}

PrecisionRows precision_rows(const Table& table, const Thresholds& thresholds) {
  PrecisionRows all;
  std::set<std::pair<std::string, std::string>> recipes;
  const auto is_low = [](const LossRow& r) {
    return !r.is_full_precision() && (r.method.empty() || r.method == "qat");
  };
  for (const LossRow& r : table.losses)
    if (is_usable_loss(r) && is_low(r)) recipes.insert({r.data, r.schedule});
  for (const LossRow& r : table.losses) {
    const bool is_peer = is_main_trunk(r) && r.is_full_precision() && recipes.count({r.data, r.schedule}) > 0;
    if (is_usable_loss(r) && (is_low(r) || is_peer)) all.rows.push_back(r);
  }
  const std::vector<RowKey> keys = keys_of(all.rows);
  for (std::size_t i = 0; i < all.rows.size(); ++i) {
    const LossRow& r = all.rows[i];
    const auto bits = bits_of(r);
    Observation o{{r.N, r.D, unlimited},
                  std::log(r.loss),
                  combined_sigma({r.loss_se / r.loss}, thresholds.loss_scatter),
                  keys[i].cell,
                  keys[i].seed};
    o.point.P_w = training_bits(bits[0]), o.point.P_a = training_bits(bits[1]), o.point.P_kv = training_bits(bits[2]);
    all.observations.push_back(o);
    if (r.is_full_precision()) continue;
    ++all.low;
    all.bits.insert(*std::min_element(bits.begin(), bits.end()));
    for (std::size_t part = 0; part < 3; ++part) all.is_lowered[part] = all.is_lowered[part] || bits[part] < 16;
  }
  return all;
}

double training_cost(const PrecisionRows& all, const Observation& o) {
  const auto bits = bits_of(o.point);
  double sum = 0, parts = 0;
  for (std::size_t part = 0; part < 3; ++part)
    if (all.is_lowered[part]) sum += std::min(bits[part], 16.0), ++parts;
  return 6.0 / 16 * o.point.N * o.point.D * (parts > 0 ? sum / parts : 16);
}

TrainingFit::TrainingFit(LawKind kind, const PrecisionRows& rows, const std::vector<Observation>& fitted)
    : kind_(kind), is_lowered_(rows.is_lowered) {
  for (std::size_t part = 0; part < 3; ++part) {
    leader_[part] = part;
    for (std::size_t other = 0; other < part && leader_[part] == part; ++other) {
      const bool is_same = std::all_of(rows.rows.begin(), rows.rows.end(),
                                       [&](const LossRow& r) { return bits_of(r)[part] == bits_of(r)[other]; });
      if (is_lowered_[part] && is_same) leader_[part] = other;
    }
  }
  std::vector<Observation> full;
  for (const Observation& o : fitted)
    if (std::isinf(o.point.P_w) && std::isinf(o.point.P_a) && std::isinf(o.point.P_kv)) full.push_back(o);
  const FitSummary chinchilla = fit(LawKind::chinchilla, full, {});
  if (!chinchilla.is_usable()) return;
  std::vector<std::vector<double>> starts;
  for (const double gamma : {0.7, 2.0})
    for (const double second : {0.1, 1.0}) {
      starts.push_back(chinchilla.parameters);
      for (int part = 0; part < 3; ++part) starts.back().insert(starts.back().end(), {gamma, second});
    }
  solve(fitted, starts, Free::all);
}

TrainingFit TrainingFit::refit(const std::vector<Observation>& rows) const {
  TrainingFit other(kind_, is_lowered_, leader_);
  other.solve(rows, {parameters_}, Free::all);
  return other;
}

TrainingFit TrainingFit::refit_apart(const std::vector<Observation>& full, const std::vector<Observation>& low) const {
  TrainingFit other(kind_, is_lowered_, leader_);
  FitOptions options;
  options.start.assign(parameters_.begin(), parameters_.begin() + place_of_part(0));
  const FitSummary chinchilla = fit(LawKind::chinchilla, full, options);
  if (!chinchilla.is_usable() || low.empty()) return other;
  std::vector<double> start = parameters_;
  std::copy(chinchilla.parameters.begin(), chinchilla.parameters.end(), start.begin());
  for (std::size_t part = 0; part < 3; ++part)
    other.is_lowered_[part] = is_lowered_[part] && std::any_of(low.begin(), low.end(), [&](const Observation& o) {
                                return std::isfinite(bits_of(o.point)[part]);
                              });
  other.solve(low, {start}, Free::parts);
  return other;
}

void TrainingFit::solve(const std::vector<Observation>& rows, const std::vector<std::vector<double>>& starts,
                        Free free) {
  JointProblem problem = one_law(kind_, rows);
  for (std::size_t part = 0; part < 3; ++part)
    if (leader_[part] != part) problem = share_part(std::move(problem), kind_, leader_[part], part);
  Solution best;
  for (const std::vector<double>& start : starts) {
    if (!is_defined(kind_, start, rows)) continue;
    FitOptions options;
    options.start.assign(problem.parameters.size(), 0);
    options.held.assign(problem.parameters.size(), std::numeric_limits<double>::quiet_NaN());
    const auto& place = problem.parts[0].place;
    for (std::size_t j = 0; j < start.size(); ++j) options.start[place[j]] = start[j];
    for (std::size_t j = 0; j < place_of_part(0) && free == Free::parts; ++j) options.held[place[j]] = start[j];
    for (std::size_t part = 0; part < 3; ++part)
      for (const std::size_t k : {0u, 1u})
        if (!is_lowered_[part]) options.held[place[place_of_part(part) + k]] = start[place_of_part(part) + k];
    const Solution s = fit_joint(problem, options);
    if (s.is_usable() && (!best.is_usable() || s.cost < best.cost)) best = s;
  }
  if (!best.is_usable()) return;
  for (const std::size_t at : problem.parts[0].place) parameters_.push_back(best.parameters[at]);
}

double TrainingFit::optimal_bits() const {
  constexpr double step = 0.01, least = 1, most = 32;
  const auto gain = [&](double bits) {
    Point x;
    if (is_lowered_[0]) x.P_w = bits;
    if (is_lowered_[1]) x.P_a = bits;
    if (is_lowered_[2]) x.P_kv = bits;
    return log_fraction(kind_, parameters_.data() + 5, x) - std::log(bits);
  };
  double above = gain(most), here = gain(most - step);
  for (double bits = most - step; bits > least; bits -= step) {
    const double below = gain(bits - step);
    if (here > above && !(here < below))  // the top of the parabola through the three
      return bits + step / 2 * (above - below) / (2 * here - above - below);
    above = here, here = below;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

TrainingLaw TrainingFit::law() const {
  TrainingLaw result = training_law(parameters_);
  for (std::size_t part = 0; part < 3; ++part)
    if (!is_lowered_[part]) result.parts[part] = {1e-3, 0};  // the whole size at any bits
  return result;
}

}  // namespace hone::theory
