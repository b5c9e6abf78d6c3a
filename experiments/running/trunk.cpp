#include "experiments/running/trunk.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <type_traits>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/instruments.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/running/files.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/series.hpp"
#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"
#include "sim/data/preference.hpp"
#include "sim/train/preference.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

using theory::Kind;

/// Longest training time that a kill can cost.
constexpr double save_every_seconds = 60;

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// One trunk under way. What it is made from outlives it.
template <template <class> class Model>
class Trunk {
 public:
  using Float = Model<float>;
  using Data = typename Float::Data;

  Trunk(const RunSpec& spec, const RunContext& context, const RunFacts& facts, const Float& model,
        const SourcesByName<Data>& sources)
      : spec_(spec),
        context_(context),
        facts_(facts),
        model_(model),
        sources_(sources),
        source_(sources.at(spec.data.name)),
        options_(train_options(spec, context.threads)),
        objective_(model_, options_.chunks, training_precision(spec.model, spec.model, spec.quantize)),
        instruments_(spec, model_, source_, context.threads,
                     [this](double flops, const std::string& what, Work work) { watch(flops, what, work); }) {
    if (!spec.model.shifted_data.empty()) instruments_.set_shifted(&sources_.at(spec.model.shifted_data).evaluation);
    if (auto resumed = resumed_run(spec, facts, context, options_, objective_.layout().size()))
      so_far_ = std::move(*resumed);
    else if (!is_series(spec.model))
      so_far_.trunk = qat_state_from(model_.initial_parameters(options_.seed).data(), objective_.weights(), options_);
    if (is_series(spec.model) && so_far_.checkpoints > 0) load(size_t(so_far_.checkpoints) - 1);
  }

  RunOutcome train_and_measure() {
    const auto steps = checkpoint_steps(spec_);
    while (size_t(so_far_.checkpoints) < steps.size()) {
      if (is_series(spec_.model))
        load(size_t(so_far_.checkpoints));
      else if (RunOutcome outcome = train(steps[size_t(so_far_.checkpoints)]); !outcome.is_complete())
        return outcome;
      if (RunOutcome outcome = measure_all(int(so_far_.checkpoints) + 1); !outcome.is_complete()) return outcome;
      ++so_far_.checkpoints;
      save();
    }
    return {};
  }

  TrainedTrunk result(RunOutcome outcome) && {
    return {std::move(outcome), std::move(so_far_.rows), latent(so_far_.trunk.theta), so_far_.trunk.step(), time_};
  }

 private:
  std::string label() const { return label_of(spec_); }

  void watch(double flops, const std::string& what, Work work = Work::done) {
    report(context_, spec_, so_far_.trunk.step(), flops, what, work);
  }

  void save() { save_run(so_far_, spec_, facts_, context_); }

  RunOutcome train(std::int64_t target) {
    TrainState<float>& state = so_far_.trunk;
    const std::int64_t start = state.step();
    const auto began = std::chrono::steady_clock::now();
    auto saved = began;
    const double flops = training_flops(spec_, model_.layout().size());
    const auto summary = train_to(
        target, state, objective_, source_.batch, options_, options_.schedule,
        [&](const StepRecord& record) {
          note(record);
          context_.progress.advance(
              label(), flops,
              fmt::format("training {} of {}", count_text(double(record.step * tokens_per_step(spec_))),
                          count_text(double(spec_.model.tokens))));
          if (seconds_since(saved) < save_every_seconds) return;
          saved = std::chrono::steady_clock::now();
          save();
        },
        [&] { return context_.stop.load(); });
    if (summary.stop == TrainStop::interrupted) {
      save();
      throw interrupted();
    }
    time_.training.flops += double(state.step() - start) * flops;
    time_.training.seconds += seconds_since(began);
    return summary.stop == TrainStop::diverged ? RunOutcome::diverged(summary.message) : RunOutcome{};
  }

  /// The training of a series: its checkpoint number 0, 1, … becomes the state of the trunk. The files hold no state of
  /// an optimizer; a branch begins with moments of 0.
  void load(size_t number) {
    if constexpr (std::is_same_v<Data, TokenBatch>) {
      if (context_.stop.load()) throw interrupted();
      ImportedModel found = load_checkpoint(spec_, number);
      for (const std::string& note : found.notes) context_.progress.say(fmt::format("{}: {}", spec_.id(), note));
      so_far_.trunk = qat_state_from(found.theta.data(), objective_.weights(), options_);
      so_far_.trunk.optimizer.step = series_of(spec_).checkpoints.at(number).step;
      if (spec_.branches.empty()) so_far_.trunk.optimizer.first = so_far_.trunk.optimizer.second = {};  // for memory
    } else {
      throw ContractError("a series is a series of transformers");
    }
  }

