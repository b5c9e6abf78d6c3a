#include <rapidcheck.h>

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/json_values.hpp"
#include "tests/support/near.hpp"
#include "theory/noise/quantizers.hpp"
#include "theory/noise/rounding.hpp"
#include "theory/precision/effective_parameters.hpp"

using namespace hone;
using namespace hone::theory;

TEST_SUITE("training laws") {
  TEST_CASE("kumar: the table's weight fractions and zero bits are those of the published constants") {
    const auto table = test::load_quant("kumar_precision_law.json");
    const TrainingLaw law = kumar_training_law(), bare = without_offsets(law);
    const auto bits_of = [](const std::string& key) { return std::stod(key); };
    for (const auto& [key, wanted] : table["Neff_over_N_weights_only_with_offset"].items())
      CHECK_NEAR(effective_fraction(law.parts[0], bits_of(key)), wanted.get<double>(), 1e-12, 0);
    for (const auto& [key, wanted] : table["Neff_over_N_weights_only_no_offset"].items())
      CHECK_NEAR(effective_fraction(bare.parts[0], bits_of(key)), wanted.get<double>(), 1e-12, 0);
    const auto& zero = table["zero_of_f_with_offset"];
    const char* const names[] = {"w", "a", "kv"};
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK_NEAR(zero_bits(law.parts[i]), zero[names[i]].get<double>(), 1e-6, 0);
      CHECK(std::abs(effective_fraction(law.parts[i], zero_bits(law.parts[i]))) < 1e-12);
    }
  }

  TEST_CASE("kumar: products over the parts are .191 .427 .611 .828 .967 at 4, 5, 6, 8 and 12 bits") {
    const std::pair<double, double> wanted[] = {{4, .191}, {5, .427}, {6, .611}, {8, .828}, {12, .967}};
    for (const auto& [bits, product] : wanted)
      CHECK_NEAR(effective_fraction(kumar_training_law(), trained_at(1, 1, bits)), product, 0, 6e-4);
  }

  TEST_CASE("kumar: full-precision losses of the table, from the struct and from the law alike") {
    const auto table = test::load_quant("kumar_precision_law.json")["L_full_precision"];
    const std::tuple<const char*, double, double> rows[] = {
        {"30M,1.5B", 30e6, 1.5e9}, {"30M,26B", 30e6, 26e9}, {"220M,1.5B", 220e6, 1.5e9}, {"220M,26B", 220e6, 26e9}};
    for (const auto& [key, n, d] : rows) {
      const Point x{n, d, 0};
      CHECK_NEAR(training_loss(kumar_training_law(), x), table[key].get<double>(), 1e-12, 0);
      CHECK_NEAR(predict(LawKind::train_exponential, kumar_training_parameters(), x), table[key].get<double>(), 1e-12,
                 0);
    }
  }

  TEST_CASE("kumar: damage of the table with the offset b, and e^-1.1277 of it without") {
    const auto table = test::load_quant("kumar_precision_law.json");
    const std::pair<const char*, Point> rows[] = {{"30M,26B,3b", {30e6, 26e9, 3}}, {"220M,1.5B,6b", {220e6, 1.5e9, 6}}};
    for (const auto& [key, x] : rows) {
      const double damage = predict(LawKind::ptq_exponential, kumar_ptq_parameters(), x);
      CHECK_NEAR(damage, table["delta_PTQ_with_offset_plus_b"][key].get<double>(), 1e-12, 0);
      CHECK_NEAR(damage * std::exp(-1.1277), table["delta_PTQ_no_offset"][key].get<double>(), 1e-12, 0);
    }
  }

  TEST_CASE("training_loss: equals the law's prediction at any bits above the zeros") {
    CHECK(rc::check([] {
      Point x{*rc::gen::inRange(1, 1000) * 1e6, *rc::gen::inRange(1, 1000) * 1e8, 0};
      x.P_w = 1 + *rc::gen::inRange(0, 150) / 10.0, x.P_a = 3.2 + *rc::gen::inRange(0, 150) / 10.0;
      RC_ASSERT(test::near(training_loss(kumar_training_law(), x),
                           predict(LawKind::train_exponential, kumar_training_parameters(), x), 1e-12));
    }));
    CHECK_THROWS_AS(training_law({1, 2, 3}), ContractError);
  }
}

