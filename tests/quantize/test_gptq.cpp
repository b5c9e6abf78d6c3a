// GPTQ on matrices: the stored runs of the published code, the identities of its loss, its limits, and the inputs
// that make other implementations fail.
#include "sim/quantize/gptq.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/error.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"

namespace hone::test {
namespace {

/// Gram matrix of `tokens` inputs with strongly correlated channels.
Matrix<double> correlated_gram(Index cols, Index tokens, std::uint32_t number) {
  const Matrix<double> mix = gaussian(cols / 4 + 1, cols, number), x = gaussian(tokens, cols / 4 + 1, number + 1);
  const Matrix<double> inputs = x * mix + 0.3 * gaussian(tokens, cols, number + 2);
  return 2 / double(tokens) * inputs.transpose() * inputs;
}

double max_difference(const Matrix<double>& a, const Matrix<double>& b) { return (a - b).cwiseAbs().maxCoeff(); }

Matrix<double> rounded(Matrix<double> w, const Quantizer& q) {
  fake_quantize<double>(w, q, w.rows());
  return w;
}

Matrix<double> damped(Matrix<double> h, double damping) {
  h.diagonal().array() += damping * h.diagonal().mean();
  return h;
}

std::vector<GptqOptions> many_options() {
  std::vector<GptqOptions> all;
  for (const int bits : {2, 3, 4, 8})
    for (const Grid grid : {Grid::restricted, Grid::midrise, Grid::asymmetric, Grid::signed_absmax})
      for (const Index group : {Index(0), Index(1), Index(8), Index(13)})
        for (const bool act_order : {false, true}) {
          GptqOptions o{.quantizer = {.bits = bits, .grid = grid}, .act_order = act_order, .block_size = 16};
          if (group > 0) o.quantizer.granularity = Granularity::group, o.quantizer.group = group;
          o.static_groups = act_order && bits == 3;
          o.mse_scales = bits == 2 && group == 8;
          all.push_back(o);
        }
  return all;
}

GptqOptions stored_options(const nlohmann::json& params) {
  GptqOptions o;
  o.quantizer.bits = params["bits"].get<int>();
  o.quantizer.grid = params["sym"].get<bool>() ? Grid::midrise : Grid::asymmetric;
  if (const auto group = params["groupsize"].get<Index>(); group > 0)
    o.quantizer.granularity = Granularity::group, o.quantizer.group = group;
  if (!params["perchannel"].get<bool>()) o.quantizer.granularity = Granularity::tensor;
  o.act_order = params["actorder"].get<bool>();
  o.static_groups = params["static_groups"].get<bool>();
  o.mse_scales = params["mse"].get<bool>();
  o.block_size = params["blocksize"].get<Index>();
  o.damping = params["percdamp"].get<double>();
  o.stale_group_scales = !o.static_groups;
  return o;
}

TEST_CASE("gptq: weights, steps, zero points and losses equal the stored runs of the published code") {
  const Matrix<double> w = matrix_of(load_quant("inputs.json")["W"]);
  const nlohmann::json stored = load_quant("gptq_sample.json");
  const Matrix<double> h = matrix_of(stored["H"]);
  REQUIRE(stored["cases"].size() == 10);
  for (const auto& example : stored["cases"]) {
    CAPTURE(example["params"].dump());
    const GptqOptions options = stored_options(example["params"]);
    const GptqResult result = gptq(w, h, options);
    const Matrix<double> want = matrix_of(example["Q"]), d = result.q - w;
    CHECK((result.q - want).cwiseAbs().maxCoeff() <= 1e-9 * want.cwiseAbs().maxCoeff());
    CHECK_NEAR(result.loss, example["reported_error"].get<double>(), 1e-9, 0);
    CHECK_NEAR(gram_error(d, damped(h, options.damping)) / 2, example["half_tr_dHd_damped"].get<double>(), 1e-9, 0);
    CHECK_NEAR(gram_error(d, h) / 2, example["half_tr_dHd"].get<double>(), 1e-9, 0);
    for (Index r = 0; r < w.rows(); ++r)
      CHECK_NEAR(gram_error(d.row(r), h) / 2, example["row_half_dHd"][size_t(r)].get<double>(), 1e-9, 0);
    const Matrix<double> steps = matrix_of(example["group_scales"]), zeros = matrix_of(example["group_zeros"]);
    const bool is_symmetric = options.quantizer.grid == Grid::midrise;
    CHECK(relative_error(result.steps, steps.transpose()) <= 1e-12);
    if (!is_symmetric) CHECK(result.zero_points == zeros.transpose());
  }
}

TEST_CASE("gptq: the losses of the columns sum to half the damped output error") {
  const Matrix<double> w = gaussian(20, 40, 1), h = correlated_gram(40, 100, 2);
  for (const GptqOptions& options : many_options()) {
    const GptqResult result = gptq(w, h, options);
    const Matrix<double> d = result.q - w, hd = damped(h, options.damping);
    CHECK_NEAR(result.loss, gram_error(d, hd) / 2, 1e-9, 1e-15);
    for (Index r = 0; r < w.rows(); ++r)
      CHECK_NEAR(result.row_losses[size_t(r)], gram_error(d.row(r), hd) / 2, 1e-9, 1e-15);
    CHECK_FALSE(result.fell_back_to_rtn);
  }
}

TEST_CASE("gptq: without clipping each row stays below the bound of Babai's nearest plane") {
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    // One weight in a row of its own sets the step, so that no other row comes near the ends of the grid.
    Matrix<double> w = gaussian(32, 24, 10 + 4 * seed);
    w.row(0).setZero();
    w(0, 0) = 40;
    const Matrix<double> h = correlated_gram(24, 80, 11 + 4 * seed), hd = damped(h, 0.01);
    const GptqResult result = gptq(w, h, {.quantizer = {.bits = 8, .granularity = Granularity::tensor}});
    const Matrix<double> d = result.q - w;
    const double step = result.steps(0, 0), sum = inverse_factor(hd).diagonal().array().square().inverse().sum();
    REQUIRE(result.q.bottomRows(31).cwiseAbs().maxCoeff() < 126 * step);
    for (Index r = 1; r < w.rows(); ++r) CHECK(gram_error(d.row(r), hd) <= step * step / 4 * sum * (1 + 1e-12));
  }
}

TEST_CASE("gptq: the mean loss is that of uniform errors on the axes of the factor, below nearest rounding's") {
  const Matrix<double> h = correlated_gram(24, 80, 100), hd = damped(h, 0.01);
  const double axes = inverse_factor(hd).diagonal().array().square().inverse().sum();
  CHECK(axes < hd.trace());
  double found = 0, nearest = 0, step2 = 0;
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    const Matrix<double> w = gaussian(32, 24, 200 + seed);
    // Fine rounding with one step for all rows, so that nothing clips: the steps of 8 bits without the ends.
    const Quantizer q{.bits = 8, .granularity = Granularity::tensor};
    const GptqResult result = gptq(w, h, {.quantizer = q});
    found += gram_error(result.q - w, hd), nearest += gram_error(rounded(w, q) - w, hd);
    step2 += 32 * result.steps(0, 0) * result.steps(0, 0);
  }
  CHECK_NEAR(found, step2 / 12 * axes, 0.05, 0);
  CHECK_NEAR(nearest, step2 / 12 * hd.trace(), 0.1, 0);
}

