// Two-layer linear nets: perceptrons without activation, trained by the project's own SGD and rounded by its own
// quantizers, against theory/solvable/linear_net.hpp.
#include <doctest/doctest.h>

#include <Eigen/QR>
#include <Eigen/SVD>
#include <cmath>

#include "sim/base/mean.hpp"
#include "sim/curvature/dense.hpp"
#include "sim/curvature/linearization.hpp"
#include "sim/model/mlp.hpp"
#include "sim/quantize/weights.hpp"
#include "sim/train/trainer.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"
#include "theory/noise/rounding.hpp"
#include "theory/solvable/linear_net.hpp"

TEST_SUITE_BEGIN("laws");

namespace hone::theory {
namespace {

using test::gaussian;

/// `cols` orthonormal columns in `rows` dimensions.
Matrix<double> orthonormal(Index rows, Index cols, std::uint32_t number) {
  const Matrix<double> q = Eigen::HouseholderQR<Matrix<double>>(gaussian(rows, rows, number)).householderQ();
  return q.leftCols(cols);
}

/// W2 W1 = U diag(s) V' with balanced factors W1 = R √s V', W2 = U √s R'.
struct Factors {
  Matrix<double> left, middle, right;  // U (O,k), R (h,k), V (I,k)

  Factors(Index inputs, Index hidden, Index outputs, Index modes, std::uint32_t number)
      : left(orthonormal(outputs, modes, number)),
        middle(orthonormal(hidden, modes, number + 1)),
        right(orthonormal(inputs, modes, number + 2)) {}
  Matrix<double> first(const Vector<double>& s) const {
    return middle * s.cwiseSqrt().asDiagonal() * right.transpose();
  }
  Matrix<double> second(const Vector<double>& s) const {
    return left * s.cwiseSqrt().asDiagonal() * middle.transpose();
  }
  Matrix<double> product(const Vector<double>& s) const { return left * s.asDiagonal() * right.transpose(); }
};

AlignedVector<double> parameters(const Matrix<double>& w1, const Matrix<double>& w2) {
  AlignedVector<double> theta(w1.data(), w1.data() + w1.size());
  theta.insert(theta.end(), w2.data(), w2.data() + w2.size());
  return theta;
}

/// The net of `net` with whitened inputs √I e_i, whose loss is 2/O times that of the theory.
struct Case {
  LinearNet net;
  Index hidden;
  MlpOptions options;
  Mlp<double> model;
  Factors factors;
  VectorBatch data;

