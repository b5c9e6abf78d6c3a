#include "theory/questions/q25_sum_rule.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"
#include "theory/questions/regime.hpp"
#include "theory/solvable/spectra.hpp"

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

bool is_wanted(const Subject& s) {
  return s.is_transformer() && is_full_trunk(s) && is_main_trunk(s) && is_settled(s) && s.N > 0 && s.D > 0;
}

/// What the rules of solvable models relate.
struct Exponents {
  double gamma = 0;     ///< of D in tr H
  double weighted = 0;  ///< of D in the step-weighted trace
  double damage = 0;    ///< of D in delta - g'e
  double step2 = 0;     ///< of D in the mean squared step
  double beta = 0;      ///< of D in the fall of the loss
  double spectrum = 0;  ///< b of eigenvalues k^-b with the participation of H
};

/// One of them, or a relation, as a finding.
struct Number {
  const char *key, *label;
  double (*read)(const Exponents& e);
};
constexpr Number numbers[] = {
    {"sum", "exponent of D of tr H plus that of the fall of the loss; 1 in the linear net",
     [](const Exponents& e) { return e.gamma + e.beta; }},
    {"gamma", "exponent of D of tr H; 0 with fixed features", [](const Exponents& e) { return e.gamma; }},
    {"beta", "exponent of D with which the loss falls", [](const Exponents& e) { return e.beta; }},
    {"damage", "exponent of D of the damage", [](const Exponents& e) { return e.damage; }},
    {"sum_damage", "exponent of D of the damage plus that of the fall of the loss",
     [](const Exponents& e) { return e.damage + e.beta; }},
    {"step2", "exponent of D of the mean squared step; that of tr H in the linear net with absmax steps",
     [](const Exponents& e) { return e.step2; }},
    {"damage_gap",
     "exponent of the damage less those of the step-weighted trace and of the squared step; 0 at second order",
     [](const Exponents& e) { return e.damage - e.weighted - e.step2; }},
    {"absmax_gap", "exponent of the damage less twice that of tr H; 0 in the linear net with absmax steps",
     [](const Exponents& e) { return e.damage - 2 * e.gamma; }},
    {"fixed_step_gap",
     "exponent of the damage over the squared step less that of tr H; 0 for steps that ignore the weights",
     [](const Exponents& e) { return e.damage - e.step2 - e.gamma; }},
    {"spectrum", "exponent b of eigenvalues k^-b with the participation of H",
     [](const Exponents& e) { return e.spectrum; }},
    {"signal", "exponent a = 1 + b beta of the signal that fixed features then ask for",
     [](const Exponents& e) { return 1 + e.spectrum * e.beta; }},
    {"spectrum_gap", "exponent of the spectrum less 1 + beta; 0 where the spectrum limits the loss",
     [](const Exponents& e) { return e.spectrum - 1 - e.beta; }}};
constexpr std::size_t number_count = std::size(numbers);

/// Logarithms of one quantity over ln D, with the group that shares a constant.
struct Columns {
  std::vector<double> x, y, sigma;
  std::vector<std::size_t> group;
  std::map<std::tuple<std::string, double, double>, std::size_t> groups;

  void add(const Subject& s, double level, double log_d, double value, double relative_se, double scatter) {
    x.push_back(log_d), y.push_back(std::log(value));
    sigma.push_back(combined_sigma({relative_se}, scatter));
    group.push_back(groups.try_emplace({s.model, s.N, level}, groups.size()).first->second);
  }
  double slope(const Sample& some) const { return slope_within(x, y, sigma, group, some); }
  double slope() const { return slope(all_indices(x.size())); }
};

/// -dL/d ln D between two neighbouring checkpoints of one trajectory.
struct Fall : Subject {
  std::pair<double, double> between;  ///< tokens
  double rate = 0, rate_se = 0;       ///< nats; the error is that of independent windows, too large for equal ones

  double log_d() const { return 0.5 * std::log(between.first * between.second); }
};
using Place = std::tuple<std::string, double, std::pair<double, double>>;
Place place_of(const Fall& f) { return {f.model, f.N, f.between}; }