TEST_CASE("gptq: a diagonal H gives rounding to nearest, bit for bit") {
  const Matrix<double> w = gaussian(20, 40, 3);
  Matrix<double> h = Matrix<double>::Zero(40, 40);
  h.diagonal() = normals(40, 4).array().square() + 0.01;
  for (GptqOptions options : many_options()) {
    options.mse_scales = false;
    if (options.act_order && !options.static_groups && options.quantizer.group > 1) continue;
    CHECK(gptq(w, h, options).q == rounded(w, options.quantizer));
    options.quantizer.rounding = Rounding::stochastic;
    CHECK(gptq(w, h, options).q == rounded(w, options.quantizer));
  }
}

TEST_CASE("gptq: unlimited damping gives rounding to nearest") {
  const Matrix<double> w = gaussian(20, 40, 5), h = correlated_gram(40, 100, 6);
  const Quantizer q{.bits = 3};
  CHECK(gptq(w, h, {.quantizer = q, .damping = 1e10}).q == rounded(w, q));
  CHECK(gptq(w, h, {.quantizer = q}).q != rounded(w, q));
}

TEST_CASE("gptq: the block size changes no weight while the steps are given, nor do the threads or the scale of H") {
  const Matrix<double> w = gaussian(70, 40, 7), h = correlated_gram(40, 100, 8);
  for (GptqOptions options : many_options()) {
    const GptqResult reference = gptq(w, h, options);
    // Steps of groups come from corrected weights, whose last bits depend on the order of the corrections.
    const bool is_given = options.quantizer.group == 0 || options.static_groups;
    for (const Index block : {Index(1), Index(7), Index(24), Index(128)}) {
      options.block_size = block;
      if (is_given) CHECK(max_difference(gptq(w, h, options).q, reference.q) == 0);
    }
    options.threads = 3, options.block_size = 16;
    const GptqResult threaded = gptq(w, h, options);
    CHECK(max_difference(threaded.q, reference.q) == 0);
    CHECK(threaded.row_losses == reference.row_losses);
    CHECK(max_difference(gptq(w, Matrix<double>(h * 1024), options).q, reference.q) == 0);
  }
}