  Case(const LinearNet& n, Index h, std::uint32_t number)
      : net(n),
        hidden(h),
        options{.widths = {n.d_in, h, n.d_out},
                .activation = Activation::identity,
                .loss = MlpLoss::squared_error,
                .bias = false},
        model(options),
        factors(n.d_in, h, n.d_out, n.target.size(), number) {
    const Matrix<double> x = std::sqrt(double(n.d_in)) * Matrix<double>::Identity(n.d_in, n.d_in);
    const Matrix<double> y = x * factors.product(n.target).transpose();
    data = {n.d_in, n.d_in, n.d_out, {x.data(), x.data() + x.size()}, {}, {y.data(), y.data() + y.size()}};
  }
  double loss_scale() const { return 2.0 / double(net.d_out); }
  AlignedVector<double> start() const {
    const Vector<double> s = net.start * net.target;
    return parameters(factors.first(s), factors.second(s));
  }
  ConstMatView<double> first(const AlignedVector<double>& theta) const { return {theta.data(), hidden, net.d_in}; }
  ConstMatView<double> second(const AlignedVector<double>& theta) const {
    return {theta.data() + hidden * net.d_in, net.d_out, hidden};
  }
  /// Diagonal of U'W2 W1 V: the modes, and what lies beside them.
  Vector<double> modes(const AlignedVector<double>& theta) const {
    return (factors.left.transpose() * second(theta) * first(theta) * factors.right).diagonal();
  }
};

LinearNet small_net() {
  LinearNet net;
  net.target.resize(4);
  net.target << 1.0, 0.6, 0.35, 0.2;
  net.start = 1e-3, net.d_in = 6, net.d_out = 5;
  return net;
}

/// Trains with time step `rate` of the theory's flow and calls observe(updates, state) after every update.
template <class Observe>
void train(const Case& c, double rate, std::int64_t updates, Observe&& observe) {
  TrainOptions options;
  options.optimizer = {.kind = OptimizerKind::sgd, .beta1 = 0, .weight_decay = 0, .clip_norm = 0};
  const Schedule constant{.peak = rate / c.loss_scale(), .warmup_steps = 0};
  TrainState<double> state = initial_state(c.model, options);
  state.theta = c.start();
  Objective<Mlp<double>> objective(c.model, {});
  const TrainSummary summary = train_to(
      updates, state, objective, [&](std::int64_t) { return c.data; }, options, constant,
      [&](const StepRecord& record) { observe(record, state.theta); });
  CHECK(summary.stop == TrainStop::reached);
}

}  // namespace

TEST_CASE("linear net: SGD learns each mode by its own recursion, and along the logistic curve [rate 0.01, 4 modes]") {
  const Case c(small_net(), 5, 1);
  constexpr double rate = 0.01;
  Vector<double> weight = (c.net.start * c.net.target).cwiseSqrt();
  double worst = 0, off_curve = 0, loss_error = 0, before = c.net.loss(0);
  train(c, rate, 2500, [&](const StepRecord& record, const AlignedVector<double>& theta) {
    loss_error = std::max(loss_error, std::abs(record.loss_nats / c.loss_scale() - before));
    weight.array() *= 1 + rate * (c.net.target.array() - weight.array().square());
    const Vector<double> s = c.modes(theta);
    before = 0.5 * (s - c.net.target).squaredNorm();
    worst = std::max(worst, (s - weight.cwiseAbs2()).cwiseAbs().maxCoeff());
    off_curve = std::max(off_curve, (s - c.net.modes(rate * double(record.step))).cwiseAbs().maxCoeff());
  });
  CHECK(worst < 1e-12);
  CHECK(loss_error < 1e-12);
  // Euler's steps shift the time a mode is learned at by rate/2 · ln(1/start), its slope being at most s*²/2.
  CHECK(off_curve < 0.5 * rate / 2 * std::log(1 / c.net.start));
  CHECK(off_curve > 0);
}

TEST_CASE("linear net: Gauss-Newton's whole spectrum is {s_i + s_j} on the way, 2 s_1 its largest [55 parameters]") {
  const Case c(small_net(), 5, 2);
  int seen = 0;
  train(c, 0.01, 1200, [&](const StepRecord& record, const AlignedVector<double>& theta) {
    if (record.step % 300) return;
    ++seen;
    Linearization<Mlp<double>> linear(c.model, theta.data(), c.data, {});
    const DenseSpectrum ggn = dense_spectrum(linear.ggn(), {});
    LinearNet now = c.net;  // with the modes where SGD has them
    now.target = c.modes(theta), now.start = 1;
    Vector<double> formula = now.gn_spectrum(0) * c.loss_scale();
    std::sort(formula.data(), formula.data() + formula.size());
    const Vector<double> largest = ggn.values.tail(formula.size());
    CHECK((largest - formula).cwiseAbs().maxCoeff() <= 1e-11);
    CHECK(ggn.values.head(ggn.values.size() - formula.size()).cwiseAbs().maxCoeff() <= 1e-11);
    CHECK_NEAR(ggn.trace / c.loss_scale(), now.gn_trace(0), 1e-11, 0);
    CHECK_NEAR(ggn.values.tail(1)[0] / c.loss_scale(), 2 * c.modes(theta)[0], 1e-11, 0);
    const double norms = 6 * c.second(theta).squaredNorm() + 5 * c.first(theta).squaredNorm();
    CHECK_NEAR(ggn.trace / c.loss_scale(), norms, 1e-11, 0);
  });
  CHECK(seen == 4);
}

TEST_CASE("linear net: exponents of trace and loss under SGD on a power-law target are those of the theory's curve") {
  LinearNet net;
  net.target.resize(24);
  for (Index k = 0; k < 24; ++k) net.target[k] = std::pow(k + 1.0, -2.0 / 3);
  net.start = 1e-4, net.d_in = net.d_out = 24;
  const Case c(net, 24, 3);
  constexpr double rate = 0.05;
  double trace[2] = {}, loss[2] = {};
  train(c, rate, 800, [&](const StepRecord& record, const AlignedVector<double>& theta) {
    if (record.step != 200 && record.step != 800) return;
    trace[record.step == 800] = 24 * (c.first(theta).squaredNorm() + c.second(theta).squaredNorm());
    loss[record.step == 800] = 0.5 * (c.second(theta) * c.first(theta) - c.factors.product(net.target)).squaredNorm();
  });
  const auto exponent = [&](auto&& f) { return std::log(f(800 * rate) / f(200 * rate)) / std::log(4); };
  const double gamma = exponent([&](double t) { return net.gn_trace(t); }),
               beta = -exponent([&](double t) { return net.loss(t); });
  CHECK_NEAR(std::log(trace[1] / trace[0]) / std::log(4), gamma, 0.05, 0);
  CHECK_NEAR(-std::log(loss[1] / loss[0]) / std::log(4), beta, 0.05, 0);
  CHECK(gamma > linear_net_exponents(2.0 / 3).gamma);  // it comes down on its limit from above
}

/// ½ Σ Δ²/12 over the weights, each with its Gauss-Newton diagonal: what absmax rounding of the rows should cost.
double second_order(const Matrix<double>& w1, const Matrix<double>& w2, const Quantizer& q) {
  const auto first = step_ranges<double>(w1, q, w1.rows()), second = step_ranges<double>(w2, q, w2.rows());
  double sum = 0;
  for (Index r = 0; r < w1.rows(); ++r)
    sum += std::pow(first[size_t(r)].step, 2) * double(w1.cols()) * w2.col(r).squaredNorm();
  for (const StepRange& range : second) sum += std::pow(range.step, 2) * w1.squaredNorm();
  return sum / 24;
}

TEST_CASE(
    "linear net: absmax damage grows with twice the exponent of the trace, that of a fixed step with once [4 bits]") {
  LinearNet net;
  constexpr Index n = 96;
  net.target.resize(n);
  for (Index k = 0; k < n; ++k) net.target[k] = std::pow(k + 1.0, -2.0 / 3);
  net.start = 1e-3, net.d_in = net.d_out = n;
  double absmax[2] = {}, predicted[2] = {}, fixed[2] = {};
  const double times[2] = {20, 200};
  for (std::uint32_t draw = 0; draw < 3; ++draw) {
    const Factors factors(n, n, n, n, 100 + 10 * draw);
    for (const int late : {0, 1}) {
      const Vector<double> s = net.modes(times[late]);
      const Matrix<double> w1 = factors.first(s), w2 = factors.second(s);
      const auto damage = [&](auto&& round) {
        Matrix<double> q1 = w1, q2 = w2;
        round(q1), round(q2);
        return 0.5 * (q2 * q1 - w2 * w1).squaredNorm();
      };
      predicted[late] += second_order(w1, w2, {.bits = 4});
      absmax[late] += damage([](Matrix<double>& w) { fake_quantize<double>(w, {.bits = 4}, w.rows()); });
      const StepRange one{.step = 0.02, .code_min = -1e6, .code_max = 1e6};
      fixed[late] += damage([&](Matrix<double>& w) { fake_quantize_static<double>(w, one, Rounding::nearest_even); });
    }
  }
  for (const int late : {0, 1}) CHECK_NEAR(absmax[late], predicted[late], 0.05, 0);
  const double trace = std::log(net.gn_trace(times[1]) / net.gn_trace(times[0]));
  CHECK_NEAR(std::log(fixed[1] / fixed[0]) / trace, 1, 0.05, 0);
  // With few modes learned the rows are less alike, and the early absmax lies further out: 2 is met from below.
  CHECK_NEAR(std::log(absmax[1] / absmax[0]) / trace, 2, 0.08, 0);
}

TEST_CASE(
    "linear net: PTQ damage is K0 ((1+nu1)(1+nu2) - 1) without a constant [64 inputs, 64 and 256 hidden, 3-6 bits]") {
  constexpr Index d = 64;
  for (const auto& [hidden, bits] : {std::pair{64, 3}, {64, 4}, {64, 6}, {256, 3}}) {
    std::vector<double> first, joint, interaction;
    for (std::uint32_t draw = 0; draw < 8; ++draw) {
      const Matrix<double> w1 = gaussian(hidden, d, 700 + draw), w2 = gaussian(d, hidden, 800 + draw);
      ParamLayout layout;
      layout.add("W1", 0, Role::matrix, hidden, d);
      layout.add("W2", 1, Role::matrix, d, hidden);
      const AlignedVector<double> theta = parameters(w1, w2);
      const auto q = quantize_weights(theta.data(), layout, {.bits = bits});
      const ConstMatView<double> q1(q.theta.data(), hidden, d), q2(q.theta.data() + hidden * d, d, hidden);
      const LinearNetDamage known = linear_net_damage(w1.squaredNorm(), w2.squaredNorm(), hidden,
                                                      q.blocks[0].mse * double(w1.size()) / w1.squaredNorm(),
                                                      q.blocks[1].mse * double(w2.size()) / w2.squaredNorm());
      const Matrix<double> product = w2 * w1;
      const auto rise = [&](const auto& b, const auto& a) { return 0.5 * (b * a - product).squaredNorm(); };
      const double alone = rise(w2, q1), both = rise(q2, q1);
      first.push_back(alone / known.first);
      joint.push_back(both / known.joint);
      interaction.push_back((both - alone - rise(q2, w1)) / (known.joint - known.first - known.second));
      CHECK(joint.back() > 0.9);
      CHECK(joint.back() < 1.12);
    }
    CAPTURE(hidden);
    CAPTURE(bits);
    // One percent for what nearest rounding correlates its errors with the weights.
    for (const MeanEstimate& ratio : {mean_with_error(first), mean_with_error(joint)}) {
      CHECK(ratio.standard_error < 0.025);
      CHECK_NEAR(ratio.mean, 1, 0.01, 4 * ratio.standard_error);
    }
    const MeanEstimate mean = mean_with_error(interaction);
    CHECK_NEAR(mean.mean, 1, 0, 5 * mean.standard_error);
  }
}

TEST_CASE("linear chain: Gauss-Newton's eigenvalue is L p^(2 - 2/L) [depth 1 to 5]") {
  for (int depth = 1; depth <= 5; ++depth) {
    const MlpOptions options{.widths = std::vector<Index>(size_t(depth) + 1, 1),
                             .activation = Activation::identity,
                             .loss = MlpLoss::squared_error,
                             .bias = false};
    const Mlp<double> model(options);
    const VectorBatch data{1, 1, 1, {1.0}, {}, {0.3}};
    const AlignedVector<double> theta(size_t(depth), 0.8);
    Linearization<Mlp<double>> linear(model, theta.data(), data, {});
    const DenseSpectrum ggn = dense_spectrum(linear.ggn(), {});
    CHECK_NEAR(ggn.values.tail(1)[0] / 2, chain_sharpness(depth, std::pow(0.8, depth)), 1e-12, 0);
  }
}

}  // namespace hone::theory

TEST_SUITE_END();