TEST_SUITE("effective parameters") {
  TEST_CASE("empirical_fraction: a loss of the law gives back the law's fraction, full precision gives 1") {
    const TrainingLaw law = kumar_training_law();
    for (const double bits : {4.0, 5.0, 8.0}) {
      const Point x = trained_at(1e8, 1e10, bits), full{1e8, 1e10, 0};
      CHECK_NEAR(empirical_fraction(law, 1e8, training_loss(law, x), training_loss(law, full)),
                 effective_fraction(law, x), 1e-9, 0);
      CHECK_NEAR(inference_parameters(law, 1e10, training_loss(law, x)), 1e8 * effective_fraction(law, x), 1e-9, 0);
    }
    CHECK_NEAR(empirical_fraction(law, 1e8, 3, 3), 1, 1e-12, 0);
    CHECK(std::isnan(inference_parameters(law, 1e10, law.E)));
  }

  TEST_CASE("information: the rate-distortion bound gives the scale 1/(2 ln 2) with offset 0") {
    std::vector<double> bits, information;
    for (double b = 2; b <= 8; ++b) bits.push_back(b), information.push_back(gaussian_information(std::exp2(-2 * b)));
    const InformationScale s = information_scale(bits, information);
    CHECK_NEAR(s.scale.gamma, 1 / (2 * std::log(2.0)), 1e-12, 0);
    CHECK(std::abs(s.scale.offset) < 1e-12);
    CHECK(s.rmse < 1e-12);
    CHECK_NEAR(retained_fraction(gaussian_information(0.03)), 0.97, 1e-12, 0);
    CHECK(gaussian_information(1.5) == 0);
  }

  TEST_CASE("information: absmax rounding from 3 to 8 bits implies the scale .668 of its squared steps") {
    std::vector<double> information;
    for (int b : {3, 8}) information.push_back(gaussian_information(rtn_relative_mse(b, 256)));
    const InformationScale s = information_scale({3, 8}, information);
    CHECK_NEAR(s.scale.gamma, equivalent_gamma_post(3, 8), 1e-9, 0);
    CHECK_NEAR(s.scale.gamma, 0.668, 1e-3, 0);
  }

  TEST_CASE("information: optimal codes of 1 to 8 bits stay below their bits and imply a scale near .75") {
    std::vector<double> bits, information;
    for (int b = 1; b <= 8; ++b) {
      bits.push_back(b), information.push_back(gaussian_information(lloyd_max_mse(b)));
      CHECK(information.back() < b);
    }
    const InformationScale s = information_scale(bits, information);
    CHECK(s.scale.gamma > 1 / (2 * std::log(2.0)));
    CHECK(s.scale.gamma < 0.80);
  }

  TEST_CASE("code entropy: uniform codes hold log2 of their number, one code holds nothing") {
    CHECK_NEAR(code_entropy({5, 5, 5, 5}), 2, 1e-14, 0);
    CHECK_NEAR(code_entropy({1, 0, 3}), 2 - 0.75 * std::log2(3.0), 1e-14, 0);
    CHECK(code_entropy({7, 0}) == 0);
    CHECK_THROWS_AS(code_entropy({0, 0}), ContractError);
    CHECK_THROWS_AS(code_entropy({-1, 2}), ContractError);
  }

  TEST_CASE("code entropy: of a rounded Gaussian it is the differential entropy at variance s² + Delta²/12") {
    for (const double fineness : {1.0, 2.0, 10.0})
      CHECK_NEAR(gaussian_code_entropy(fineness, 200),
                 0.5 * std::log2(2 * M_PI * M_E * (fineness * fineness + 1.0 / 12)), 0, 1e-5);
    CHECK(gaussian_code_entropy(0.05, 3) < 1e-12);
    CHECK_NEAR(gaussian_code_entropy(100, 1), 1, 0, 0.05);  // nearly all weights at the two ends
  }

  TEST_CASE("code entropy: entropy coding comes down to pi e/6 above the distortion bound as the step shrinks") {
    for (const double fineness : {10.0, 30.0}) {
      const double mse = 1 / (12 * fineness * fineness) * uniform_noise(fineness).mse_ratio;
      CHECK_NEAR(mse / std::exp2(-2 * gaussian_code_entropy(fineness, 200)), M_PI * M_E / 6,
                 0.1 / (fineness * fineness), 0);
    }
  }
}