TEST_CASE("gptq: with fresh group steps the block size changes nothing but last bits") {
  const Matrix<double> w = gaussian(70, 40, 7), h = correlated_gram(40, 100, 8);
  for (const Index group : {Index(5), Index(16)}) {
    GptqOptions options{.quantizer = {.bits = 4, .granularity = Granularity::group, .group = group}};
    const GptqResult reference = gptq(w, h, options);
    for (const Index block : {Index(1), Index(7), Index(24)}) {
      options.block_size = block;
      CHECK(max_difference(gptq(w, h, options).q, reference.q) <= 1e-12);
    }
  }
}

TEST_CASE("gptq: stale group steps depend on the block size and fresh ones give less error on average") {
  double fresh = 0, stale = 0;
  for (std::uint32_t seed = 0; seed < 10; ++seed) {
    const Matrix<double> w = gaussian(32, 64, 300 + 4 * seed), h = correlated_gram(64, 200, 301 + 4 * seed);
    GptqOptions options{.quantizer = {.bits = 3, .granularity = Granularity::group, .group = 8}};
    fresh += gptq(w, h, options).loss;
    options.stale_group_scales = true;
    const GptqResult result = gptq(w, h, options);
    stale += result.loss;
    options.block_size = 8;
    CHECK(gptq(w, h, options).q != result.q);
  }
  CHECK(fresh < stale);
}

TEST_CASE("gptq: in activation order a permutation of the inputs permutes the result, else it does not") {
  const Matrix<double> w = gaussian(20, 40, 9), h = correlated_gram(40, 100, 10);
  std::vector<int> order(40);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [](int a, int b) { return (a * 17) % 40 < (b * 17) % 40; });
  const Matrix<double> moved_w = w(Eigen::all, order), moved_h = h(order, order);
  for (const bool act_order : {true, false}) {
    const GptqOptions options{.quantizer = {.bits = 3}, .act_order = act_order};
    const Matrix<double> expected = gptq(w, h, options).q(Eigen::all, order);
    CHECK((gptq(moved_w, moved_h, options).q == expected) == act_order);
  }
}

TEST_CASE("gptq: equal diagonals keep their order, so that activation order changes nothing") {
  const Matrix<double> w = gaussian(20, 40, 11), h = correlated_gram(40, 100, 12);
  const Vector<double> scale = h.diagonal().array().rsqrt();
  Matrix<double> equal = scale.asDiagonal() * h * scale.asDiagonal();
  equal.diagonal().setOnes();
  CHECK(gptq(w, equal, {.quantizer = {.bits = 3}, .act_order = true}).q ==
        gptq(w, equal, {.quantizer = {.bits = 3}}).q);
}

