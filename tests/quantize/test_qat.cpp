// Training at low precision: what the objective computes, against quantizers and passes called by hand.
#include "sim/quantize/qat.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "sim/base/error.hpp"
#include "sim/quantize/weights.hpp"
#include "sim/train/checkpoint.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

template <class S>
AlignedVector<S> aligned(const Vector<double>& values) {
  const Vector<S> narrow = values.cast<S>();
  return {narrow.data(), narrow.data() + narrow.size()};
}

template <class S>
bool same_bits(const AlignedVector<S>& a, const S* b) {
  return std::memcmp(a.data(), b, a.size() * sizeof(S)) == 0;
}

QatOptions bits_of(int w, int a, int kv) {
  QatOptions options;
  options.precision.weight.bits = w;
  options.precision.activation.bits = a;
  options.precision.key.bits = options.precision.value.bits = kv;
  return options;
}

QatOptions learned(int bits, Granularity granularity = Granularity::row) {
  QatOptions options = bits_of(bits, 16, 16);
  options.precision.weight.granularity = granularity;
  options.learned_steps = true;
  return options;
}

/// A random transformer with data, and the gradient of an objective over them.
template <class S>
struct Setting {
  explicit Setting(const TransformerOptions& options = tiny_llama())
      : model(options), theta(aligned<S>(random_parameters(model.layout(), 1))), data(random_tokens(options, 23, 2)) {}

  AlignedVector<S> gradient(const QatOptions& options, double* loss = nullptr, int threads = 1) const {
    QatObjective<Transformer<S>> objective(model, {10, threads}, options);
    const AlignedVector<S> latent = objective.weights().with_steps(theta.data());
    AlignedVector<S> gradient(latent.size(), S(7));
    const double value = objective.gradient(latent.data(), data, gradient.data());
    if (loss) *loss = value;
    return gradient;
  }
  AlignedVector<S> block(const AlignedVector<S>& values, const char* name) const {
    const ParamBlock& b = model.layout().at(name);
    return {values.begin() + b.offset, values.begin() + b.offset + b.size()};
  }

  Transformer<S> model;
  AlignedVector<S> theta;
  TokenBatch data;
};

TEST_CASE("qat: weights and losses of the forward pass have the bits of quantization after training") {
  const Setting<float> s;
  std::vector<QatOptions> cases = {bits_of(4, 16, 16), bits_of(3, 4, 3), bits_of(16, 4, 16),      bits_of(2, 16, 2),
                                   bitnet_options(),   binary_options(), llm_qat_options(4, 8, 4)};
  cases.push_back(bits_of(4, 8, 16));
  cases.back().precision.weight.granularity = Granularity::group;
  cases.back().precision.weight.group = 5;
  cases.push_back(bits_of(4, 16, 16));
  cases.back().precision.weight.rounding = Rounding::stochastic;
  for (const QatOptions& options : cases) {
    CAPTURE(name_of(options.precision.weight.format));
    CAPTURE(options.precision.weight.bits);
    const auto after = quantize_weights(s.theta.data(), s.model.layout(), options.precision.weight);
    QatObjective<Transformer<float>> objective(s.model, {10, 2}, options);
    CHECK(same_bits(after.theta, objective.weights().quantize(s.theta.data())));
    Objective<Transformer<float>> plain(s.model, {10, 1});
    const auto expected = plain.example_losses(after.theta.data(), s.data, options.precision);
    CHECK(objective.example_losses(s.theta.data(), s.data) == expected);
    CHECK(objective.value(s.theta.data(), s.data) == plain.value(after.theta.data(), s.data, options.precision));
  }
}

TEST_CASE("qat: with the identity estimator the gradient is that of the plain pass at rounded weights, bit for bit") {
  const Setting<float> s;
  const QatOptions options = bits_of(3, 4, 4);
  double loss = 0;
  const AlignedVector<float> found = s.gradient(options, &loss);
  const auto rounded = quantize_weights(s.theta.data(), s.model.layout(), options.precision.weight).theta;
  Objective<Transformer<float>> plain(s.model, {10, 1});
  AlignedVector<float> expected(found.size());
  CHECK(plain.gradient(rounded.data(), s.data, expected.data(), options.precision) == loss);
  CHECK(same_bits(expected, found.data()));
}

