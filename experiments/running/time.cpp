#include "experiments/running/time.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "experiments/instruments/cost.hpp"
#include "experiments/instruments/instruments.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/series.hpp"
#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/curvature/linearization.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

constexpr double probe_seconds = 0.2;  ///< of each kind of work

fs::path times_folder(const fs::path& study_folder) { return study_folder / "times"; }

Rate fit_rate(const std::vector<RunTime>& times, TimeSpent RunTime::*kind) {
  std::vector<std::pair<double, double>> rows;  // 1/y and 1/(P y), whose combination should be 1
  for (const RunTime& t : times) {
    const TimeSpent& spent = t.*kind;
    if (!(spent.flops > 0) || !(spent.seconds > 0)) continue;
    const double y = spent.seconds * t.threads / spent.flops;
    rows.emplace_back(1 / y, 1 / (double(t.parameters) * y));
  }
  if (rows.empty()) return {};
  double uu = 0, uv = 0, vv = 0, u1 = 0, v1 = 0;
  for (const auto& [u, v] : rows) uu += u * u, uv += u * v, vv += v * v, u1 += u, v1 += v;
  const double determinant = uu * vv - uv * uv;
  Rate rate{u1 / uu, 0, 0};
  if (determinant > 1e-9 * uu * vv) {
    rate.a = (u1 * vv - v1 * uv) / determinant, rate.b = (v1 * uu - u1 * uv) / determinant;
    if (rate.b < 0) rate.a = u1 / uu, rate.b = 0;
    if (rate.a < 0) rate.a = 0, rate.b = v1 / vv;
  }
  double squares = 0;
  for (const auto& [u, v] : rows) squares += std::pow(rate.a * u + rate.b * v - 1, 2);
  rate.error = rows.size() > 2 ? std::max(0.05, std::sqrt(squares / double(rows.size() - 2))) : 0.5;
  return rate;
}

TokenBatch random_examples(const RunSpec& run, const Transformer<float>& model, Index count) {
  TokenBatch batch{count, model.options().positions, {}};
  const Stream stream{std::uint64_t(run.seed), Domain::sampling};
  for (Index i = 0; i < count * (batch.positions + 1); ++i)
    batch.tokens.push_back(std::uint16_t(below(stream, std::uint64_t(i), std::uint64_t(model.options().vocabulary))));
  return batch;
}

VectorBatch random_examples(const RunSpec& run, const Mlp<float>& model, Index count) {
  VectorBatch batch{count, model.options().widths.front(), model.options().widths.back(), {}, {}, {}};
  const Stream stream{std::uint64_t(run.seed), Domain::sampling};
  for (Index i = 0; i < count * batch.inputs; ++i) batch.x.push_back(normal(stream, std::uint64_t(i)));
  batch.labels.assign(size_t(count), 0);
  batch.y.assign(size_t(count * batch.outputs), 0.0);
  return batch;
}

/// Repeats step() until the time is up; the first, which allocates, does not count.
template <class Step>
void repeat(TimeSpent& spent, double flops, Step&& step) {
  step();
  while (spent.seconds < probe_seconds) timed(spent, flops, [&] { return step(), 0; });
}

template <template <class> class Model>
RunTime probe(const RunSpec& run, const Model<float>& model, int threads) {
  RunTime time{model.layout().size(), threads, {}, {}};
  const ChunkOptions chunks{run.train.chunk_rows, threads};
  const Index per_chunk = std::max<Index>(1, run.train.chunk_rows / model.rows_per_example());
  const Index count = std::min<Index>(run.train.batch, per_chunk * threads);
  const auto data = random_examples(run, model, count);
  const AlignedVector<float> theta = model.initial_parameters(std::uint64_t(run.seed));
  AlignedVector<float> gradient(theta.size());
  Objective<Model<float>> objective(model, chunks);
  if (!is_series(run.model) || !run.branches.empty())
    repeat(time.training, training_flops(run, time.parameters) * double(count) / double(run.train.batch),
           [&] { objective.gradient(theta.data(), data, gradient.data()); });
  const std::vector<double> wide(theta.begin(), theta.end());
  CurvatureOptions options;
  options.chunks = chunks;
  const auto products = [&](const auto& precise) {
    Linearization<std::decay_t<decltype(precise)>> linear(precise, wide.data(), data, options);
    Vector<double> v = Vector<double>::Zero(Index(wide.size())), result;
    for (Index i : model.layout().quantizable_indices()) v[i] = wide[size_t(i)];
    const LinearOperator hessian = linear.quantizable_hessian();
    repeat(time.measuring, window_product_flops(run, time.parameters) * double(count),
           [&] { hessian.apply(v, result); });
  };
  if (run.measure.precision == "float64")
    products(Model<double>(model.options()));
  else
    products(model);
  return time;
}

}  // namespace

void write_run_time(const fs::path& study_folder, const RunSpec& run, const RunTime& time) {
  ensure_writable_folder(times_folder(study_folder));
  const auto object = [](const TimeSpent& spent) {
    return nlohmann::ordered_json{{"flops", spent.flops}, {"seconds", spent.seconds}};
  };
  const nlohmann::ordered_json all{{"parameters", time.parameters},
                                   {"threads", time.threads},
                                   {"training", object(time.training)},
                                   {"measuring", object(time.measuring)}};
  write_text_atomically(times_folder(study_folder) / (run.id() + ".json"), all.dump() + "\n");
}

std::vector<RunTime> read_run_times(const fs::path& study_folder) {
  std::vector<fs::path> files;
  if (fs::is_directory(times_folder(study_folder)))
    for (const auto& entry : fs::directory_iterator(times_folder(study_folder)))
      if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<RunTime> times;
  for (const fs::path& file : files) {
    const auto all = nlohmann::json::parse(read_text(file), nullptr, false);
    if (!all.is_object()) continue;
    const auto spent = [&](const char* name) {
      const auto part = all.value(name, nlohmann::json::object());
      return TimeSpent{part.value("flops", 0.0), part.value("seconds", 0.0)};
    };
    times.push_back(
        {all.value("parameters", Index(0)), all.value("threads", 1), spent("training"), spent("measuring")});
    if (times.back().parameters < 1) times.pop_back();
  }
  return times;
}

Rates fit_rates(const std::vector<RunTime>& times) {
  const Rates rates{fit_rate(times, &RunTime::training), fit_rate(times, &RunTime::measuring)};
  EXPECTS(rates.measuring.error > 0, "fit_rates: no time of measuring");
  return rates;
}

RunTime probe_run_time(const RunSpec& run, int threads) {
  if (run.model.kind == "mlp")
    return probe<Mlp>(
        run, Mlp<float>(mlp_options(run.model, run.data.inputs, run.data.outputs, run.data.kind == "digits")), threads);
  return probe<Transformer>(run, Transformer<float>(architecture_of(run, run.data.vocabulary)), threads);
}

double makespan(std::vector<double> seconds, int jobs) {
  EXPECTS(jobs >= 1, "makespan: {} jobs", jobs);
  std::sort(seconds.begin(), seconds.end(), std::greater<>());
  std::vector<double> busy(size_t(jobs), 0.0);
  for (const double s : seconds) *std::min_element(busy.begin(), busy.end()) += s;
  return *std::max_element(busy.begin(), busy.end());
}

}  // namespace hone::experiments
