#include "theory/questions/q10_plateau.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"
#include "theory/rows/curve.hpp"

namespace hone::theory {
namespace {

using Sample = std::vector<std::size_t>;

/// One trunk on its plateau, read at the common tokens of its size.
struct Level {
  Subject subject;
  double log_trace = 0, log_loss = 0, log_damage = NAN;
  double reached = 0;  ///< tokens of its last checkpoint
};

/// Checkpoints of one run over ln D.
struct Trunk {
  Subject last;
  Curve trace, loss, damage;
  double last_slope = NAN;  ///< of ln trace between the last two checkpoints
};

bool is_of_design(const Subject& s) {
  return s.is_transformer() && s.kind == Kind::trunk && s.is_full_precision() && s.schedule == "constant" &&
         s.peak_lr > 0 && s.batch > 0 && s.sam_rho == 0 && s.gradient_penalty == 0 && s.train_format == "fp32";
}

std::map<std::string, Trunk> trunks_of(const Table& table, double bits) {
  std::map<std::string, Trunk> trunks;
  for (const SharpnessRow& r : table.sharpness) {
    if (!is_of_design(r) || !(r.trace > 0) || !std::isfinite(r.trace)) continue;
    Trunk& t = trunks[r.run];
    t.trace.add(std::log(r.D), std::log(r.trace));
    if (r.D > t.last.D) t.last = r;
  }
  for (const LossRow& r : table.losses)
    if (is_of_design(r) && r.loss > 0 && trunks.contains(r.run))
      trunks[r.run].loss.add(std::log(r.D), std::log(r.loss));
  for (const PtqRow& r : table.ptq)
    if (is_of_design(r) && r.P == bits && r.predicted > 0 && trunks.contains(r.run))
      trunks[r.run].damage.add(std::log(r.D), std::log(r.predicted));
  for (auto& [run, t] : trunks) {
    const auto& points = t.trace.points;
    if (points.size() < 2) continue;
    const auto last = std::prev(points.end()), before = std::prev(last);
    t.last_slope = (last->second.first - before->second.first) / (last->first - before->first);
  }
  return trunks;
}

/// Data and weight decay of the main arm: under others the trace has another level.
std::set<std::pair<std::string, double>> main_settings(const Table& table) {
  std::set<std::pair<std::string, double>> settings;
  for (const SharpnessRow& r : table.sharpness)
    if (r.is_transformer() && is_main_trunk(r)) settings.insert({r.data, r.weight_decay});
  return settings;
}

/// Levels at the most tokens that every plateau trunk of the size has reached; sizes with one setting only say nothing.
std::vector<Level> levels_of(const Table& table, const Thresholds& thresholds) {
  const auto peers = main_settings(table);
  std::map<double, std::vector<const Trunk*>> by_size;
  const std::map<std::string, Trunk> trunks = trunks_of(table, std::max(4.0, thresholds.ptq_bits_min));
  for (const auto& [run, t] : trunks)
    if (peers.contains({t.last.data, t.last.weight_decay}) && std::abs(t.last_slope) <= thresholds.q10_slope)
      by_size[t.last.N].push_back(&t);
  std::vector<Level> levels;
  for (const auto& [size, members] : by_size) {
    double common = INFINITY;
    std::set<std::pair<double, double>> settings;
    for (const Trunk* t : members)
      common = std::min(common, t->last.D), settings.insert({t->last.peak_lr, t->last.batch});
    if (settings.size() < 2) continue;
    for (const Trunk* t : members) {
      const double at = std::log(common);
      Level level{t->last, t->trace.at(at), t->loss.at(at), t->damage.at(at), t->last.D};
      if (std::isfinite(level.log_trace)) levels.push_back(level);
    }
  }
  return levels;
}

/// Columns of all levels, one group per size.
struct Columns {
  std::vector<RowKey> keys;
  std::vector<double> trace, damage, loss, lr, batch, noise, sigma;
  std::vector<std::size_t> group;

