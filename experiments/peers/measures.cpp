#include "experiments/peers/measures.hpp"

#include <array>
#include <optional>
#include <type_traits>

#include "sim/base/error.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/train/trainer.hpp"

namespace hone::experiments {
namespace {

constexpr double learning_rate = 1e-3;
constexpr double float_noise = 1e-6;  // relative rounding of a float32 product
constexpr std::int64_t cache_bytes = std::int64_t(8) << 30;

template <class Model>
class MeasuresOf : public Measures {
 public:
  using S = typename Model::Scalar;
  using Data = typename Model::Data;

  MeasuresOf(const PeerProblem& problem, const typename Model::Options& options, const Data& data, int threads)
      : problem_(problem),
        model_(options),
        data_(data),
        chunks_{problem.chunk_rows, threads},
        objective_(model_, chunks_),
        theta_(problem.theta.begin(), problem.theta.end()),
        gradient_(theta_.size()),
        direction_(ConstVecView<double>(problem.direction.data(), Index(problem.direction.size()))) {
    model_.check(data_);
    in_blocks_.setZero(direction_.size());
    for (Index i : model_.layout().quantizable_indices()) in_blocks_[i] = direction_[i];
    options_.optimizer.clip_norm = 0;
    options_.chunks = chunks_;
    restart();
  }

  void run(Measure measure) override {
    switch (measure) {
      case Measure::train:
        train_to(state_.step() + 1, state_, objective_, source(), options_, schedule_, [](const StepRecord&) {});
        return;
      case Measure::gradient: objective_.gradient(theta_.data(), data_, gradient_.data()); return;
      case Measure::hvp: linearization().hessian().apply(direction_, product_); return;
      case Measure::ggn: linearization().ggn().apply(direction_, product_); return;
      case Measure::blocks: linearization().quantizable_hessian().apply(in_blocks_, product_); return;
    }
  }

  std::vector<double> vector(Measure measure) override {
    EXPECTS(measure != Measure::train, "peers: a training step has no vector");
    run(measure);
    if (measure == Measure::gradient) return {gradient_.begin(), gradient_.end()};
    return {product_.data(), product_.data() + product_.size()};
  }

  std::vector<double> losses(int steps) override {
    restart();
    std::vector<double> losses;
    train_to(steps, state_, objective_, source(), options_, schedule_,
             [&](const StepRecord& record) { losses.push_back(record.loss_nats); });
    losses.push_back(objective_.value(state_.theta.data(), data_));
    restart();
    return losses;
  }

  SpectrumReport spectrum(const SpectrumJob& job) override {
    Linearization<Model> linear(model_, problem_.theta.data(), data_, {chunks_, cache_bytes});
    const LinearOperator hessian = linear.hessian();
    ExtremesOptions extremes{.count_largest = job.pairs, .tolerance = job.tolerance, .seed = job.seed};
    extremes.noise_floor = std::is_same_v<S, float> ? float_noise : 0;
    extremes.probe_steps = 0;  // no peer searches for missed pairs
    SpectrumReport report;
    report.pairs = extreme_eigenpairs(hessian, extremes);
    report.trace = hutchinson_trace(hessian, {.probes = job.probes, .seed = job.seed});
    report.density = spectral_density(hessian, {.probes = 1, .steps = job.density_steps, .seed = job.seed});
    return report;
  }

 private:
  /// Every step sees the same batch, as the peers' steps do; the copy is part of hone's own training.
  BatchSource<Data> source() const {
    return [this](std::int64_t) { return data_; };
  }

  void restart() {
    state_ = {};
    state_.theta.assign(problem_.theta.begin(), problem_.theta.end());
    state_.optimizer = make_state<S>(options_.optimizer, model_.layout());
  }

  Linearization<Model>& linearization() {
    if (!linear_) linear_.emplace(model_, problem_.theta.data(), data_, CurvatureOptions{chunks_, cache_bytes});
    return *linear_;
  }

  const PeerProblem& problem_;
  Model model_;
  const Data& data_;
  ChunkOptions chunks_;
  Objective<Model> objective_;
  AlignedVector<S> theta_, gradient_;
  Vector<double> direction_, in_blocks_, product_;
  std::optional<Linearization<Model>> linear_;
  TrainOptions options_;
  Schedule schedule_{.peak = learning_rate, .warmup_steps = 0};
  TrainState<S> state_;
};

template <class S>
std::unique_ptr<Measures> make_for(const PeerProblem& problem, int threads) {
  if (const auto* options = std::get_if<TransformerOptions>(&problem.model))
    return std::make_unique<MeasuresOf<Transformer<S>>>(problem, *options, problem.tokens, threads);
  return std::make_unique<MeasuresOf<Mlp<S>>>(problem, std::get<MlpOptions>(problem.model), problem.vectors, threads);
}

}  // namespace

Measure measure_from_name(const std::string& name) {
  static const std::array<std::string, 5> names = {"train", "gradient", "hvp", "ggn", "blocks"};
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<Measure>(i);
  throw OptionError(fmt::format("measure '{}' is unknown; did you mean '{}'?", name, nearest_name(name, names)));
}

std::unique_ptr<Measures> make_measures(const PeerProblem& problem, std::string_view scalar, int threads) {
  EXPECTS(scalar == "f32" || scalar == "f64", "peers: scalar '{}', expected f32 or f64", scalar);
  return scalar == "f32" ? make_for<float>(problem, threads) : make_for<double>(problem, threads);
}

}  // namespace hone::experiments
