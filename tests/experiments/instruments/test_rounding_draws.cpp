// Draws of stochastic rounding: their error bar, and the option from a study and from the command line to the records.
#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "experiments/instruments/draws.hpp"
#include "experiments/study/build.hpp"
#include "sim/base/rng.hpp"
#include "sim/record/schema.hpp"
#include "tests/experiments/checkpoint.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/near.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

using experiments::change_over_draws;

constexpr size_t windows = 12, draws = 6;

/// Losses with an effect of the window, one of the draw and one of both, above a reference with the window's alone.
std::vector<std::vector<double>> drawn_losses(std::uint32_t world, const std::vector<double>& reference) {
  std::vector<std::vector<double>> losses;
  for (size_t d = 0; d < draws; ++d) {
    losses.emplace_back();
    for (size_t w = 0; w < windows; ++w)
      losses.back().push_back(reference[w] + 1 + 0.5 * normal({1, Domain::test, world}, d) +
                              0.3 * normal({2, Domain::test, world}, w) +
                              0.2 * normal({3, Domain::test, world}, d * windows + w));
  }
  return losses;
}

TEST_CASE("change_over_draws: one draw has the bits of a paired difference") {
  const std::vector<double> reference = {1, 2, 4, 8}, losses = {1.1, 2.3, 4.2, 8.7};
  const MeanEstimate one = change_over_draws({losses}, reference), pairs = paired_difference(losses, reference);
  CHECK(one.mean == pairs.mean);
  CHECK(one.standard_error == pairs.standard_error);
}

TEST_CASE("change_over_draws: the error bar holds the spread of windows and of draws, and little more") {
  std::vector<double> means, squares;
  const std::vector<double> reference(windows, 3.0);
  for (std::uint32_t world = 0; world < 4000; ++world) {
    const MeanEstimate change = change_over_draws(drawn_losses(world, reference), reference);
    means.push_back(change.mean);
    squares.push_back(change.standard_error * change.standard_error);
  }
  const MeanEstimate mean = mean_with_error(means), square = mean_with_error(squares);
  CHECK(std::abs(mean.mean - 1) < 5 * mean.standard_error);
  const double variance = mean.standard_error * mean.standard_error * double(means.size());
  const double both = 0.2 * 0.2 / double(windows * draws);  // counted once too often
  CHECK_NEAR(variance, 0.5 * 0.5 / double(draws) + 0.3 * 0.3 / double(windows) + both, 0.1, 0);
  CHECK(std::abs(square.mean - (0.5 * 0.5 / double(draws) + 0.3 * 0.3 / double(windows) + 2 * both)) <
        5 * square.standard_error);
}

std::string with_draws(const std::string& more) {
  std::string text = replaced(tiny_text(), "bits = [3, 4]", "bits = [5, 7]\n" + more);
  text = replaced(text, "trace_probes = 2", "trace_probes = 64\ndense_max = 2000");
  return replaced(text, "evaluation_windows = 8\ncurvature_windows = 4",
                  "evaluation_windows = 64\ncurvature_windows = 64");
}

RunFile run_of(const Workplace& place, const std::vector<std::string>& how = alone) {
  const Said said = place.says("run", how);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  return place.read(0);
}

TEST_CASE("ptq: draws measure the damage that the variance of stochastic rounding predicts, twice that to nearest") {
  constexpr const schema::Ptq& f = schema::ptq;
  const Workplace place(with_draws("rounding = \"stochastic\"\ndraws = 64\n"));
  const Dataset drawn = run_of(place).group(f.group);
  const Dataset nearest = run_of(Workplace(with_draws(""))).group(f.group);
  const auto& delta = values_of(drawn, f.delta_nats);
  REQUIRE(delta.size() == 4);
  for (size_t i = 0; i < delta.size(); ++i) {
    const double predicted = values_of(drawn, f.predicted_nats)[i];
    // Same windows: what differs are 64 draws and the probes of the trace.
    const double error = std::hypot(values_of(drawn, f.delta_se_nats)[i], values_of(drawn, f.predicted_se_nats)[i]);
    CHECK(std::abs(delta[i] - predicted) < 5 * error);
    CHECK(values_of(drawn, f.mean_step2)[i] == values_of(nearest, f.mean_step2)[i]);
    CHECK_NEAR(values_of(drawn, f.mse)[i], values_of(drawn, f.mean_step2)[i] / 6, 0.25, 0);
    CHECK_NEAR(predicted, 2 * values_of(nearest, f.predicted_nats)[i], 0.4, 0);
    CHECK_NEAR(values_of(drawn, f.quadratic_nats)[i], predicted, 0.4, 0);
    CHECK(values_of(drawn, f.remainder_se_nats)[i] < values_of(drawn, f.delta_se_nats)[i]);
  }
}

