// Mean squared error of Gaussian weights at 2 to 8 bits, as a share of their variance: measured, in theory, of the best
// grids, and the bound for any code; and the bits of information that the codes keep.
#include <cmath>
#include <cstdio>

#include "sim/base/rng.hpp"
#include "sim/formats/quantizer.hpp"
#include "theory/noise/quantizers.hpp"
#include "theory/noise/rounding.hpp"
#include "theory/precision/effective_parameters.hpp"

int main() {
  using namespace hone::theory;
  constexpr int rows = 400, columns = 256;
  hone::Matrix<double> w(rows, columns);
  for (int i = 0; i < w.size(); ++i) w.data()[i] = hone::normal({.seed = 1}, static_cast<std::uint64_t>(i));

  bool is_near = true;
  std::puts(
      "bits  measured  absmax   step²/12  uniform  Lloyd-Max  high rate  bound     information  entropy  N_eff/N");
  for (int bits = 2; bits <= 8; ++bits) {
    hone::Matrix<double> q = w;
    std::vector<double> steps;
    hone::fake_quantize<double>(q, {.bits = bits, .grid = hone::Grid::restricted}, rows, &steps);
    std::vector<std::int64_t> counts(size_t(1) << bits);
    for (int i = 0; i < q.size(); ++i)
      ++counts[size_t(std::lround(q.data()[i] / steps[size_t(i / columns)]) + (1 << (bits - 1)))];

    const double measured = (q - w).squaredNorm() / w.squaredNorm(), absmax = rtn_noise(bits, columns).relative_mse;
    const double information = gaussian_information(measured);
    std::printf("%4d  %.6f  %.6f  %.6f  %.6f  %.6f   %.6f   %.6f  %.2f         %.2f     %.4f\n", bits, measured, absmax,
                rtn_relative_mse(bits, columns), best_uniform(UniformLevels::symmetric_integers, bits).mse,
                lloyd_max_mse(bits), panter_dite_mse(bits), rate_distortion_mse(bits), information,
                code_entropy(counts), retained_fraction(information));
    is_near = is_near && std::abs(measured / absmax - 1) < 0.03 && information < code_entropy(counts);
  }
  std::printf("entropy coding of a fine grid ends at %.3f times the bound\n", entropy_coded_loss);
  return is_near ? 0 : 1;
}