TEST_CASE("qat: weights, activations and keys with values act independently of each other") {
  const Setting<float> s;
  const auto loss = [&](int w, int a, int kv) {
    double value = 0;
    s.gradient(bits_of(w, a, kv), &value);
    return value;
  };
  const double full = loss(16, 16, 16);
  AlignedVector<float> gradient(s.theta.size());  // value() sums by example and may round otherwise
  CHECK(full == Objective<Transformer<float>>(s.model, {10, 1}).gradient(s.theta.data(), s.data, gradient.data()));
  std::vector<double> values = {full, loss(3, 16, 16), loss(16, 3, 16), loss(16, 16, 3), loss(3, 3, 16), loss(3, 3, 3)};
  std::sort(values.begin(), values.end());
  CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
}

TEST_CASE("qat: no bit of a gradient depends on the threads [identity, masks, learned steps]") {
  const Setting<float> s;
  for (const QatOptions& options : {bits_of(3, 4, 4), llm_qat_options(4, 4, 4), learned(3)}) {
    const AlignedVector<float> one = s.gradient(options);
    for (int threads : {2, 3}) CHECK(same_bits(one, s.gradient(options, nullptr, threads).data()));
  }
}

TEST_CASE("qat: the estimator of the weights masks their gradient alone") {
  Setting<double> s;
  for (double& w : s.theta) w *= 3;
  for (const SteKind kind : {SteKind::clipped, SteKind::llm_qat}) {
    QatOptions options = bits_of(4, 16, 16);
    options.precision.weight.rule = ScaleRule::clip;
    options.precision.weight.rule_value = 0.6;
    const AlignedVector<double> plain = s.gradient(options);
    options.weight_ste = kind;
    const AlignedVector<double> masked = s.gradient(options);
    Index zeroed = 0;
    for (const ParamBlock& block : s.model.layout().blocks()) {
      Matrix<double> expected = view(plain.data(), block);
      if (block.is_quantizable())
        apply_ste_mask<double>(expected, view(s.theta.data(), block), options.precision.weight, kind, block.rows);
      CHECK(expected == Matrix<double>(view(masked.data(), block)));
      zeroed += (expected.array() == 0).count() - (view(plain.data(), block).array() == 0).count();
    }
    CHECK(zeroed > 20);
  }
}

/// One site of a layer: blocks scaled so that every value there is above 2, what reads the site scaled back, and whose
/// gradient must vanish under the llm_qat mask while that of others stays.
struct Site {
  const char* what;
  QatOptions options;
  std::vector<const char*> grown, shrunk, cut, kept;
};

TEST_CASE("qat: masks of activations, keys and values stop the gradient at their own site") {
  const QatOptions inputs = bits_of(16, 8, 16);
  QatOptions keys = bits_of(16, 16, 8), values = keys;
  keys.precision.value.bits = values.precision.key.bits = 16;
  const std::vector<Site> sites = {
      {"norm1", inputs, {"attn_norm.weight"}, {"wq", "wk", "wv"}, {"attn_norm.weight"}, {"wq", "wk", "wv"}},
      {"key", keys, {"wk"}, {"wq"}, {"wk"}, {"wq", "wv"}},
      {"value", values, {"wv"}, {"wo"}, {"wv"}, {"wq", "wk", "wo"}},
      {"o", inputs, {"wv"}, {"wo"}, {"wv", "wq", "wk"}, {"wo"}},
      {"norm2", inputs, {"mlp_norm.weight"}, {"w_gate", "w_up"}, {"mlp_norm.weight"}, {"w_gate", "w_up"}},
      {"act", inputs, {"w_up"}, {"w_down"}, {"w_up", "w_gate"}, {"w_down"}}};
  for (const bool sub_norms : {false, true})
    for (const Site& site : sites) {
      CAPTURE(site.what);
      TransformerOptions architecture = tiny_llama();
      architecture.layers = 1;
      architecture.sub_norms = sub_norms;
      Setting<double> s(architecture);
      const auto scale = [&](const char* name, double factor) {
        view(s.theta.data(), s.model.layout().at(fmt::format("layers.0.{}", name))) *= factor;
      };
      const bool reads_norm = sub_norms && (std::strcmp(site.what, "o") == 0 || std::strcmp(site.what, "act") == 0);
      const char* norm = std::strcmp(site.what, "o") == 0 ? "wo_norm.weight" : "down_norm.weight";
      if (reads_norm)
        scale(norm, 1e8);
      else
        for (const char* name : site.grown) scale(name, 1e8);
      for (const char* name : site.shrunk) scale(name, 1e-8);
      QatOptions options = site.options;
      const AlignedVector<double> through = s.gradient(options);
      options.precision.ste = SteKind::llm_qat;
      const AlignedVector<double> masked = s.gradient(options);
      const auto is_zero = [&](const AlignedVector<double>& gradient, const char* name) {
        return view(gradient.data(), s.model.layout().at(fmt::format("layers.0.{}", name))).isZero(0);
      };
      for (const char* name : site.cut) {
        CAPTURE(name);
        CHECK(is_zero(masked, name));
        CHECK(!is_zero(through, name));
      }
      for (const char* name : site.kept) CHECK(!is_zero(masked, name));
    }
}

