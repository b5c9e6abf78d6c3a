// Schemes of quantization: each name does what it says, predictions and coordinates hold, and the table reaches the
// run files of studies and of `hone quantize`.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "experiments/instruments/scheme_table.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/scheme.hpp"
#include "sim/base/error.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

using namespace experiments;

/// A small model with strong and weak inputs, so that methods that look at the inputs have something to see.
struct Setting {
  Setting() {
    options = tiny_llama();
    options.vocabulary = 40, options.positions = 16, options.width = 16, options.mlp_width = 24, options.heads = 2;
    options.kv_heads = 2;
    const Vector<double> wide = random_parameters(options.layout(), 3);
    theta.assign(wide.data(), wide.data() + wide.size());
    for (const ParamBlock& block : options.layout().blocks())
      if (block.role == Role::norm)
        for (Index i = 0; i < block.size(); i += 5) theta[size_t(block.offset + i)] *= 4;
    calibration = random_tokens(options, 24, 1);
    evaluation = random_tokens(options, 20, 2);
    spec.scheme_bits = {6, 3};
  }
  std::vector<SchemeEntry> measure(const std::vector<std::string>& schemes, int threads = 1) {
    spec.schemes = schemes;
    const SchemeInput input{options, theta, calibration, spec, 5, {64, threads}};
    return measure_schemes(input, {evaluation, evaluation}, [](double, const std::string&) {});
  }

  TransformerOptions options;
  AlignedVector<float> theta;
  TokenBatch calibration, evaluation;
  QuantizeSpec spec;
};

TEST_CASE("schemes: every listed name is read back as itself and an unknown one is answered with the nearest") {
  std::set<std::string> seen;
  for (const std::string& name : scheme_names()) {
    CHECK(scheme_from_name(name).name == name);
    CHECK(seen.insert(name).second);
  }
  CHECK(scheme_from_name("rotate+gptq").coordinates == Coordinates::rotated);
  CHECK(scheme_from_name("rotate+gptq").rule == RoundingRule::gptq);
  CHECK_THROWS_WITH_AS(scheme_from_name("rotate+gtpq"), doctest::Contains("did you mean \"rotate+gptq\""), OptionError);
}

TEST_CASE("schemes: a minifloat is read by its bits, e4m3 as the scheme fp8, and one that hone lacks is refused") {
  const Quantizer by_bits = scheme_from_name("e4m3").format, by_name = scheme_from_name("fp8").format;
  CHECK(by_bits.format == by_name.format);
  CHECK(by_bits.granularity == by_name.granularity);
  CHECK(by_bits.scale == by_name.scale);
  CHECK(scheme_from_name("rotate+e3m4").format.format == minifloat(3, 4));
  CHECK(scheme_from_name("rotate+e3m4").coordinates == Coordinates::rotated);
  CHECK_THROWS_WITH_AS(scheme_from_name("e9m4"), doctest::Contains("take e2-e8 and m0-m10"), OptionError);
}

TEST_CASE("schemes: rtn is quantize_weights, bit for bit") {
  Setting s;
  const auto entries = s.measure({"rtn"});
  REQUIRE(entries.size() == 2);
  const Transformer<float> model(s.options);
  for (size_t i = 0; i < 2; ++i) {
    const auto w =
        quantize_weights(s.theta.data(), model.layout(), weight_quantizer(s.spec, int(s.spec.scheme_bits[i])));
    const OutputChange change =
        compare_outputs<float>({model, s.theta.data(), {}}, {model, w.theta.data(), {}}, s.evaluation, {64, 1});
    CHECK(entries[i].change.loss.mean == change.loss.mean);
    CHECK(entries[i].bits_per_weight == w.bits_per_weight);
    CHECK(entries[i].blocks.size() == 14);
  }
}

TEST_CASE("schemes: the second-order prediction of fine rounding is the loss rise on the same windows") {
  Setting s;
  s.spec.scheme_bits = {12};
  for (const SchemeEntry& e : s.measure({"rtn", "gptq", "smooth+rtn", "rotate+rtn", "awq"})) {
    CAPTURE(e.scheme);
    const double rise = e.change.loss.mean - e.reference.loss.mean;
    CHECK_NEAR(e.gradient_nats + e.quadratic_nats, rise, 0.05, 3e-7);
    CHECK(std::abs(rise) > 1e-6);
  }
}