TEST_CASE("gptq: on correlated inputs the error of a whole matrix is below nearest rounding's") {
  for (std::uint32_t seed = 0; seed < 20; ++seed)
    for (const int bits : {3, 4, 8}) {
      const Matrix<double> w = gaussian(32, 48, 400 + 4 * seed), h = correlated_gram(48, 200, 401 + 4 * seed);
      const Quantizer q{.bits = bits};
      CHECK(gram_error(gptq(w, h, {.quantizer = q}).q - w, h) < 0.8 * gram_error(rounded(w, q) - w, h));
    }
}

TEST_CASE("gptq: with fewer tokens than inputs the published damping suffices, and none is raised until it does") {
  const Matrix<double> w = gaussian(20, 40, 13), h = correlated_gram(40, 6, 14);
  const GptqResult published = gptq(w, h, {.quantizer = {.bits = 4}});
  CHECK(published.damping_retries == 0);
  CHECK(gram_error(published.q - w, h) < 0.5 * gram_error(rounded(w, {.bits = 4}) - w, h));
  const GptqResult undamped = gptq(w, h, {.quantizer = {.bits = 4}, .damping = 0});
  CHECK(undamped.damping_retries >= 1);
  CHECK(undamped.damping_used >= 1e-6);
  CHECK(undamped.damping_used <= 1e-3);
  CHECK_FALSE(undamped.fell_back_to_rtn);
  CHECK(undamped.q.allFinite());
  const GptqResult enough = gptq(w, correlated_gram(40, 400, 15), {.quantizer = {.bits = 4}, .damping = 0});
  CHECK(enough.damping_retries == 0);
  CHECK(enough.damping_used == 0);
}

TEST_CASE("gptq: an H without information or without a factor falls back to nearest rounding and says so") {
  const Matrix<double> w = gaussian(20, 40, 16);
  Matrix<double> indefinite = correlated_gram(40, 100, 17);
  indefinite(3, 3) = -1e4;
  const std::vector<Matrix<double>> cases{Matrix<double>::Zero(40, 40), indefinite};
  for (const Matrix<double>& h : cases)
    for (const bool act_order : {false, true}) {
      const Quantizer q{.bits = 3, .granularity = Granularity::group, .group = 16};
      const GptqResult result = gptq(w, h, {.quantizer = q, .act_order = act_order});
      CHECK(result.fell_back_to_rtn);
      CHECK(result.q == rounded(w, q));
      CHECK(result.dead_columns.empty());
      CHECK_NEAR(result.loss, gram_error(result.q - w, h) / 2, 1e-12, 0);
    }
}

TEST_CASE("gptq: dead inputs get weight 0 and leave the other columns as if they were not there") {
  const Matrix<double> w = gaussian(20, 40, 18);
  Matrix<double> h = correlated_gram(40, 100, 19), without = h;
  for (const Index dead : {Index(0), Index(17)}) h.row(dead).setZero(), h.col(dead).setZero();
  const GptqResult result = gptq(w, h, {.quantizer = {.bits = 4}, .damping = 0});
  CHECK(result.dead_columns == std::vector<Index>{0, 17});
  CHECK(result.q.col(0).norm() + result.q.col(17).norm() == 0);
  std::vector<int> live;
  for (int i = 0; i < 40; ++i)
    if (i != 0 && i != 17) live.push_back(i);
  Matrix<double> part = w(Eigen::all, live);
  // Row steps come from the weights as given, dead columns included: give the part the same extremes.
  const GptqResult alone = gptq(part, h(live, live), {.quantizer = {.bits = 4}, .damping = 0});
  Index compared = 0;
  for (Index r = 0; r < 20; ++r)
    if (alone.steps(r, 0) == result.steps(r, 0)) {
      ++compared;
      CHECK(Matrix<double>(result.q(Eigen::all, live)).row(r) == alone.q.row(r));
    }
  CHECK(compared >= 15);
}