TEST_CASE("qat: masks of a perceptron are those of its layers by hand") {
  const Mlp<double> model({.widths = {4, 6, 3}, .loss = MlpLoss::squared_error});
  const VectorBatch data = random_vectors(9, 4, 3, 5);
  AlignedVector<double> theta = aligned<double>(4 * random_parameters(model.layout(), 6));
  QatOptions options = bits_of(16, 4, 16);
  options.precision.activation.rule = ScaleRule::clip;
  options.precision.activation.rule_value = 0.5;
  options.precision.ste = SteKind::clipped;
  QatObjective<Mlp<double>> objective(model, {4, 1}, options);
  AlignedVector<double> gradient(theta.size());
  objective.gradient(theta.data(), data, gradient.data());

  auto acts = model.make_acts(9);
  model.forward(theta.data(), data, 0, acts, options.precision);
  const Matrix<double> hidden = acts.z[0].view().array().tanh();
  Matrix<double> mask = Matrix<double>::Ones(9, 6);
  apply_ste_mask<double>(mask, hidden, options.precision.activation, SteKind::clipped, 1);
  CHECK((mask.array() == 0).count() > 5);
  const Matrix<double> dz = (acts.logits.view() - acts.wanted.view()) * (2.0 / 3 / 9);
  const Matrix<double> through = dz * view(static_cast<const double*>(theta.data()), model.layout().at("W2"));
  const Matrix<double> slope = 1 - hidden.array().square();
  const Matrix<double> expected =
      (through.array() * mask.array() * slope.array()).matrix().transpose() * acts.in[0].view();
  CHECK(relative_error(Matrix<double>(view(gradient.data(), model.layout().at("W1"))), expected) <= 1e-12);
}

TEST_CASE("qat: learned steps start at 2 mean|w|/√Q and stand behind the model, without weight decay") {
  const Setting<double> s;
  for (const Granularity granularity : {Granularity::row, Granularity::tensor}) {
    QatWeights<double> weights(s.model.layout(), learned(3, granularity), 1);
    const AlignedVector<double> latent = weights.with_steps(s.theta.data());
    CHECK(same_bits(s.theta, latent.data()));
    const ParamBlock &w = s.model.layout().at("layers.1.w_up"), &steps = weights.layout().at("layers.1.w_up.log_step");
    CHECK(steps.offset >= s.model.layout().size());
    CHECK(!steps.is_decayed());
    CHECK(!steps.is_quantizable());
    REQUIRE(steps.size() == (granularity == Granularity::row ? w.rows : 1));
    const auto first = view(s.theta.data(), w).topRows(granularity == Granularity::row ? 1 : w.rows);
    const double step = std::exp(latent[size_t(steps.offset)]);
    CHECK_NEAR(step, 2 * first.cwiseAbs().mean() / std::sqrt(3.0), 1e-12, 0);
    const double* rounded = weights.quantize(latent.data());
    for (Index c = 0; c < w.cols; ++c) {
      const double code = rounded[w.offset + c] / step;
      CHECK_NEAR(code, std::clamp(std::nearbyint(s.theta[size_t(w.offset + c)] / step), -4.0, 3.0), 0, 1e-12);
    }
  }
}

TEST_CASE("qat: the gradient of learned steps is that of LSQ times the step") {
  const Setting<double> s;
  const QatOptions options = learned(3);
  QatWeights<double> weights(s.model.layout(), options, 1);
  const AlignedVector<double> latent = weights.with_steps(s.theta.data());
  const AlignedVector<double> found = s.gradient(options);
  AlignedVector<double> plain(s.theta.size());
  Objective<Transformer<double>>(s.model, {10, 1}).gradient(weights.quantize(latent.data()), s.data, plain.data());
  const ParamBlock &w = s.model.layout().at("layers.0.wv"), &steps = weights.layout().at("layers.0.wv.log_step");
  Index clipped = 0;
  for (Index r = 0; r < w.rows; ++r) {
    const double step = std::exp(latent[size_t(steps.offset + r)]);
    Matrix<double> dw = view(plain.data(), w).row(r);
    const Matrix<double> row = view(s.theta.data(), w).row(r);
    const double ds = learned_step_backward<double>(dw, row, step, 3);
    CHECK_NEAR(found[size_t(steps.offset + r)], step * ds, 1e-12, 0);
    CHECK(dw == Matrix<double>(view(found.data(), w).row(r)));
    clipped += (dw.array() == 0).count();
  }
  CHECK(clipped > 0);
}

