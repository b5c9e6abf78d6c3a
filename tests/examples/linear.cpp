// One linear map whose inputs have correlated channels and an outlier: what feedback of errors (GPTQ), a rotation and
// SmoothQuant's scales gain, each measured and in theory.
#include <cmath>
#include <cstdio>

#include "sim/layers/hadamard.hpp"
#include "sim/quantize/gptq.hpp"
#include "sim/quantize/smoothing.hpp"
#include "theory/noise/feedback.hpp"
#include "theory/noise/rounding.hpp"

int main() {
  constexpr hone::Index tokens = 2000, outputs = 400, channels = 64;
  const auto gaussian = [](hone::Index rows, hone::Index columns, std::uint64_t seed) {
    hone::Matrix<double> m(rows, columns);
    for (hone::Index i = 0; i < m.size(); ++i) m.data()[i] = hone::normal({seed}, static_cast<std::uint64_t>(i));
    return m;
  };
  hone::Matrix<double> x = gaussian(tokens, channels, 1) * (gaussian(channels, channels, 2) / 8);
  x.col(5) *= 20;
  hone::Matrix<double> w = gaussian(outputs, channels, 3);
  const hone::Matrix<double> h = x.transpose() * x / tokens;

  const hone::GptqOptions options{.quantizer = {.bits = 8, .granularity = hone::Granularity::tensor}, .damping = 0};
  const hone::GptqResult result = hone::gptq(w, h, options);
  const double feedback = hone::theory::feedback_proxy(h, result.steps(0, 0), outputs).feedback;
  const double measured = hone::gram_error(result.q - w, h);
  std::printf("GPTQ: squared error of the outputs %.4f, in theory %.4f\n", measured, feedback);

  std::vector<double> before, after, max_abs(channels);
  w.array() *= w.array().abs();  // heavy tails, which a rotation spreads
  hone::Matrix<double> plain = w, turned = w * hone::random_sign_hadamard(channels, {1, hone::Domain::rotation});
  hone::fake_quantize<double>(plain, {.bits = 4}, outputs, &before);
  hone::fake_quantize<double>(turned, {.bits = 4}, outputs, &after);
  double step2_before = 0, step2_after = 0, expected = 0;
  for (hone::Index r = 0; r < outputs; ++r) {
    step2_before += before[size_t(r)] * before[size_t(r)], step2_after += after[size_t(r)] * after[size_t(r)];
    expected += hone::theory::rotated_step2(w.row(r).squaredNorm(), channels, 4);
  }
  std::printf("rotation: mean squared step %.3f before, %.3f after, in theory %.3f\n", step2_before / outputs,
              step2_after / outputs, expected / outputs);

  for (hone::Index c = 0; c < channels; ++c) max_abs[size_t(c)] = x.col(c).cwiseAbs().maxCoeff();
  const hone::SmoothingSite site{max_abs, h, {hone::ConstMatView<double>(w.data(), outputs, channels)}};
  const hone::Quantizer weight{.bits = 8}, activation{.bits = 8, .granularity = hone::Granularity::tensor};
  const hone::AlphaChoice chosen = hone::choose_alpha(site, {.weight = weight, .activation = activation});
  const double unscaled = hone::smoothed_output_mse(site, std::vector<double>(channels, 1), weight, activation);
  std::printf("SmoothQuant: alpha %.2f, error %.4f, %.4f without\n", chosen.alpha, chosen.output_mse, unscaled);
  return std::abs(measured / feedback - 1) < 0.1 && std::abs(step2_after / expected - 1) < 0.1 &&
                 chosen.output_mse < unscaled
             ? 0
             : 1;
}
