// Every number that tests/golden/quant/kumar_precision_law.json computes from Table 2 of Kumar et al. 2411.04330, and the
// ones that follow from the same constants.
#include <cmath>

#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"
#include "theory/precision/compute_optimal.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

nlohmann::json table() { return test::load_quant("kumar_precision_law.json"); }

/// "30M,1.5B" or "30M,1.5B,3b" as sizes, tokens and bits.
Point point_of(const std::string& key) {
  const std::size_t tokens = key.find(',') + 1, bits = key.find(',', tokens);
  Point x{std::stod(key) * 1e6, std::stod(key.substr(tokens)) * 1e9, INFINITY};
  if (bits != std::string::npos) x.P = std::stod(key.substr(bits + 1));
  return x;
}

double damage(const Point& x) { return predict(LawKind::ptq_exponential, kumar_ptq_parameters(), x); }

}  // namespace

TEST_SUITE("kumar table") {
  TEST_CASE("kumar table: every constant is the one the code holds") {
    const auto c = table()["constants"];
    const TrainingLaw law = kumar_training_law();
    const auto is = [&](double value, const nlohmann::json& wanted) {
      CHECK_NEAR(value, wanted.get<double>(), 1e-14, 0);
    };
    is(law.A, c["A"]), is(law.B, c["B"]), is(law.E, c["E"]);
    is(law.alpha, c["alpha"]), is(law.beta, c["beta"]);
    const char* const names[] = {"w", "a", "kv"};
    for (std::size_t i = 0; i < 3; ++i)
      is(law.parts[i].gamma, c["gamma"][names[i]]), is(law.parts[i].offset, c["n"][names[i]]);
    const auto p = kumar_ptq_parameters();
    is(p[0], std::log(c["C_T"].get<double>()) + c["b"].get<double>());
    is(p[1], c["gamma_D"]), is(p[2], c["gamma_N"]), is(1 / p[3], c["gamma_post"]);
  }

  TEST_CASE("kumar table: all sixteen damages, with the offset b and without") {
    const auto json = table();
    int seen = 0;
    for (const auto& [key, wanted] : json["delta_PTQ_with_offset_plus_b"].items()) {
      CHECK_NEAR(damage(point_of(key)), wanted.get<double>(), 1e-12, 0);
      CHECK_NEAR(damage(point_of(key)) * std::exp(-1.1277), json["delta_PTQ_no_offset"][key].get<double>(), 1e-12, 0);
      ++seen;
    }
    CHECK(seen == 16);
    CHECK(json["delta_PTQ_no_offset"].size() == 16);
    CHECK_NEAR(std::exp(1.1277), 3.09, 1e-3, 0);
  }

  TEST_CASE("kumar table: all losses of full precision, of the struct and of the law") {
    const auto losses = table()["L_full_precision"];
    int seen = 0;
    for (const auto& [key, wanted] : losses.items()) {
      const Point x = point_of(key);
      CHECK_NEAR(training_loss(kumar_training_law(), x), wanted.get<double>(), 1e-12, 0);
      CHECK_NEAR(predict(LawKind::chinchilla, kumar_chinchilla_parameters(), x), wanted.get<double>(), 1e-12, 0);
      ++seen;
    }
    CHECK(seen == 4);
    CHECK_NEAR(4299 * std::pow(30e6, -0.4965), 0.83, 0, 0.005);
  }

  TEST_CASE(
      "kumar table: N_eff/N of weights, activations and cache at 4 to 12 bits; three bits of activations diverge") {
    const std::tuple<double, double, double, double> rows[] = {{4, .696, .331, .828},
                                                               {5, .791, .575, .939},
                                                               {6, .856, .730, .979},
                                                               {8, .932, .891, .997},
                                                               {12, .985, .982, 1.0}};
    const TrainingLaw law = kumar_training_law();
    for (const auto& [bits, w, a, kv] : rows) {
      CHECK_NEAR(effective_fraction(law.parts[0], bits), w, 0, 6e-4);
      CHECK_NEAR(effective_fraction(law.parts[1], bits), a, 0, 6e-4);
      CHECK_NEAR(effective_fraction(law.parts[2], bits), kv, 0, 6e-4);
    }
    CHECK_NEAR(effective_fraction(law.parts[1], 3), -0.05, 0, 0.005);
  }

  TEST_CASE(
      "kumar table: N_eff D at fixed compute relative to 7 bits is .587 .978 .963 .807 .451 at 16, 8, 6, 5, 4 bits") {
    const TrainingLaw law = kumar_training_law();
    const auto of = [&](double bits) { return effective_fraction(law, trained_at(1, 1, bits)) / bits; };
    const std::pair<double, double> rows[] = {{16, .587}, {8, .978}, {6, .963}, {5, .807}, {4, .451}};
    for (const auto& [bits, share] : rows) CHECK_NEAR(of(bits) / of(7), share, 0, 6e-4);
  }

  TEST_CASE("kumar table: P* is 7.00 with offsets and 3.47 as printed, and the check of each kind is in the table") {
    const auto wanted = table()["P_star_checks"];
    CHECK(wanted.size() == 5);  // the five are compared in test_compute_optimal.cpp
    CHECK_NEAR(optimal_bits(kumar_training_law()), 7.00, 0, 0.005);
    CHECK_NEAR(optimal_bits(without_offsets(kumar_training_law())), 3.47, 0, 0.005);
  }

  TEST_CASE("kumar table: D_crit/N is 8e5 at 8 bits; doubling D costs 1.421, doubling N .788, one bit less 5.435") {
    const TotalLaw law{kumar_training_law(), kumar_ptq_parameters()};
    CHECK_NEAR(critical_tokens(law, {30e6, 0, 8}) / 30e6, 8e5, 0.05, 0);
    const Point x{30e6, 26e9, 4};
    CHECK_NEAR(damage({x.N, 2 * x.D, x.P}) / damage(x), 1.421, 0, 5e-4);
    CHECK_NEAR(damage({2 * x.N, x.D, x.P}) / damage(x), 0.788, 0, 5e-4);
    CHECK_NEAR(damage({x.N, x.D, 3}) / damage(x), 5.435, 0, 5e-4);
  }
}
