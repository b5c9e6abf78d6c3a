// The caps of sharpness, met by the optimizers and the eigensolver that the studies use.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

#include "sim/curvature/dense.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/curvature/preconditioner.hpp"
#include "sim/model/mlp.hpp"
#include "sim/train/trainer.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"
#include "theory/solvable/stability.hpp"

TEST_SUITE_BEGIN("laws");

namespace hone::theory {
namespace {

/// θ'Hθ/2 as something that can be trained.
struct QuadraticObjective {
  using Scalar = double;
  using Data = int;
  Basis hessian;
  ParamLayout parameters;

  explicit QuadraticObjective(Basis h) : hessian(std::move(h)) {
    parameters.add("w", -1, Role::norm, 1, hessian.rows());
  }
  const ParamLayout& layout() const { return parameters; }
  double gradient(const double* theta, int, double* g) const {
    const ConstVecView<double> w(theta, hessian.rows());
    VecView<double>(g, hessian.rows()) = hessian * w;
    return 0.5 * w.dot(hessian * w);
  }
};

/// ln(|θ| at the end / |θ| halfway), or infinity when |θ| grew a hundredfold on the way: Adam's v would then wake up.
double log_growth(QuadraticObjective& objective, TrainState<double> state, const OptimizerOptions& optimizer, double lr,
                  std::int64_t updates) {
  TrainOptions options;
  options.optimizer = optimizer;
  const Schedule constant{.peak = lr, .warmup_steps = 0};
  const auto size = [&] { return norm2(state.theta.data(), Index(state.theta.size())); };
  const double start = size();
  double halfway = 0, end = 0;
  const std::int64_t first = state.step();
  train_to(
      first + updates, state, objective, [](std::int64_t) { return 0; }, options, constant,
      [&](const StepRecord& record) {
        if (record.step == first + updates / 2) halfway = size();
        end = size();
      },
      [&] { return size() > 100 * start; });
  if (state.step() < first + updates) return INFINITY;
  return end > 0 ? std::log(end / halfway) : -INFINITY;
}

AlignedVector<double> aligned(const Vector<double>& v) { return {v.data(), v.data() + v.size()}; }

}  // namespace

TEST_CASE("stability: thresholds of the studies are the caps of the theory [beta to .99]") {
  CHECK(rc::check([] {
    OptimizerOptions o;
    o.beta1 = *rc::gen::inRange(0, 990) / 1000.0;
    const double lr = *rc::gen::inRange(1, 1000) / 1e4;
    RC_ASSERT(test::near(stability_threshold(o, lr), stability_cap(Momentum::averaged, lr, o.beta1), 1e-13));
    o.kind = OptimizerKind::sgd;
    RC_ASSERT(test::near(stability_threshold(o, lr), stability_cap(Momentum::heavy, lr, o.beta1), 1e-13));
    o.beta1 = 0;
    RC_ASSERT(test::near(stability_threshold(o, lr), stability_cap(Momentum::none, lr, 0), 1e-13));
  }));
}

TEST_CASE("stability: frozen-P Adam diverges iff eta lambda_max(P^-1 H) > 38 at beta1 = .9 [8 parameters, 6 draws]") {
  for (std::uint32_t draw = 0; draw < 6; ++draw) {
    const Index n = 8;
    const Basis h = test::matrix_with_spectrum(Vector<double>::LinSpaced(n, 0.2, 3), 10 + draw);
    QuadraticObjective objective(h);
    OptimizerOptions adam;
    adam.clip_norm = 0, adam.weight_decay = 0;
    adam.beta2 = 1 - 1e-12;  // and an old state: neither v nor its correction moves
    TrainState<double> state;
    state.theta = aligned(test::normals(n, 20 + draw));
    const Vector<double> v = test::normals(n, 30 + draw).cwiseAbs2().array() * 1e6 + 1e5;
    state.optimizer = {1000000000000, AlignedVector<double>(size_t(n), 0.0), aligned(v)};
    const Vector<double> d = adam_preconditioner(adam, state.optimizer);
    const double sharpness = dense_spectrum(scaled(test::operator_of(h), d), {}).values[n - 1];
    CHECK_NEAR(stability_threshold(adam, 1), 38, 1e-12, 0);
    CAPTURE(draw);
    CHECK(log_growth(objective, state, adam, 0.99 * 38 / sharpness, 4000) < 0);
    CHECK(log_growth(objective, state, adam, 1.01 * 38 / sharpness, 4000) > 0);
  }
}

TEST_CASE("stability: SGD diverges iff eta lambda_max > 2, 2 + 2b with momentum, at the rate of the roots") {
  CHECK(rc::check([] {
    const Index n = *rc::gen::inRange(1, 7);
    const double lr = 0.05, b = *rc::gen::inRange(0, 95) / 100.0, share = *rc::gen::inRange(30, 140) / 100.0;
    OptimizerOptions sgd;
    sgd.kind = OptimizerKind::sgd, sgd.beta1 = b, sgd.clip_norm = 0, sgd.weight_decay = 0;
    const double cap = stability_threshold(sgd, lr);
    Vector<double> spectrum = Vector<double>::LinSpaced(n, 0.5, 1);
    spectrum[n - 1] = 1;
    QuadraticObjective objective(test::matrix_with_spectrum(share * cap * spectrum, 40));
    TrainState<double> state;
    state.theta = aligned(Vector<double>::Ones(n));
    state.optimizer = make_state<double>(sgd, objective.layout());
    const double growth = log_growth(objective, state, sgd, lr, 3000);
    RC_ASSERT(share <= 1.001 || growth > 0);
    RC_ASSERT(share >= 0.999 || growth < 0);
  }));
}

TEST_CASE("stability: descent on a perceptron's least squares obeys 2/lambda_max of its own Hessian [5 inputs]") {
  const MlpOptions options{.widths = {5, 2}, .loss = MlpLoss::squared_error, .bias = false};
  const Mlp<double> model(options);
  const Vector<double> x = test::normals(40 * 5, 50), y = test::normals(40 * 2, 51);
  const VectorBatch data{40, 5, 2, {x.data(), x.data() + x.size()}, {}, {y.data(), y.data() + y.size()}};
  TrainOptions training;
  training.optimizer = {.kind = OptimizerKind::sgd, .beta1 = 0, .weight_decay = 0, .clip_norm = 0};
  Linearization<Mlp<double>> linear(model, model.initial_parameters(1).data(), data, {});
  const DenseSpectrum spectrum = dense_spectrum(linear.hessian(), {});
  for (const double share : {0.98, 1.02}) {
    const Schedule constant{.peak = share * stability_cap(Momentum::none, 1, 0) / spectrum.values[9],
                            .warmup_steps = 0};
    Objective<Mlp<double>> objective(model, {});
    TrainState<double> state = initial_state(model, training);
    double first = 0, last = 0;
    train_to(
        600, state, objective, [&](std::int64_t) { return data; }, training, constant,
        [&](const StepRecord& record) {
          if (record.step == 300) first = record.loss_nats;
          last = record.loss_nats;
        });
    CHECK((share < 1 ? last <= first : last > 2 * first));
  }
}

}  // namespace hone::theory

TEST_SUITE_END();
