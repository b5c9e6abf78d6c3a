#include "experiments/running/run.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>

#include "experiments/instruments/calibration_rows.hpp"
#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/decode_rows.hpp"
#include "experiments/instruments/decode_table.hpp"
#include "experiments/instruments/instruments.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/scheme_table.hpp"
#include "experiments/running/manifest.hpp"
#include "experiments/running/time.hpp"
#include "experiments/study/decode_policy.hpp"
#include "experiments/study/sources.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/mean.hpp"
#include "sim/record/run_file.hpp"
#include "sim/train/checkpoint.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

/// Longest training time that a kill can cost.
constexpr double save_every_seconds = 60;

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// One run under way: the file so far, the state of the trunk, and how far the plan of checkpoints is done.
template <template <class> class Model>
class Run {
 public:
  using Float = Model<float>;
  using Data = typename Float::Data;

  /// What a run reads, by the names of the study: its own data and that of its branches and shifted windows.
  using Sources = std::map<std::string, Source<Data>>;

  Run(const RunSpec& spec, const RunContext& context, Float model, Sources sources)
      : spec_(spec),
        context_(context),
        model_(std::move(model)),
        sources_(std::move(sources)),
        source_(sources_.at(spec.data.name)),
        options_(train_options(spec, context.threads)),
        objective_(model_, options_.chunks, training_precision(spec.model, spec.model, spec.quantize)),
        instruments_(spec, model_, source_, context.threads,
                     [this](double flops, const std::string& what, Work work) { watch(flops, what, work); }) {
    model_.check(source_.evaluation);
    open_long_windows();
    if (!spec.model.shifted_data.empty()) instruments_.set_shifted(&sources_.at(spec.model.shifted_data).evaluation);
    resume_or_start();
  }

  std::string execute() {
    const auto steps = checkpoint_steps(spec_);
    for (size_t i = size_t(done_); i < steps.size() && outcome_ == "complete"; ++i) {
      train_trunk(steps[i]);
      if (outcome_ != "complete") break;
      measure_all(int(i) + 1);
      if (outcome_ != "complete") break;
      done_ = std::int64_t(i) + 1;
      save();
    }
    if (outcome_ == "complete") compare_schemes();
    if (outcome_ == "complete") compare_decoding();
    finish();
    return outcome_;
  }

 private:
  std::string label() const { return label_of(spec_); }

  void watch(double flops, const std::string& what, Work work = Work::done) {
    if (context_.stop) throw Interrupted("interrupted; run the same command again to go on");
    context_.progress.advance(label(), flops,
                              fmt::format("{} at {}", what, count_text(double(state_.step() * tokens_per_step(spec_)))),
                              work);
  }

  TrainState<float> fresh_state() {
    return qat_state_from(model_.initial_parameters(options_.seed).data(), objective_.weights(), options_);
  }

  void resume_or_start() {
    state_ = fresh_state();
    const std::vector<SavedState> states = saved_states(context_.folder, spec_);
    if (states.empty()) return;
    const auto taken =
        std::find_if(states.begin(), states.end(), [&](const SavedState& state) { return resume(state.path); });
    if (taken == states.end())
      context_.progress.say(fmt::format("starting {} anew", spec_.id()));
    else if (taken != states.begin())
      context_.progress.say(fmt::format("{} goes on from {}", spec_.id(), taken->path.filename().string()));
    context_.progress.advance(label(), work_until(spec_, state_.step(), done_).flops(), "resumed", Work::taken_over);
  }

  /// False, with a message and the fresh state, when the file is damaged or was made from another text.
  bool resume(const fs::path& path) {
    try {
      RunFile file = read_run_file(path);
      schema::expect_written_by_this_version(file);
      if (value_of(file.group(schema::manifest.group), schema::manifest.corpus_sha256) != source_.sha256)
        throw FormatError(fmt::format("{}: was trained on another text of data.{}", path.string(), spec_.data.name));
      TrainState<float> state = state_from_dataset<float>(file.group("state"), options_, objective_.layout().size());
      done_ = std::get<std::int64_t>(file.group("state").attribute("checkpoints_done"));
      state_ = std::move(state);
      for (const char* name : {"state", schema::manifest.group, schema::options.group}) file.groups.erase(name);
      file_ = std::move(file);
      return true;
    } catch (const Error& error) {
      context_.progress.say(fmt::format("{}; {} does not go on from it", error.what(), spec_.id()));
      return false;
    }
  }