  explicit Columns(const std::vector<Level>& levels) {
    std::vector<Subject> subjects;
    std::map<double, std::size_t> groups;
    for (const Level& l : levels) {
      subjects.push_back(l.subject);
      trace.push_back(l.log_trace), damage.push_back(l.log_damage), loss.push_back(l.log_loss);
      lr.push_back(std::log(l.subject.peak_lr)), batch.push_back(std::log(l.subject.batch));
      noise.push_back(lr.back() - batch.back() / 2);
      sigma.push_back(1);
      group.push_back(groups.try_emplace(l.subject.N, groups.size()).first->second);
    }
    keys = keys_of(subjects);
  }
};

/// Scatter of ln trace that one regressor leaves.
void add_rival(Verdict& v, const Columns& c, const Name& name, const std::vector<double>& x) {
  const Sample all = all_indices(x.size());
  const double slope = slope_within(x, c.trace, c.sigma, c.group, all);
  if (!std::isfinite(slope)) return;
  add_finding(v, {"r2." + name.key, "R2 of ln trace by " + name.label + " alone"},
              r_squared_within({x}, {slope}, c.trace, c.sigma, c.group, all));
}

}  // namespace

Verdict judge_plateau(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q10", "What sets the level of the trace once it has stopped rising?",
                           "at a constant rate the trace settles on a level that falls with lr/sqrt(batch)",
                           {"exponent", "exponent of lr/sqrt(batch) in the trace"}, plateau_rule(), thresholds);
  const std::vector<Level> levels = levels_of(table, thresholds);
  const Columns c(levels);
  std::set<double> rates(c.lr.begin(), c.lr.end()), batches(c.batch.begin(), c.batch.end());
  v.n = static_cast<int>(levels.size());
  add_control(v, Control::other_rates, rates.size() > 1);
  add_control(v, Control::other_batches, batches.size() > 1);
  if (count_trajectories(c.keys) < 2 || rates.size() < 2 || batches.size() < 2) {
    v.prose = fmt::format(
        "Nothing can be said: {} trunks are on their plateau, with {} learning rates and {} batch sizes; two of each "
        "are "
        "needed.",
        v.n, rates.size(), batches.size());
    return v;
  }
  const auto statistic = [&](const Sample& rows) {
    const auto both = regress_within({c.lr, c.batch}, c.trace, c.sigma, c.group, rows);
    return std::vector<double>{slope_within(c.noise, c.trace, c.sigma, c.group, rows), both[0], both[1],
                               both[0] + 2 * both[1], slope_within(c.noise, c.damage, c.sigma, c.group, rows)};
  };
  const auto found = jackknife(c.keys, statistic, interval_options(thresholds));
  set_estimate(v, found[0]);
  add_finding(v, {"exponent.lr", "exponent of lr, beside that of the batch"}, found[1]);
  add_finding(v, {"exponent.batch", "exponent of the batch, beside that of lr"}, found[2]);
  add_finding(v, {"departure", "exponent of lr plus twice that of the batch: 0 for lr/sqrt(batch)"}, found[3]);
  add_finding(v, {"exponent.damage", "exponent of lr/sqrt(batch) in the predicted damage"}, found[4]);
  std::vector<double> per_example, tokens;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    per_example.push_back(c.lr[i] - c.batch[i]);
    tokens.push_back(std::log(levels[i].reached));
  }
  add_rival(v, c, {"noise", "lr/sqrt(batch)"}, c.noise);
  add_rival(v, c, {"lr", "lr"}, c.lr);
  add_rival(v, c, {"batch", "batch"}, c.batch);
  add_rival(v, c, {"lr_over_batch", "lr/batch"}, per_example);
  add_rival(v, c, {"tokens", "tokens"}, tokens);
  add_rival(v, c, {"loss", "loss"}, c.loss);
  decide(v, plateau_rule(), PlateauEvidence{found[0], found[3]}, thresholds);
  v.prose = fmt::format(
      "On the plateau the trace goes as (lr/sqrt(batch))^{} over {} trunks; lr alone has the exponent {}, the batch "
      "{}.",
      in_words(found[0]), v.n, in_words(found[1]), in_words(found[2]));
  return v;
}

}  // namespace hone::theory