std::vector<Fall> falls_of(const std::vector<LossRow>& rows) {
  std::map<std::tuple<std::string, double, std::int64_t>, std::map<double, LossRow>> trunks;
  for (const LossRow& r : rows)
    if (is_wanted(r) && std::isfinite(r.loss)) trunks[{r.model, r.N, r.seed}].emplace(r.D, r);
  std::vector<Fall> falls;
  for (const auto& [name, trunk] : trunks)
    for (auto next = trunk.begin(); next != trunk.end() && std::next(next) != trunk.end(); ++next) {
      const LossRow &before = next->second, &after = std::next(next)->second;
      const double width = std::log(after.D / before.D);
      Fall f;
      static_cast<Subject&>(f) = after;
      f.between = {before.D, after.D}, f.rate = (before.loss - after.loss) / width;
      f.rate_se = combined_sigma({before.loss_se, after.loss_se}, 0) / width;
      falls.push_back(std::move(f));
    }
  return falls;
}

/// Rows of one stretch of training, those of losses first, of traces next, of damage last.
class Stretch {
 public:
  Stretch(const Table& table, const Thresholds& thresholds) : scatter_(thresholds.fit_scatter) {
    falls_ = falls_of(table.losses);
    Dropped dropped;
    const auto damaged = select_predicted(table.ptq, is_wanted, thresholds, dropped);
    for (const SharpnessRow& r : table.sharpness)
      if (is_wanted(r) && std::isfinite(r.trace) && r.trace > 0) add(r);
    for (const PtqRow& r : damaged) {
      if (!(r.delta > 0)) continue;
      damage_.add(r, r.P, std::log(r.D), r.delta, r.delta_se / r.delta, scatter_);
      weighted_.add(r, r.P, std::log(r.D), r.weighted_trace(), 0, scatter_);
      step2_.add(r, r.P, std::log(r.D), r.mean_step2, 0, scatter_);
      damage_rows_.push_back(r);
    }
    for (const auto& [place, mean] : means(all_indices(falls_.size())))
      if (mean.rate() > thresholds.ptq_min_snr * mean.error())
        clear_.insert(place);
      else
        ++unclear_;
    keys_ = keys_of(falls_);
    for (const auto& more : {keys_of(trace_rows_), keys_of(damage_rows_)})
      keys_.insert(keys_.end(), more.begin(), more.end());
  }

  int size() const { return static_cast<int>(clear_.size()); }
  int unclear() const { return unclear_; }
  const std::vector<RowKey>& keys() const { return keys_; }
  int trajectories() const { return count_trajectories(keys_of(trace_rows_)); }

  Exponents exponents(const Sample& some) const {
    const std::size_t traces = falls_.size(), damages = traces + trace_rows_.size();
    Sample falls, sharp, damaged;
    for (const std::size_t i : some)
      if (i < traces)
        falls.push_back(i);
      else if (i < damages)
        sharp.push_back(i - traces);
      else
        damaged.push_back(i - damages);
    double spectrum = 0;
    for (const std::size_t i : sharp) spectrum += spectrum_[i] / static_cast<double>(sharp.size());
    return {trace_.slope(sharp),   weighted_.slope(damaged), damage_.slope(damaged),
            step2_.slope(damaged), -fall_slope(falls),       sharp.empty() ? NAN : spectrum};
  }

 private:
  void add(const SharpnessRow& r) {
    trace_.add(r, 0, std::log(r.D), r.trace, r.trace_se / r.trace, scatter_);
    trace_rows_.push_back(r);
    const bool has_squares = r.frobenius > 0 && std::isfinite(r.frobenius);
    spectrum_.push_back(has_squares ? participation_exponent(r.trace, r.frobenius, r.N) : NAN);
  }

  struct Mean {
    const Fall* first = nullptr;
    double sum = 0, variance = 0, count = 0;
    double rate() const { return sum / count; }
    double error() const { return std::sqrt(variance) / count; }
  };
  std::map<Place, Mean> means(const Sample& some) const {
    std::map<Place, Mean> found;
    for (const std::size_t i : some) {
      Mean& m = found[place_of(falls_[i])];
      m.first = &falls_[i], ++m.count;
      m.sum += falls_[i].rate, m.variance += falls_[i].rate_se * falls_[i].rate_se;
    }
    return found;
  }
  /// Of the logarithm of the mean over seeds, which noise bends less than the mean of the logarithms.
  double fall_slope(const Sample& some) const {
    Columns c;
    for (const auto& [place, mean] : means(some))
      if (clear_.contains(place))
        c.add(*mean.first, 0, mean.first->log_d(), mean.rate(), mean.error() / mean.rate(), scatter_);
    return c.slope();
  }