TEST_CASE("qat: learned steps stay positive and finite whatever the optimizer does to them") {
  const Setting<float> s;
  QatWeights<float> weights(s.model.layout(), learned(4), 1);
  for (const float log_step : {-3e4F, 3e4F}) {
    AlignedVector<float> latent = weights.with_steps(s.theta.data());
    std::fill(latent.begin() + s.model.layout().size(), latent.end(), log_step);
    const float* rounded = weights.quantize(latent.data());
    CHECK(ConstVecView<float>(rounded, s.model.layout().size()).allFinite());
  }
}

TEST_CASE("qat: weights train through scales that are stored in few bits") {
  const Setting<float> s;
  for (const ScaleKind kind : {ScaleKind::fp16, ScaleKind::fp16_stored, ScaleKind::double_quantized}) {
    QatOptions options = bits_of(4, 16, 16);
    options.precision.weight.granularity = Granularity::group, options.precision.weight.group = 4;
    options.precision.weight.scale = kind;
    QatWeights<float> weights(s.model.layout(), options, 1);
    const auto expected = quantize_weights(s.theta.data(), s.model.layout(), options.precision.weight).theta;
    CHECK(same_bits(expected, weights.quantize(s.theta.data())));
    double loss = 0;
    const AlignedVector<float> gradient = s.gradient(options, &loss);
    Objective<Transformer<float>> plain(s.model, {10, 1});
    AlignedVector<float> at_rounded(gradient.size());
    CHECK(loss == plain.gradient(expected.data(), s.data, at_rounded.data()));
    CHECK(same_bits(gradient, at_rounded.data()));  // the identity estimator
    options = learned(4);
    options.precision.weight.scale = kind;
    CHECK_THROWS_WITH_AS(QatWeights<float>(s.model.layout(), options, 1), doctest::Contains("train.weight.scale"),
                         OptionError);
  }
}

TEST_CASE("qat: binary weights are the sign times the mean of |w| of their row, and no other such scale is nearer") {
  const Setting<double> s;
  QatWeights<double> weights(s.model.layout(), binary_options(), 1);
  const double* seen = weights.quantize(s.theta.data());
  for (const ParamBlock& b : s.model.layout().blocks()) {
    if (!b.is_quantizable()) continue;
    const auto w = view(s.theta.data(), b), q = view(seen, b);
    for (Index row = 0; row < b.rows; ++row) {
      const double scale = w.row(row).array().abs().mean();
      double error = 0, nearby = 0;
      for (Index col = 0; col < b.cols; ++col) {
        const double sign = w(row, col) < 0 ? -1 : 1;
        CHECK_NEAR(q(row, col), sign * scale, 1e-12, 0);
        error += std::pow(q(row, col) - w(row, col), 2), nearby += std::pow(1.01 * sign * scale - w(row, col), 2);
      }
      CHECK(error < nearby);
    }
  }
  AlignedVector<double> gradient(s.theta.size(), 1.0);
  const AlignedVector<double> before = gradient;
  weights.backward(s.theta.data(), gradient.data());
  CHECK(gradient == before);  // straight through
}

TEST_CASE("qat: wrong options are named with the fix") {
  const ParamLayout layout = tiny_llama().layout();
  const auto refused = [&](const QatOptions& options) {
    CHECK_THROWS_AS(QatWeights<float>(layout, options, 1), OptionError);
  };
  refused(bits_of(1, 16, 16));
  refused(learned(16));
  refused(learned(4, Granularity::column));
  QatOptions options = learned(4);
  options.precision.weight.format = Format::nf4;
  refused(options);
  options = bits_of(16, 8, 16);
  options.precision.activation.outlier_threshold = 6, options.precision.ste = SteKind::clipped;
  refused(options);
  CHECK_NOTHROW(QatWeights<float>(layout, bitnet_options(), 1));
}

}  // namespace
}  // namespace hone::test