TEST_CASE("schemes: changes of coordinates leave the outputs alone up to float32") {
  Setting s;
  s.spec.scheme_bits = {6};
  for (const SchemeEntry& e : s.measure({"smooth+rtn", "rotate+rtn", "awq"})) {
    CAPTURE(e.scheme);
    CHECK(std::abs(e.reference.loss.mean) < 1e-6);
    CHECK(std::abs(e.reference.kl_nats.mean) < 1e-7);
    CHECK(e.reference.top1_agreement.mean == 1);
  }
}

TEST_CASE("schemes: widths without a Hadamard matrix are rotated all the same") {
  Setting s;
  s.options.width = 18, s.options.heads = 3, s.options.kv_heads = 3, s.options.mlp_width = 22;
  const Vector<double> wide = random_parameters(s.options.layout(), 3);
  s.theta.assign(wide.data(), wide.data() + wide.size());
  for (const SchemeEntry& e : s.measure({"rotate+rtn"})) CHECK(std::abs(e.reference.loss.mean) < 1e-6);
}

TEST_CASE("schemes: mixed rules keep the bits of round to nearest and exact ones predict no more than uniform widths") {
  Setting s;
  s.spec.scheme_bits = {4};
  const double uniform_bits = s.measure({"rtn"}).front().bits_per_weight;
  for (const SchemeEntry& e :
       s.measure({"mixed-trace", "mixed-fisher", "mixed-fisher-rows", "mixed-output", "mixed-share"})) {
    CAPTURE(e.scheme);
    CHECK(e.bits_per_weight <= uniform_bits + 3.0 * 56 / double(s.options.layout().quantizable_size()));
    CHECK(e.bits_per_weight > uniform_bits - 1);
    CHECK(std::isfinite(e.predicted_nats));
  }
  const auto of = [&](const char* name) { return s.measure({name}).front().predicted_nats; };
  CHECK(of("mixed-fisher") <= of("mixed-share"));
}

TEST_CASE("schemes: mixed widths by traces at or below zero spend the budget, and no matrix counts as free") {
  Setting s;
  const SchemeInput input{s.options, s.theta, s.calibration, s.spec, 5, {64, 1}};
  const Transformer<float> model(s.options);
  const auto rounded = quantize_weights(s.theta.data(), model.layout(), weight_quantizer(s.spec, 4));
  const size_t blocks = rounded.blocks.size();
  const auto mixed = [&](const std::vector<MeanEstimate>& traces) {
    return quantize_by(scheme_from_name("mixed-trace"), 4, s.options, s.theta, input,
                       [&]() -> const std::vector<MeanEstimate>& { return traces; });
  };
  const double index_bits = 3.0 * double(blocks) / double(model.layout().quantizable_size());
  // Nothing is known, or all that is known is noise: 4 bits everywhere, as round to nearest.
  for (const MeanEstimate& trace : {MeanEstimate{0, 0}, MeanEstimate{-3, 0}}) {
    const QuantizedModel m = mixed(std::vector<MeanEstimate>(blocks, trace));
    CHECK(m.bits_per_weight <= rounded.bits_per_weight + index_bits);
    CHECK(m.bits_per_weight > rounded.bits_per_weight - 0.05);
    CHECK(m.predicted_nats > 0);
  }
  // One matrix measured below zero, the others alike: it is charged its standard error and not left at 2 bits.
  std::vector<MeanEstimate> traces(blocks, {1.0, 0.1});
  traces[3] = {-0.05, 0.3};
  const QuantizedModel m = mixed(traces);
  CHECK(m.bits_per_weight > rounded.bits_per_weight - 0.05);
  const auto levels = [&](size_t block) {
    std::set<float> values;
    const ParamBlock& b = model.layout().at(rounded.blocks[block].name);
    for (Index c = 0; c < b.cols; ++c) values.insert(m.theta[size_t(b.offset + c)]);
    return values.size();
  };
  CHECK(levels(3) > 3);  // a row of 2 bits has three levels
}