  void train_trunk(std::int64_t target) {
    auto saved = std::chrono::steady_clock::now();
    const std::int64_t start = state_.step();
    const auto began = std::chrono::steady_clock::now();
    const auto summary = train_to(
        target, state_, objective_, source_.batch, options_, options_.schedule,
        [&](const StepRecord& record) {
          note(record);
          context_.progress.advance(
              label(), training_flops(spec_, model_.layout().size()),
              fmt::format("training {} of {}", count_text(double(record.step * tokens_per_step(spec_))),
                          count_text(double(spec_.model.tokens))));
          const auto now = std::chrono::steady_clock::now();
          if (std::chrono::duration<double>(now - saved).count() < save_every_seconds) return;
          saved = now;
          save();
        },
        [&] { return context_.stop.load(); });
    if (summary.stop == TrainStop::interrupted) {
      save();
      throw Interrupted("interrupted; run the same command again to go on");
    }
    time_.training.flops += double(state_.step() - start) * training_flops(spec_, model_.layout().size());
    time_.training.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (summary.stop == TrainStop::diverged) outcome_ = "diverged: " + summary.message;
  }

  void note(const StepRecord& r) {
    Dataset point;
    set(point, schema::series.step, {r.step});
    set(point, schema::series.tokens, {r.step * tokens_per_step(spec_)});
    set(point, schema::series.loss_nats, {r.loss_nats});
    set(point, schema::series.lr, {r.lr});
    set(point, schema::series.grad_norm, {r.gradient_norm});
    file_.groups[schema::series.group].append(point, schema::axis::step);
  }

  void measure_all(int number) {
    const std::int64_t step = state_.step(), tokens = step * tokens_per_step(spec_);
    const bool is_last = size_t(number) == checkpoint_steps(spec_).size();
    if (!add_rows(state_.theta, {step, tokens, tokens, variant("trunk"), "trunk", options_.schedule(step - 1), is_last,
                                 &state_.optimizer})) {
      outcome_ = fmt::format("diverged: held-out loss is not finite after update {}", step);
      return;
    }
    if (options_.ema_decay > 0) add_rows(state_.ema.value, {step, tokens, tokens, variant("ema"), "average", 0});
    if (!state_.lawa.snapshots.empty())
      add_rows(state_.lawa.mean(), {step, tokens, tokens, variant("lawa"), "average", 0});
    for (const BranchSpec& branch : spec_.branches)
      if (std::find(branch.at.begin(), branch.at.end(), number) != branch.at.end()) measure_branch(branch);
  }

  /// What was trained at low precision has names of its own, so that no conclusion mixes it with the others.
  std::string variant(const char* name) const {
    return objective_.options().is_full() ? name : fmt::format("qat_{}", name);
  }

  /// A copy of the trunk's state trains on under a decaying rate; the trunk itself is not touched.
  void measure_branch(const BranchSpec& spec) {
    const QatOptions precision = training_precision(spec, spec_.model, spec_.quantize);
    if (precision.is_full()) return train_branch(spec, state_, objective_, spec.data.empty() ? "cooldown" : "tuned");
    QatObjective<Float> lowered(model_, options_.chunks, precision);
    train_branch(spec, qat_state_from(state_, lowered.weights()), lowered, "lowered");
  }

