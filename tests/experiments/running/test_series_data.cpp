// Checkpoints that another program trained, when HONE_SERIES names the folder that experiments/studies/series.toml asks
// for, with series_oracle.json beside it: losses, ladders, second order and traces in float64 by that program.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "sim/record/schema.hpp"
#include "tests/experiments/program.hpp"

namespace fs = std::filesystem;

TEST_SUITE_BEGIN("series");

namespace hone::test {
namespace {

/// The first and the last checkpoint of the smaller size, with little besides what the oracle holds.
std::string two_checkpoints() {
  std::string text = read_text(HONE_SOURCE_DIR "/experiments/studies/series.toml");
  const size_t second = text.find("[[models]]\nname = \"h64\""), end = text.find("[train]");
  REQUIRE(second < end);
  text.erase(second, end - second);
  text = replaced(text, "tokens_per_step = 2048\n", "tokens_per_step = 2048\nsteps = [32, 1424]\n");
  text = replaced(text, "lanczos_steps = 60", "lanczos_steps = 12\ncompleteness_steps = 0");
  return replaced(
      text, "bits = [3, 4, 5, 6, 8]\nfactorial_w = [3, 4, 6, 16]\nfactorial_a = [3, 4, 6, 16]\nfactorial_kv = [4]",
      "bits = [3, 4, 6, 8]");
}

}  // namespace

TEST_CASE("series: loss, ladders, second order and traces are those of the program that trained it [HONE_SERIES]") {
  const char* folder = std::getenv("HONE_SERIES");
  if (!folder) {
    MESSAGE("skipped: set HONE_SERIES to a folder with h32, oracle_windows.txt and series_oracle.json");
    return;
  }
  const Workplace place(two_checkpoints());
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const RunFile file = place.read(0);
  const Dataset &points = file.group("checkpoints"), &ptq = file.group("ptq"), &curvature = file.group("curvature");
  REQUIRE(values_of(points, schema::checkpoints.tokens) == std::vector<std::int64_t>{65536, 2916352});
  const auto all = nlohmann::json::parse(read_text(fs::path(folder) / "series_oracle.json")).at("checkpoints");
  for (size_t i = 0; i < 2; ++i) {
    const char* name = i == 0 ? "h32/step00032" : "h32/step01424";
    const auto oracle = *std::find_if(all.begin(), all.end(), [&](const auto& c) { return c.at("dir") == name; });
    const auto number = [&](const char* field) { return oracle.at(field).template get<double>(); };
    CAPTURE(name);
    CHECK(std::abs(values_of(points, schema::checkpoints.loss_nats)[i] - number("loss_f64")) < 1e-9);
    CHECK(std::abs(values_of(points, schema::checkpoints.weight_norm2)[i] / number("weight_norm_sq_block") - 1) < 1e-9);
    CHECK(
        std::abs(std::pow(values_of(curvature, schema::curvature.gradient_norm)[i], 2) / number("grad_norm_sq_block") -
                 1) < 1e-8);
    const double trace = values_of(curvature, schema::curvature.trace)[i],
                 se = std::hypot(values_of(curvature, schema::curvature.trace_se)[i], number("hessian_trace_se"));
    CHECK(std::abs(trace - number("hessian_trace")) < 4 * se);
    const auto& bits = values_of(ptq, schema::ptq.bits);
    for (size_t b = 0; b < bits.size(); ++b) {
      const std::string width = fmt::format("{}", bits[b]);
      const auto second = oracle.at("second_order").at(width);
      const size_t at = i * bits.size() + b;
      CAPTURE(width);
      CHECK(std::abs(values_of(ptq, schema::ptq.delta_nats)[at] - oracle.at("rtn_delta").at(width).get<double>()) <
            1e-7);
      CHECK(std::abs(values_of(ptq, schema::ptq.gradient_nats)[at] - second.at("g_dot_d").get<double>()) < 1e-7);
      CHECK(std::abs(values_of(ptq, schema::ptq.quadratic_nats)[at] - second.at("half_dHd").get<double>()) < 1e-7);
    }
  }
}

TEST_SUITE_END();

}  // namespace hone::test