TEST_CASE("schemes: the scale of the study reaches every rule that has one, and nf4-dq is QLoRA's") {
  Setting s;
  s.spec.scheme_bits = {3}, s.spec.granularity = "group", s.spec.group = 8;
  const std::vector<std::string> names = {"rtn", "mse", "gptq", "guided", "awq", "mixed-output"};
  const auto real = s.measure(names);
  for (const char* scale : {"fp16", "fp16_stored"}) {
    s.spec.scale = scale;
    const auto entries = s.measure(names);
    for (size_t i = 0; i < names.size(); ++i) {
      CAPTURE(names[i]);
      CHECK(entries[i].bits_per_weight == real[i].bits_per_weight);
      CHECK(entries[i].change.loss.mean != real[i].change.loss.mean);
      CHECK_NEAR(entries[i].change.kl_nats.mean, real[i].change.kl_nats.mean, 0.05, 0);
    }
  }
  s.spec.scale = "double_quantized";
  const Transformer<float> model(s.options);
  const auto w = quantize_weights(s.theta.data(), model.layout(), weight_quantizer(s.spec, 3));
  const SchemeEntry rtn = s.measure({"rtn"}).front();
  CHECK(rtn.bits_per_weight == w.bits_per_weight);
  CHECK(rtn.bits_per_weight < real.front().bits_per_weight - 0.5);  // 16 bits for 8 weights become a little above 8
  const auto formats = s.measure({"nf4", "nf4-dq"});
  CHECK(formats[1].bits_per_weight < formats[0].bits_per_weight);
  CHECK(formats[1].change.loss.mean != formats[0].change.loss.mean);
  CHECK_NEAR(formats[1].change.kl_nats.mean, formats[0].change.kl_nats.mean, 0.2, 0);
}

TEST_CASE("schemes: methods that look at the inputs lower the error of the outputs") {
  Setting s;
  s.spec.scheme_bits = {3};
  const auto entries = s.measure({"rtn", "gptq", "awq", "lnq"});
  for (size_t i = 1; i < entries.size(); ++i) {
    CAPTURE(entries[i].scheme);
    CHECK(entries[i].change.kl_nats.mean < 0.9 * entries[0].change.kl_nats.mean);
  }
}

TEST_CASE("schemes: codebooks with more values than a row has weights are left out, formats have one entry") {
  Setting s;
  s.spec.scheme_bits = {8, 4, 2};
  std::vector<std::int64_t> widths;
  for (const SchemeEntry& e : s.measure({"lnq", "mxfp4", "ternary"})) widths.push_back(e.bits);
  CHECK(widths == std::vector<std::int64_t>{4, 2, 0, 0});
}

TEST_CASE("schemes: bits do not depend on the thread count") {
  Setting s;
  s.spec.scheme_bits = {3};
  const std::vector<std::string> names = {"gptq", "guided", "lnq", "awq", "mixed-trace", "rotate+gptq", "nvfp4"};
  const auto one = s.measure(names, 1), three = s.measure(names, 3);
  for (size_t i = 0; i < one.size(); ++i) {
    CAPTURE(one[i].scheme);
    CHECK(one[i].change.loss.mean == three[i].change.loss.mean);
    CHECK(one[i].quadratic_nats == three[i].quadratic_nats);
  }
}

std::string schemes_study() {
  return replaced(replaced(quick_text(), "seeds = [1, 2]", "seeds = [1]"), "[quantize]\n",
                  "[quantize]\nschemes = [\"rtn\", \"gptq\", \"rotate+rtn\", \"mxfp4\"]\nscheme_bits = [6, 3]\n"
                  "calibration_windows = 20\n");
}