TEST_CASE("gptq: all-zero rows stay zero, one-column groups and a ragged last group are allowed") {
  Matrix<double> w = gaussian(20, 41, 20);
  w.row(5).setZero();
  const Matrix<double> h = correlated_gram(41, 100, 21);
  for (const GptqOptions& options : many_options()) {
    const GptqResult result = gptq(w, h, options);
    CHECK(result.q.row(5).norm() == 0);
    CHECK(result.row_losses[5] == 0);
    const Index group = options.quantizer.group;
    REQUIRE(result.steps.cols() == (group > 0 ? (41 + group - 1) / group : 1));
    Index off_grid = 0;
    for (Index r = 0; r < w.rows(); ++r)
      for (Index c = 0; c < w.cols(); ++c) {
        const double step = result.steps(r, result.group_of_column[size_t(c)]);
        off_grid += !(result.q(r, c) == (step == 0 ? 0 : step * std::round(result.q(r, c) / step)));
      }
    CHECK(off_grid == 0);
  }
}

TEST_CASE("gptq: the search for steps never has a greater error of power 2.4 than the full range") {
  const Matrix<double> w = gaussian(40, 64, 22);
  const Matrix<double> h = Matrix<double>::Identity(64, 64);
  for (const Grid grid : {Grid::restricted, Grid::midrise, Grid::asymmetric}) {
    GptqOptions options{.quantizer = {.bits = 3, .grid = grid}};
    const GptqResult full = gptq(w, h, options);
    options.mse_scales = true;
    const GptqResult searched = gptq(w, h, options);
    const auto error = [&](const GptqResult& result, Index r) {
      return (result.q.row(r) - w.row(r)).array().abs().pow(2.4).sum();
    };
    Index shrunk = 0;
    for (Index r = 0; r < w.rows(); ++r) {
      CHECK(error(searched, r) <= error(full, r));
      CHECK(searched.steps(r, 0) >= 0.21 * full.steps(r, 0) * (1 - 1e-12));
      shrunk += searched.steps(r, 0) < full.steps(r, 0);
    }
    CHECK(shrunk > 20);
  }
}

TEST_CASE("gptq: non-finite inputs and unusable options are refused with their place and the fix") {
  const Matrix<double> w = gaussian(4, 8, 23), h = correlated_gram(8, 30, 24);
  Matrix<double> bad = h;
  bad(2, 5) = NAN;
  CHECK_THROWS_WITH_AS(gptq(w, bad, {.quantizer = {.bits = 4}}),
                       doctest::Contains("entry of H (2, 5) is nan; check the model"), ContractError);
  Matrix<double> bad_w = w;
  bad_w(1, 3) = INFINITY;
  CHECK_THROWS_WITH_AS(gptq(bad_w, h, {.quantizer = {.bits = 4}}), doctest::Contains("weight (1, 3) is inf"),
                       ContractError);
  CHECK_THROWS_AS(gptq(w, h.topRows(7), {.quantizer = {.bits = 4}}), ContractError);
  CHECK_THROWS_WITH_AS(gptq(w, h, {}), doctest::Contains("gptq.quantizer.bits = 16 quantizes nothing"), OptionError);
  CHECK_THROWS_AS(gptq(w, h, {.quantizer = {.bits = 4}, .damping = NAN}), OptionError);
  CHECK_THROWS_AS(gptq(w, h, {.quantizer = {.bits = 4}, .block_size = 0}), OptionError);
}

TEST_CASE("gptq: the inverse factor inverts, is upper, and is empty for a singular matrix") {
  const Matrix<double> h = correlated_gram(30, 100, 25), upper = inverse_factor(h);
  const Matrix<double> product = upper.transpose() * upper * h;
  CHECK(relative_error(product, Matrix<double>::Identity(30, 30)) <= 1e-9);
  CHECK(Matrix<double>(upper.triangularView<Eigen::StrictlyLower>()).norm() == 0);
  CHECK(inverse_factor(correlated_gram(30, 20, 26)).size() == 0);
}

}  // namespace
}  // namespace hone::test