  void note(const StepRecord& r) {
    Dataset point;
    set(point, schema::series.step, {r.step});
    set(point, schema::series.tokens, {r.step * tokens_per_step(spec_)});
    set(point, schema::series.loss_nats, {r.loss_nats});
    set(point, schema::series.lr, {r.lr});
    set(point, schema::series.grad_norm, {r.gradient_norm});
    so_far_.rows.groups[schema::series.group].append(point, schema::axis::step);
  }

  RunOutcome measure_all(int number) {
    const TrainState<float>& state = so_far_.trunk;
    const std::int64_t step = state.step(), tokens = tokens_after(spec_, step);
    const bool is_last = size_t(number) == checkpoint_steps(spec_).size();
    if (!add_rows(state.theta, {step, tokens, tokens, variant("trunk"), Kind::trunk, rate_at(number), is_last,
                                is_series(spec_.model) ? nullptr : &state.optimizer}))
      return RunOutcome::diverged(fmt::format("held-out loss is not finite after update {}", step));
    if (options_.ema_decay > 0) add_rows(state.ema.value, {step, tokens, tokens, variant("ema"), Kind::average, 0});
    if (!state.lawa.snapshots.empty())
      add_rows(state.lawa.mean(), {step, tokens, tokens, variant("lawa"), Kind::average, 0});
    for (const BranchSpec& branch : spec_.branches)
      if (std::find(branch.at.begin(), branch.at.end(), number) != branch.at.end()) measure_branch(branch);
    return {};
  }

  /// The learning rate of the last update before a checkpoint: a table of a series may say it.
  double rate_at(int number) const {
    if (is_series(spec_.model))
      if (const auto lr = series_of(spec_).checkpoints.at(size_t(number) - 1).lr) return *lr;
    return options_.schedule(so_far_.trunk.step() - 1);
  }

  /// What was trained at low precision has names of its own, so that no conclusion mixes it with the others.
  std::string variant(const std::string& name) const { return is_full(objective_) ? name : "qat_" + name; }

  /// A copy of the trunk's state trains on under a decaying rate; the trunk itself is not touched.
  void measure_branch(const BranchSpec& spec) {
    const TrainState<float>& trunk = so_far_.trunk;
    const QatOptions precision = training_precision(spec, spec_.model, spec_.quantize);
    if (precision.is_full())
      return train_branch(spec, trunk, objective_, variant(spec.name), spec.is_tuning() ? Kind::tuned : Kind::cooldown);
    QatObjective<Float> lowered(model_, options_.chunks, precision);
    train_branch(spec, qat_state_from(trunk, lowered.weights()), lowered, spec.name, Kind::lowered);
  }

  void train_branch(const BranchSpec& spec, TrainState<float> branch, QatObjective<Float>& objective,
                    const std::string& name, Kind kind) {
    const std::int64_t start = branch.step(), length = branch_length(spec_, spec, start), end = start + length;
    const Schedule schedule = cooldown_branch(options_.schedule, start, length, branch_decay(spec));
    BatchSource<Data> batches = source_.batch;
    if (!spec.data.empty())
      batches = [start, &other = sources_.at(spec.data)](std::int64_t step) { return other.batch(step - start); };
    const double before = is_full(objective) ? unknown : low_loss(branch.theta, objective).mean;
    const auto observe = [&](const StepRecord&) {
      watch(updates_worth(spec) * training_flops(spec_, model_.layout().size()), spec.name + " branch");
    };
    const auto summary = spec.dpo_beta > 0 ? prefer(spec, branch, objective, batches, end, schedule, observe)
                                           : train_to(end, branch, objective, batches, options_, schedule, observe);
    const std::int64_t left = tokens_after(spec_, start), tokens = left + length * tokens_per_step(spec_);
    if (summary.stop == TrainStop::reached &&
        add_rows(branch.theta, {end, tokens, left, name, kind, schedule(end - 1), false, &branch.optimizer}, objective,
                 before))
      return;
    const std::string what = fmt::format("{} branch at update {} diverged; it has no row", name, start);
    so_far_.rows.attributes[fmt::format("lost_{}_{}", name, start)] = what;
    context_.progress.say(fmt::format("{}: {}", spec_.id(), what));
  }