TEST_CASE("schemes: a study compares them at the end of its trunk, and rtn equals its own ladder") {
  const Workplace place(schemes_study());
  REQUIRE(place.says("run", alone).code == 0);
  const RunFile file = place.read(0);
  const Dataset& schemes = file.group("schemes");
  CHECK(schemes.strings("scheme") ==
        std::vector<std::string>{"rtn", "rtn", "gptq", "gptq", "rotate+rtn", "rotate+rtn", "mxfp4"});
  CHECK(schemes.ints("bits") == std::vector<std::int64_t>{6, 3, 6, 3, 6, 3, 0});
  const auto& ladder = file.group("ptq").ints("bits");
  const auto& damage = file.group("ptq").doubles("delta_nats");
  size_t found = 0;
  for (size_t b = 0; b < ladder.size(); ++b)
    for (size_t i = 0; i < 2; ++i)
      if (ladder[b] == schemes.ints("bits")[i]) {
        const size_t last = damage.size() - ladder.size() + b;
        CHECK_NEAR(schemes.doubles("delta_nats")[i], damage[last], 1e-12, 1e-15);
        ++found;
      }
  CHECK(found >= 1);
  CHECK(file.group("scheme_blocks").length("entry") == 7);
  CHECK(!schemes.attributes().contains("calibration_warning"));
}

TEST_CASE("schemes: a study says and records that its calibration text is too short for a Gram matrix") {
  const Workplace place(replaced(schemes_study(), "calibration_windows = 20", "calibration_windows = 1"));
  const Said said = place.says("run", alone);
  REQUIRE(said.code == 0);
  const Dataset schemes = place.read(0).group("schemes");
  const std::string warning = std::get<std::string>(schemes.attribute("calibration_warning"));
  CHECK(warning.find("calibration is short for gptq") == 0);
  CHECK(warning.find("raise quantize.calibration_windows from 1 to ") != std::string::npos);
  CHECK_MESSAGE(said.err.find(warning) != std::string::npos, said.err);
}

TEST_CASE("schemes: a study with an unknown scheme or an impossible width is refused before it runs") {
  const Said unknown = Workplace(replaced(schemes_study(), "\"gptq\"", "\"gtpq\"")).says("plan");
  CHECK(unknown.code == 2);
  CHECK(unknown.err.find("did you mean \"gptq\"") != std::string::npos);
  const Said narrow = Workplace(replaced(schemes_study(), "scheme_bits = [6, 3]", "scheme_bits = [1]")).says("plan");
  CHECK(narrow.code == 2);
  CHECK(narrow.err.find("quantize.scheme_bits.bits = 1") != std::string::npos);
}

TEST_CASE("schemes: what a scheme cannot do is refused before anything runs") {
  const auto refused = [](const char* name, std::int64_t bits, const char* part, const char* granularity = "row") {
    QuantizeSpec spec;
    spec.scheme_bits = {bits};
    spec.granularity = granularity;
    CHECK_THROWS_WITH_AS(scheme_from_name(name).check(spec), doctest::Contains(part), OptionError);
  };
  refused("gptq", 16, "quantizes nothing");
  refused("awq", 16, "quantizes nothing");
  refused("lnq", 9, "at most 8 bits");
  refused("mixed-trace", 16, "2 to 8 bits");
  refused("guided", 4, "row or group", "tensor");
  for (const char* name : {"gptq", "guided"}) {
    QuantizeSpec spec;
    spec.scale = "double_quantized";
    CHECK_THROWS_WITH_AS(scheme_from_name(name).check(spec), doctest::Contains("quantize.scale = double_quantized"),
                         OptionError);
  }
  Setting s;
  s.spec.scheme_bits = {8};
  CHECK_THROWS_WITH_AS(s.measure({"lnq"}), doctest::Contains("nothing is left"), OptionError);
}

TEST_CASE("schemes: what a token's step leaves out beside outliers is as the study says") {
  const auto rule_of = [](const char* name) {
    return precision_of(QuantizeSpec{.outlier_absmax = name}, 16, 8, 16).activation.outlier_absmax;
  };
  CHECK(rule_of("columns") == OutlierAbsmax::columns);
  CHECK(rule_of("elements") == OutlierAbsmax::elements);
  CHECK_THROWS_AS(rule_of("rows"), OptionError);
}

TEST_CASE("schemes: groups of weights go with activations per token") {
  QuantizeSpec spec;
  spec.granularity = "group";
  spec.group = 32;
  const Precision p = precision_of(spec, 4, 8, 16);
  p.weight.validate("weight");
  p.activation.validate("activation");
  CHECK(p.activation.group == 0);
}

}  // namespace
}  // namespace hone::test
