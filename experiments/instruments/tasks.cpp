#include "experiments/instruments/tasks.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/draws.hpp"
#include "experiments/instruments/rows.hpp"
#include "experiments/instruments/specimen.hpp"
#include "sim/base/mean.hpp"
#include "sim/data/text_tasks.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"
#include "sim/quantize/long_context.hpp"

namespace hone::experiments {
namespace {

/// Exercises of one task as windows of bytes, with the predictions [first, last) of each answer.
struct Sheet {
  TokenBatch windows;
  std::vector<Index> first, last;
};

/// A line end before each exercise, as in the text, and line ends after it up to the length of the longest.
Sheet sheet_of(TextTask task, std::uint64_t seed, Index count) {
  std::vector<std::string> lines;
  Sheet sheet;
  std::size_t longest = 0;
  for (Index e = 0; e < count; ++e) {
    const Exercise exercise = exercise_of(task, ExerciseUse::scoring, seed, std::uint64_t(e));
    lines.push_back("\n" + exercise.line());
    longest = std::max(longest, lines.back().size());
    sheet.first.push_back(Index(exercise.question.size()));
    sheet.last.push_back(Index(exercise.question.size() + exercise.answer.size()));
  }
  sheet.windows = stacked_windows(count, Index(longest) - 1, [&](Index e) {
    std::string line = lines[size_t(e)];
    line.resize(longest, '\n');
    return std::vector<std::uint16_t>(line.begin(), line.end());
  });
  return sheet;
}

/// By exercise.
struct Score {
  std::vector<double> loss, right;
};

Score score_of(const Sheet& sheet, const Transformer<float>& model, const AlignedVector<float>& theta, int threads) {
  const DecodingVariant<float> variant{std::make_shared<const DecoderWeights<float>>(model, theta.data()),
                                       {.max_length = sheet.windows.positions, .threads = threads}};
  const Predictions all = decoded_predictions(variant, sheet.windows);
  Score score;
  for (Index e = 0; e < sheet.windows.sequences; ++e) {
    const Index first = sheet.first[size_t(e)], length = sheet.last[size_t(e)] - first;
    score.loss.push_back(all.loss.row(e).segment(first, length).mean());
    score.right.push_back(all.hit.row(e).segment(first, length).minCoeff());
  }
  return score;
}

/// The numbers of one group in the order of the tasks, and of the widths within a task.
struct Columns {
  std::vector<double> mean, error;

  void add(const MeanEstimate& e) { mean.push_back(e.mean), error.push_back(e.standard_error); }
};

template <template <class> class Model>
class TaskInstrument : public Instrument<Model> {
 public:
  std::string group() const override { return schema::Tasks::group; }
  bool is_on(const RunSpec& run) const override { return !run.data.tasks.empty(); }
  double flops(const RunSpec& run, Index parameters) const override {
    const double share = double(run.measure.exercises) * longest_exercise / double(run.model.context);
    return double(run.data.tasks.size()) * double(1 + run.quantize.roundings()) * share * window_flops(run, parameters);
  }
  void add_rows(Specimen<Model>& specimen, Dataset& group) override {
    if constexpr (std::is_same_v<Model<float>, Transformer<float>>) add_scores(specimen, group);
  }

 private:
  static constexpr double longest_exercise = 16;  ///< tokens

  void add_scores(Specimen<Model>& specimen, Dataset& group) const {
    constexpr const schema::Tasks& f = schema::tasks;
    const RunSpec& run = specimen.bench.run;
    Columns loss, accuracy, loss_change, accuracy_change;
    const double each = flops(run, specimen.bench.model.layout().size()) /
                        double(run.data.tasks.size() * size_t(1 + run.quantize.roundings()));
    const std::int64_t draws = run.quantize.draws, rounded = run.quantize.roundings();
    for (const TextTask task : tasks_of(run.data)) {
      const Sheet sheet = sheet_of(task, std::uint64_t(run.data.source_seed), Index(run.measure.exercises));
      const auto score = [&](const AlignedVector<float>& theta) {
        specimen.bench.watch(each, "tasks", Work::done);
        return score_of(sheet, specimen.bench.model, theta, specimen.bench.threads);
      };
      const Score before = score(specimen.theta);
      loss.add(mean_with_error(before.loss)), accuracy.add(mean_with_error(before.right));
      for (std::int64_t first = 0; first < rounded; first += draws) {
        std::vector<std::vector<double>> losses, rights;
        for (std::int64_t i = first; i < first + draws; ++i) {
          Score after = score(specimen.quantized(i));
          losses.push_back(std::move(after.loss)), rights.push_back(std::move(after.right));
        }
        loss_change.add(change_over_draws(losses, before.loss));
        accuracy_change.add(change_over_draws(rights, before.right));
      }
    }
    const auto count = std::int64_t(run.data.tasks.size());
    set(group, f.task, run.data.tasks);
    set(group, f.bits, run.quantize.bits);
    set_row(group, f.loss_nats, loss.mean), set_row(group, f.loss_se_nats, loss.error);
    set_row(group, f.accuracy, accuracy.mean), set_row(group, f.accuracy_se, accuracy.error);
    set_row(group, f.delta_nats, loss_change.mean, {count}),
        set_row(group, f.delta_se_nats, loss_change.error, {count});
    set_row(group, f.accuracy_delta, accuracy_change.mean, {count});
    set_row(group, f.accuracy_delta_se, accuracy_change.error, {count});
  }
};

}  // namespace

template <template <class> class Model>
std::unique_ptr<Instrument<Model>> task_instrument() {
  return std::make_unique<TaskInstrument<Model>>();
}

template std::unique_ptr<Instrument<Transformer>> task_instrument();
template std::unique_ptr<Instrument<Mlp>> task_instrument();

}  // namespace hone::experiments