TEST_CASE("ptq: draws have the same bits on any number of threads, and numbers of their own") {
  const std::string text = with_draws("rounding = \"stochastic\"\ndraws = 4\n");
  const Workplace place(text), threads(text);
  const RunFile one = run_of(place), three = run_of(threads, {"--jobs", "1", "--threads", "3"});
  CHECK(one.group("ptq") == three.group("ptq"));
  std::set<std::uint64_t> streams;
  for (const int bits : {3, 4})
    for (const std::uint64_t seed : {1, 2})
      for (const std::int64_t step : {0, 1, 4096})
        for (const std::int64_t number : {0, 1, 7}) {
          const Quantizer q = experiments::weight_draw({.rounding = "stochastic"}, bits, {seed, step, number});
          CHECK(q.rounding == Rounding::stochastic);
          streams.insert(q.seed);
        }
  CHECK(streams.size() == 36);
}

TEST_CASE("weight_quantizer: ties go to the even code as they always did, or with half_away to the larger magnitude") {
  const auto rounded = [](const experiments::QuantizeSpec& spec) {
    Matrix<float> w(1, 7);
    w << 7, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 1.25f;  // at 4 bits the step is 1
    fake_quantize<float>(w, experiments::weight_quantizer(spec, 4), 1);
    return std::vector<float>(w.data(), w.data() + w.size());
  };
  CHECK(rounded({}) == std::vector<float>{7, 0, 2, 2, 0, -2, 1});
  CHECK(rounded({.rounding = "half_away"}) == std::vector<float>{7, 1, 2, 3, -1, -2, 1});
}

TEST_CASE("read_study: nearest_even and one draw are today's run, draws that mean nothing are refused by name") {
  const auto said = [](const std::string& more) { return Workplace(with_draws(more)).says("plan").err; };
  CHECK(Workplace(with_draws("rounding = \"nearest_even\"\ndraws = 1\n")).runs()[0].id() ==
        Workplace(with_draws("")).runs()[0].id());
  CHECK(said("rounding = \"stochastic\"\ndraws = 4\n").empty());
  CHECK(said("rounding = \"half_away\"\n").empty());
  const auto refused = [&](const std::string& more, const char* part) {
    const std::string message = said(more);
    CHECK_MESSAGE(mentions(message, part), message);
  };
  refused("rounding = \"stochastc\"\n", "did you mean \"stochastic\"?");
  refused("rounding = \"stochastic\"\n", "quantize.draws = 1 with quantize.rounding = stochastic");
  refused("draws = 8\n", "quantize.draws = 8 with quantize.rounding = nearest_even, whose draws would all be the same");
  refused("rounding = \"stochastic\"\ndraws = 4\nfactorial_w = [4]\n", "with quantize.factorial_w = [4]");
  refused("rounding = \"stochastic\"\ndraws = 4\nschemes = [\"gptq\"]\n", "with the scheme \"gptq\"");
  const std::string trained =
      replaced(with_draws("rounding = \"stochastic\"\ndraws = 4\n"), "lr = 3e-3", "lr = 3e-3\ntrain_weight_bits = 4");
  CHECK(mentions(Workplace(trained).says("plan").err, "train_weight_bits = 4, which takes one draw for all"));
}

TEST_CASE("quantize, measure: --rounding stochastic takes means over --draws, and says which schemes draw") {
  const Checkpoint checkpoint;
  const auto quantize = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = {"quantize",
                                    checkpoint.path(),
                                    "--text",
                                    checkpoint.file("text.txt").string(),
                                    "--out",
                                    checkpoint.out().string(),
                                    "--windows",
                                    "12",
                                    "--curvature-windows",
                                    "4",
                                    "--calibration-windows",
                                    "4",
                                    "--bits",
                                    "4",
                                    "--schemes"};
    all.insert(all.end(), more.begin(), more.end());
    return hone_says(all);
  };
  CHECK(mentions(quantize({"gptq", "--rounding", "stochastic", "--draws", "4"}).err,
                 "--rounding = stochastic with the scheme \"gptq\""));
  CHECK(mentions(quantize({"rtn", "--draws", "4"}).err, "--draws = 4 with --rounding = nearest_even"));
  CHECK(!fs::exists(checkpoint.out()));
  const auto quadratic = [&](const std::vector<std::string>& more) {
    REQUIRE(quantize(more).code == 0);
    const double value = read_run_file(checkpoint.out()).group("schemes").doubles("quadratic_nats")[0];
    fs::remove(checkpoint.out());
    return value;
  };
  const double nearest = quadratic({"rtn"}), drawn = quadratic({"rtn", "--rounding", "stochastic", "--draws", "8"});
  CHECK(drawn != quadratic({"rtn", "--rounding", "stochastic", "--draws", "16"}));
  CHECK_NEAR(drawn, 2 * nearest, 0.8, 0);
  const Said measured = hone_says({"measure", checkpoint.path(), "--text", checkpoint.file("text.txt").string(),
                                   "--out", checkpoint.out().string(), "--draws", "3"});
  CHECK(mentions(measured.err, "--draws = 3 with --rounding = nearest_even"));
}

}  // namespace
}  // namespace hone::test

TEST_SUITE_END();