  double scatter_;
  std::vector<Fall> falls_;
  std::vector<SharpnessRow> trace_rows_;
  std::vector<PtqRow> damage_rows_;
  Columns trace_, damage_, weighted_, step2_;
  std::vector<double> spectrum_;
  std::set<Place> clear_;
  int unclear_ = 0;
  std::vector<RowKey> keys_;
};

std::vector<Interval> intervals_of(const Stretch& stretch, const Thresholds& thresholds) {
  if (stretch.keys().empty()) return std::vector<Interval>(number_count, {NAN, NAN, NAN, 0});
  const auto read = [&](const Sample& some) {
    const Exponents e = stretch.exponents(some);
    std::vector<double> values;
    for (const Number& number : numbers) values.push_back(number.read(e));
    return values;
  };
  return jackknife(stretch.keys(), read, interval_options(thresholds));
}

/// Adds the numbers of a stretch that are known under "PREFIX.KEY".
std::vector<Interval> add_numbers(Verdict& v, const std::string& prefix, const std::string& when,
                                  const Stretch& stretch, const Thresholds& thresholds) {
  std::vector<Interval> found = intervals_of(stretch, thresholds);
  for (std::size_t i = 0; i < number_count; ++i)
    if (std::isfinite(found[i].estimate) &&
        (i > 0 || !prefix.empty()))  // the sum of all rows is the verdict's own number
      add_finding(v, {prefix + numbers[i].key, numbers[i].label + when}, found[i]);
  return found;
}

/// The rows of one regime.
Table part_of(const Table& table, const LateRegime& regime, bool is_late) {
  Table part;
  const auto keep = [&](const auto& from, auto& to) {
    std::copy_if(from.begin(), from.end(), std::back_inserter(to),
                 [&](const Subject& s) { return regime.contains(s) == is_late; });
  };
  keep(table.losses, part.losses), keep(table.sharpness, part.sharpness), keep(table.ptq, part.ptq);
  return part;
}

}  // namespace

Verdict judge_sum_rule(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q25", "Does sharpness grow as fast as the fall of the loss says?",
                           "the exponents of the trace and of the fall of the loss add up to 1, as in a linear net",
                           {"sum", numbers[0].label}, sum_rule(), thresholds);
  const Stretch stretch(table, thresholds);
  add_control(v, Control::several_seeds, stretch.trajectories() >= thresholds.trajectories_min);
  add_finding(v, {"unclear", "stretches between checkpoints dropped: the loss does not fall clearly"},
              stretch.unclear());
  const std::vector<Interval> found = add_numbers(v, "", "", stretch, thresholds);
  const LateRegime regime(table, thresholds);
  if (regime.is_found()) {
    add_numbers(v, "early.", ", early", Stretch(part_of(table, regime, false), thresholds), thresholds);
    add_numbers(v, "late.", ", " + regime.words(), Stretch(part_of(table, regime, true), thresholds), thresholds);
  }
  const Interval &sum = found[0], &gamma = found[1], &beta = found[2];
  if (!std::isfinite(sum.estimate) || stretch.trajectories() < thresholds.trajectories_min) {
    v.prose = fmt::format(
        "Nothing can be said: traces and falls of the loss at three checkpoints at a constant learning rate are needed "
        "in {:g} trajectories.",
        thresholds.trajectories_min);
    return v;
  }
  v.n = stretch.size();
  set_estimate(v, sum);
  decide(v, sum_rule(), {sum, gamma}, thresholds);
  v.prose = fmt::format(
      "The trace grows with exponent {} of the tokens and the fall of the loss with {}. Their sum is {}; the two-layer "
      "linear net has 1.",
      in_words(gamma), in_words(beta), in_words(sum));
  return v;
}

}  // namespace hone::theory
