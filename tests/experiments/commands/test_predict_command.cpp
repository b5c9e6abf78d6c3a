#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/base/atomic_file.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/near.hpp"

TEST_SUITE_BEGIN("studies");

namespace hone {
namespace {

using test::mentions;
using test::quick;
using test::Said;
using test::Workplace;
using Json = nlohmann::json;

/// The last trunk checkpoint of the first run of the quick study.
size_t last_trunk(const RunFile& run) {
  const auto& variants = run.group("checkpoints").strings("variant");
  size_t last = 0;
  for (size_t i = 0; i < variants.size(); ++i)
    if (variants[i] == "trunk") last = i;
  return last;
}

Json prediction(const std::vector<std::string>& more, Said& said) {
  const Workplace place(test::tiny_text());
  const std::filesystem::path out = place.path("prediction.json");
  std::vector<std::string> words = {"predict", "--out", out.string()};
  words.insert(words.end(), more.begin(), more.end());
  said = test::hone_says(words);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  return Json::parse(read_text(out));
}

}  // namespace

TEST_CASE("predict: a study's folder gives both routes, and the recorded prediction comes out unchanged") {
  Said said;
  const Json all = prediction({quick().out().string(), "--max-rise", "0.02"}, said);
  CHECK(mentions(said.out, "(a) CURVATURE"));
  CHECK(mentions(said.out, "(b) LAW"));
  CHECK(said.err == "");
  const RunFile run = quick().read(0);
  const size_t at = last_trunk(run);
  const Json& curvature = all.at("curvature");
  CHECK(curvature.at("run") == std::get<std::string>(run.group("manifest").attribute("run_id")));
  CHECK(curvature.at("D") == double(run.group("checkpoints").ints("tokens")[at]));
  const auto& bits = run.group("ptq").ints("bits");
  const auto& predicted = run.group("ptq").doubles("predicted_nats");
  const auto& gradient = run.group("ptq").doubles("gradient_nats");
  int measured = 0;
  double fewest = NAN;
  for (const Json& step : curvature.at("ladder")) {
    for (size_t k = 0; k < bits.size(); ++k) {
      if (double(bits[k]) != step.at("bits") || step.at("is_rescaled")) continue;
      ++measured;
      CHECK(step.at("second_order_nats") == predicted[at * bits.size() + k]);
      CHECK_NEAR(step.at("rise_nats").at("estimate").get<double>(),
                 predicted[at * bits.size() + k] + gradient[at * bits.size() + k], 1e-12, 0);
    }
    if (std::isnan(fewest) && step.at("rise_nats").at("estimate").get<double>() <= 0.02) fewest = step.at("bits");
  }
  CHECK(measured == int(bits.size()));
  CHECK(curvature.at("ladder").size() == 7);
  CHECK(curvature.at("fewest_bits").at("estimate") == fewest);
  CHECK((all.at("law").contains("ladder") || all.at("law").contains("problem")));
  CHECK(all.at("asked").at("rise_max_nats") == 0.02);
}

TEST_CASE("predict: what is asked beyond the runs is answered with a warning and its factor") {
  Said said;
  const Json all = prediction({quick().out().string(), "--tokens", "4096000", "--bits", "3", "4"}, said);
  CHECK(all.at("asked").at("D") == 4096000);
  CHECK(mentions(said.out, "not what was asked"));
  if (all.at("law").contains("extrapolation")) {
    CHECK(mentions(said.out, "warning: extrapolation: D"));
    bool is_named = false;
    for (const Json& e : all.at("law").at("extrapolation"))
      if (e.at("what") == "D") {
        is_named = true;
        CHECK_NEAR(e.at("factor").get<double>(), 100, 0.01, 0);
      }
    CHECK(is_named);
  }
}

TEST_CASE("predict: one run file is enough for curvature; folders without runs and bad options are refused") {
  Said said;
  const Json one = prediction({quick().finished(0).string()}, said);
  CHECK(one.at("curvature").is_object());
  const Workplace empty(test::tiny_text());
  const Said none = test::hone_says({"predict", empty.file()});
  CHECK(none.code == 2);
  CHECK_MESSAGE(mentions(none.err, "hone run first"), none.err);
  const Said mlp = test::hone_says({"predict", quick().finished(2).string()});
  CHECK(mlp.code == 2);
  CHECK_MESSAGE(mentions(mlp.err, "no damage of weights"), mlp.err);
  CHECK(test::hone_says({"predict", quick().out().string(), "--max-rise", "-1"}).code != 0);
  CHECK(test::hone_says({"predict", quick().out().string(), "--bits", "4", "3"}).code == 2);
}

}  // namespace hone

TEST_SUITE_END();