  /// Trains on preferences between answers whose prompts are half a window, against the branch's own beginning.
  template <class Observe>
  TrainSummary prefer(const BranchSpec& spec, TrainState<float>& branch, QatObjective<Float>& objective,
                      const BatchSource<Data>& batches, std::int64_t end, const Schedule& schedule, Observe&& observe) {
    if constexpr (std::is_same_v<Data, TokenBatch>) {
      PreferenceObjective<QatObjective<Float>> preferring(objective, branch.theta, spec.dpo_beta);
      const PreferenceRule rule{std::uint16_t(spec.dpo_token), Index(spec_.model.context / 2)};
      const BatchSource<TokenBatch> pairs = [&](std::int64_t step) {
        return preference_pairs(rule, batches(step), options_.seed, step);
      };
      return train_to(end, branch, preferring, pairs, options_, schedule, observe);
    } else {
      throw OptionError(fmt::format("branches.{}: dpo_beta needs text; leave it out", spec.name));
    }
  }

  /// The model's own part of a parameter vector, without learned steps.
  AlignedVector<float> latent(const AlignedVector<float>& theta) const {
    return {theta.begin(), theta.begin() + model_.layout().size()};
  }

  static bool is_full(const QatObjective<Float>& objective) { return objective.options().is_full(); }

  MeanEstimate low_loss(const AlignedVector<float>& theta, QatObjective<Float>& objective) {
    return mean_with_error(objective.example_losses(theta.data(), source_.evaluation));
  }

  /// Loss at the precision that this row was trained at, beside that of the latent weights in `checkpoints`.
  Dataset low_precision_row(const AlignedVector<float>& theta, QatObjective<Float>& objective, double before) {
    MeanEstimate loss{unknown, unknown};
    if (!is_full(objective)) loss = low_loss(theta, objective);
    Dataset point;
    set_row(point, schema::qat.loss_nats, {loss.mean});
    set_row(point, schema::qat.loss_se_nats, {loss.standard_error});
    set_row(point, schema::qat.before_nats, {before});
    return point;
  }

  bool add_rows(const AlignedVector<float>& theta, const Moment& moment) {
    return add_rows(theta, moment, objective_, unknown);
  }

  /// False when there was nothing to measure.
  bool add_rows(const AlignedVector<float>& theta, const Moment& moment, QatObjective<Float>& objective,
                double before) {
    const fs::path journal = journal_path(context_.folder, spec_, moment.step, moment.variant);
    instruments_.set_journal(journal);
    TimeSpent replayed;  // products out of a journal are no measure of their cost
    TimeSpent& spent = fs::exists(journal) ? replayed : time_.measuring;
    const double flops = moment_flops(spec_, model_.layout().size());
    context_.progress.begin_part(label(), flops);
    Rows groups = timed(spent, flops, [&] { return instruments_.measure(latent(theta), moment); });
    context_.progress.end_part(label());
    if (!groups.empty() && trains_low()) groups[schema::qat.group] = low_precision_row(theta, objective, before);
    for (const auto& [name, rows] : groups) so_far_.rows.groups[name].append(rows, schema::axis::checkpoint);
    std::error_code ignored;
    fs::remove(journal, ignored);
    return !groups.empty();
  }

  /// Whether the trunk or a branch is trained at low precision.
  bool trains_low() const {
    return !is_full(objective_) || std::any_of(spec_.branches.begin(), spec_.branches.end(), [&](const BranchSpec& b) {
      return !training_precision(b, spec_.model, spec_.quantize).is_full();
    });
  }

  const RunSpec& spec_;
  const RunContext& context_;
  const RunFacts& facts_;
  const Float& model_;
  const SourcesByName<Data>& sources_;
  const Source<Data>& source_;  ///< of the trunk
  TrainOptions options_;
  QatObjective<Float> objective_;  ///< of the trunk, at its precision
  Instruments<Model> instruments_;
  RunSoFar so_far_;
  RunTime time_{model_.layout().size(), context_.threads, {}, {}};
};

}  // namespace

template <template <class> class Model>
TrainedTrunk train_and_measure(const RunSpec& spec, const RunContext& context, const RunFacts& facts,
                               const Model<float>& model, const SourcesByName<typename Model<float>::Data>& sources) {
  Trunk<Model> trunk(spec, context, facts, model, sources);
  RunOutcome outcome = trunk.train_and_measure();
  return std::move(trunk).result(std::move(outcome));
}

template TrainedTrunk train_and_measure<Transformer>(const RunSpec&, const RunContext&, const RunFacts&,
                                                     const Transformer<float>&, const SourcesByName<TokenBatch>&);
template TrainedTrunk train_and_measure<Mlp>(const RunSpec&, const RunContext&, const RunFacts&, const Mlp<float>&,
                                             const SourcesByName<VectorBatch>&);

}  // namespace hone::experiments