  void train_branch(const BranchSpec& spec, TrainState<float> branch, QatObjective<Float>& objective,
                    const char* kind) {
    const std::int64_t start = branch.step(), length = branch_length(spec_, spec, start), end = start + length;
    const Schedule schedule = cooldown_branch(options_.schedule, start, length, branch_decay(spec));
    BatchSource<Data> batches = source_.batch;
    if (!spec.data.empty())
      batches = [start, &other = sources_.at(spec.data)](std::int64_t step) { return other.batch(step - start); };
    const double before = is_full(objective) ? unknown : low_loss(branch.theta, objective).mean;
    const auto summary = train_to(end, branch, objective, batches, options_, schedule, [&](const StepRecord&) {
      watch(training_flops(spec_, model_.layout().size()), spec.name + " branch");
    });
    const std::int64_t per_step = tokens_per_step(spec_);
    const std::string name = kind == std::string("lowered") ? spec.name : variant(spec.name.c_str());
    if (summary.stop == TrainStop::reached &&
        add_rows(branch.theta,
                 {end, end * per_step, start * per_step, name, kind, schedule(end - 1), false, &branch.optimizer},
                 objective, before))
      return;
    const std::string what = fmt::format("{} branch at update {} diverged; it has no row", name, state_.step());
    file_.attributes[fmt::format("lost_{}_{}", name, state_.step())] = what;
    context_.progress.say(fmt::format("{}: {}", spec_.id(), what));
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
    for (const auto& [name, rows] : groups) file_.groups[name].append(rows, schema::axis::checkpoint);
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

  /// Everything so far and the trunk's state, as a file that a later process can go on from.
  void save() {
    if (finished_outcome(context_.folder, spec_)) throw Error("another process was quicker");
    const SavedState now{saved_path(context_.folder, spec_, state_.step(), done_), state_.step(), done_};
    RunFile partial = file_;
    describe(partial);
    partial.groups["state"] = to_dataset(state_);
    partial.groups["state"].set_attribute("checkpoints_done", done_);
    write_run_file(now.path, partial);
    remove_old_states(now, context_.folder, spec_);
  }

  void finish() {
    describe(file_);
    if (!finished_outcome(context_.folder, spec_)) write_run_file(finished_path(context_.folder, spec_), file_);
    remove_work(context_.folder, spec_);
    keep_time();
  }

  /// For the plans of later runs. Without it the run is whole all the same.
  void keep_time() {
    if (!(time_.training.flops > 0 && time_.measuring.flops > 0)) return;
    try {
      write_run_time(context_.folder, spec_, time_);
    } catch (const IoError& error) {
      context_.progress.say(fmt::format("{}: its time is not kept: {}", spec_.id(), error.what()));
    }
  }

  /// The schemes of the study on the end of the trunk, calibrated on the first batches that it was trained on.
  void compare_schemes() {
    if constexpr (std::is_same_v<Float, Transformer<float>>) {
      if (spec_.quantize.schemes.empty()) return;
      TokenBatch calibration{0, model_.options().positions, {}};
      for (std::int64_t step = 0; calibration.sequences < spec_.quantize.calibration_windows; ++step) {
        const TokenBatch more = source_.batch(step);
        calibration.tokens.insert(calibration.tokens.end(), more.tokens.begin(), more.tokens.end());
        calibration.sequences += more.sequences;
      }
      calibration = slice(calibration, 0, spec_.quantize.calibration_windows);
      const AlignedVector<float> theta = latent(state_.theta);
      const SchemeInput input{model_.options(),          theta,          calibration, spec_.quantize,
                              std::uint64_t(spec_.seed), options_.chunks};
      const SchemeData data{source_.evaluation, source_.curvature, spec_.measure.cache_mib << 20};
      double done = 0;
      const auto entries = measure_schemes(input, data, [&](double share, const std::string& scheme) {
        watch((share - done) * schemes_flops(spec_, model_.layout().size()), "scheme " + scheme);
        done = share;
      });
      Dataset& schemes = file_.groups[schema::schemes.group] = scheme_rows(entries, input);
      const std::string warning =
          calibration_warning(calibration_shortage(entries, model_.layout()), input, "quantize.calibration_windows");
      if (!warning.empty()) {
        context_.progress.say(fmt::format("{}: {}", spec_.id(), warning));
        set(schemes, schema::schemes.calibration_warning, warning);
      }
      file_.groups[schema::scheme_blocks.group] = scheme_block_rows(entries);
    }
  }

  /// What decoding is measured on; before training, so that a text too short for it is said at once.
  void open_long_windows() {
    if constexpr (std::is_same_v<Float, Transformer<float>>) {
      if (!spec_.decode.is_on()) return;
      const DecodeSpec spec = fitted_to(spec_.decode, model_.options());
      long_windows_ = source_.held_out(spec.length, spec.windows);
    }
  }

  /// Cache policies and schedules of precision on the end of the trunk.
  void compare_decoding() {
    if constexpr (std::is_same_v<Float, Transformer<float>>) {
      if (!spec_.decode.is_on()) return;
      const AlignedVector<float> theta = latent(state_.theta);
      const DecodeInput input{
          model_.options(),          theta,           long_windows_, fitted_to(spec_.decode, model_.options()),
          std::uint64_t(spec_.seed), context_.threads};
      const double flops = decode_flops(input.spec, model_.layout().size());
      double done = 0;
      const DecodeTable table = measure_decoding(input, [&](double share, const std::string& part) {
        watch((share - done) * flops, "decoding " + part);
        done = share;
      });
      for (auto& [name, rows] : decode_rows(table, input)) file_.groups[name] = std::move(rows);
    }
  }

  void describe(RunFile& file) const {
    RunFacts facts{model_.layout().quantizable_size(), model_.layout().size(), source_.sha256, source_.epochs,
                   source_.entropy_rate_nats};
    for (const auto& [name, source] : sources_)
      if (!source.sha256.empty()) facts.inputs[name] = source.sha256;
    describe_run(file, spec_, facts, context_.threads);
    Dataset& manifest = file.groups[schema::manifest.group];
    set(manifest, schema::manifest.command, context_.command);
    set(manifest, schema::manifest.outcome, outcome_);
  }

  const RunSpec& spec_;
  const RunContext& context_;
  Float model_;
  Sources sources_;
  const Source<Data>& source_;  ///< of the trunk
  Data long_windows_;           ///< held-out windows for decoding; empty without it
  TrainOptions options_;
  QatObjective<Float> objective_;  ///< of the trunk, at its precision
  Instruments<Model> instruments_;
  TrainState<float> state_;
  RunFile file_;
  std::int64_t done_ = 0;  ///< checkpoints measured
  RunTime time_{model_.layout().size(), context_.threads, {}, {}};
  std::string outcome_ = "complete";
};

std::string execute_transformer(const RunSpec& spec, const RunContext& context) {
  Run<Transformer>::Sources sources;
  sources[spec.data.name] = open_tokens(spec, spec.data, context.shelf);
  for (const DataSpec& other : spec.others) sources[other.name] = open_tokens(spec, other, context.shelf);
  Transformer<float> model(transformer_options(spec.model, sources[spec.data.name].vocabulary));
  return Run<Transformer>(spec, context, std::move(model), std::move(sources)).execute();
}

std::string execute_mlp(const RunSpec& spec, const RunContext& context) {
  Source<VectorBatch> source = open_vectors(spec, context.shelf);
  Mlp<float> model(mlp_options(spec.model, source.inputs, source.outputs, spec.data.kind == "digits"));
  return Run<Mlp>(spec, context, std::move(model), {{spec.data.name, std::move(source)}}).execute();
}

}  // namespace

std::string label_of(const RunSpec& run) { return fmt::format("{} s{}", run.model.name, run.seed); }

std::string execute_run(const RunSpec& run, const RunContext& context) {
  if (const auto outcome = finished_outcome(context.folder, run)) return *outcome;
  forget_failure(context.folder, run);
  try {
    return run.model.kind == "mlp" ? execute_mlp(run, context) : execute_transformer(run, context);
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    // A process that finishes a run removes its work files, also under another one that executes it at the same time.
    const auto outcome = finished_outcome(context.folder, run);
    if (!outcome) throw;
    context.progress.say(fmt::format("{} was finished by another process ({})", run.id(), error.what()));
    remove_work(context.folder, run);
    return *outcome;
  }
}

}  // namespace hone::experiments
