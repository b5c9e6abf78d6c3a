#include "theory/questions/q20_schedules.hpp"

#include <map>
#include <optional>

#include "sim/base/error.hpp"
#include "theory/questions/findings.hpp"

namespace hone::theory {
namespace {

constexpr const char *uniform = "uniform", *falling = "step_down", *rising = "reversed", *line = "linear",
                     *scored = "surprise";
constexpr const char* rivals[] = {rising, line, scored};

/// All schedules of one run at one average.
struct Bench {
  Subject subject;
  double damage = 0;                         ///< of uniform bits
  std::map<std::string, double> to_uniform;  ///< by schedule
};

/// By average, in thousandths of a bit: averages are ratios of whole numbers and may differ in the last bits.
using ByAverage = std::map<std::int64_t, std::vector<Bench>>;

struct Dropouts {
  int not_finite = 0, below_noise = 0;
};

ByAverage benches_of(const Table& table, const Thresholds& thresholds, Dropouts& dropped) {
  std::map<std::pair<std::int64_t, std::string>, Bench> found;
  std::map<std::pair<std::int64_t, std::string>, double> noise;
  for (const ScheduleRow& r : table.schedules) {
    if (!r.is_transformer() || !is_main_trunk(r) || !r.is_full_precision() || r.schedule == "stored") continue;
    if (!std::isfinite(r.delta) || !std::isfinite(r.to_uniform)) {
      ++dropped.not_finite;
      continue;
    }
    const std::pair key{std::llround(1000 * r.average_bits), r.run};
    Bench& bench = found[key];
    bench.subject = r;
    if (r.schedule == uniform)
      bench.damage = r.delta, noise[key] = r.delta_se;
    else
      bench.to_uniform[r.schedule] = r.to_uniform;
  }
  ByAverage benches;
  for (const auto& [key, bench] : found) {
    if (bench.damage > 0 && bench.damage > thresholds.ptq_min_snr * noise[key])
      benches[key.first].push_back(bench);
    else
      ++dropped.below_noise;
  }
  return benches;
}

/// What `by` saves against `than`, over the damage of uniform bits; nothing where no run has both.
std::optional<Interval> gain(const std::vector<Bench>& all, const std::string& by, const std::string& than,
                             const IntervalOptions& options) {
  std::vector<Subject> subjects;
  std::vector<double> saved, damage;
  const auto rise = [](const Bench& b, const std::string& schedule) {
    return schedule == uniform ? 0.0 : b.to_uniform.at(schedule);
  };
  const auto has = [](const Bench& b, const std::string& schedule) {
    return schedule == uniform || b.to_uniform.contains(schedule);
  };
  for (const Bench& b : all) {
    if (!has(b, by) || !has(b, than)) continue;
    subjects.push_back(b.subject);
    saved.push_back(rise(b, than) - rise(b, by)), damage.push_back(b.damage);
  }
  if (subjects.empty()) return std::nullopt;
  return jackknife(
      keys_of(subjects),
      [&](const std::vector<std::size_t>& some) {
        double saves = 0, costs = 0;
        for (const std::size_t i : some) saves += saved[i], costs += damage[i];
        return std::vector<double>{saves / costs};
      },
      options)[0];
}

/// Differences between schedules over all averages.
void add_differences(Verdict& v, const ByAverage& benches, const IntervalOptions& options) {
  std::vector<Bench> all;
  for (const auto& [average, some] : benches) all.insert(all.end(), some.begin(), some.end());
  const auto add = [&](const char* key, const char* label, const char* by, const char* than) {
    if (const auto found = gain(all, by, than, options)) add_finding(v, {key, label}, *found);
  };
  add("early", "share of the damage that the higher width saves early rather than late", falling, rising);
  add("surprise_over_position", "share of the damage that widths by surprise save against falling ones", scored,
      falling);
  bool has_rising = false, has_scored = false;
  for (const Bench& b : all)
    has_rising = has_rising || b.to_uniform.contains(rising), has_scored = has_scored || b.to_uniform.contains(scored);
  add_control(v, Control::reversed_bits, has_rising);
  add_control(v, Control::token_score, has_scored);
}

}  // namespace

Verdict judge_schedules(const Table& table, const Thresholds& thresholds) {
  Verdict v = open_verdict("Q20", "Do bits that fall along the text beat uniform bits of the same average?",
                           "bits that fall in one step cost less than uniform bits at every average",
                           {"gain", "share of the damage saved at the average where it is least clear"},
                           schedules_rule(), thresholds);
  Dropouts dropped;
  const ByAverage benches = benches_of(table, thresholds, dropped);
  add_finding(v, {"dropped.not_finite", "schedules dropped: not finite"}, dropped.not_finite);
  add_finding(v, {"dropped.below_noise", "averages dropped: the damage of uniform bits is below the noise"},
              dropped.below_noise);
  const IntervalOptions alone = interval_options(thresholds),
                        together = simultaneous_options(thresholds, static_cast<int>(benches.size()));
  BandEvidence evidence;
  std::string words;
  for (const auto& [thousandths, some] : benches) {
    const double bits = static_cast<double>(thousandths) / 1000;
    const std::string key = "bits_" + key_number(bits);
    for (const char* schedule : rivals)
      if (const auto found = gain(some, schedule, uniform, alone))
        add_finding(v,
                    {fmt::format("gain.{}.{}", schedule, key),
                     fmt::format("share of the damage saved by {} at {:g} bits", schedule, bits)},
                    *found);
    const auto found = gain(some, falling, uniform, together);
    if (!found) continue;
    add_finding(v,
                {fmt::format("gain.{}.{}", falling, key),
                 fmt::format("share of the damage saved by {} at {:g} bits, together", falling, bits)},
                *found);
    std::vector<Subject> subjects;
    for (const Bench& b : some) subjects.push_back(b.subject);
    if (count_trajectories(keys_of(subjects)) < thresholds.trajectories_min) continue;
    evidence.numbers.push_back(*found);
    v.n += static_cast<int>(some.size());
    words += fmt::format("{}{} at {:g} bits", words.empty() ? "" : ", ", in_words(*found), bits);
  }
  if (!benches.empty()) add_differences(v, benches, alone);
  if (evidence.numbers.empty()) {
    v.prose = fmt::format(
        "Nothing can be said: no average of bits was decoded with falling and with uniform bits in {:g} trajectories "
        "(option decode.average_bits).",
        thresholds.trajectories_min);
    return v;
  }
  set_estimate(v, evidence.numbers[least_above(evidence, thresholds.q20_gain_min + thresholds.q20_equivalence)]);
  decide(v, schedules_rule(), evidence, thresholds);
  v.prose = fmt::format("Of the damage of uniform bits, bits that fall along the text save {}.", words);
  return v;
}

}  // namespace hone::theory
