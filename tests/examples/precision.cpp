// Compute-optimal precision by the published law of Kumar et al. 2024: bits, size and tokens for a training budget, and
// the fewest bits after training that still reach a loss.
#include <cmath>
#include <cstdio>

#include "theory/precision/compute_optimal.hpp"

int main() {
  using namespace hone::theory;
  const TrainingLaw law = kumar_training_law(), bare = averaged(without_offsets(law));
  const double closed = optimal_bits_closed(bare.parts[0].gamma);
  std::printf("optimal training bits %.2f; without offsets and with one scale %.4f, in closed form %.4f\n",
              optimal_bits(law), optimal_bits(bare), closed);

  std::puts("budget   N        D        loss    bits at 1e8 parameters");
  for (const double budget : {1e18, 1e20, 1e22}) {
    const Allocation best = optimal_allocation(law, budget);
    std::printf("%.0e  %.1e  %.1e  %.3f   %.2f\n", budget, best.N, best.D, best.loss,
                optimal_bits_at_size(law, 1e8, budget));
  }

  const std::vector<double> sizes = {1e8, 3e8, 1e9}, tokens = {1e9, 1e10, 1e11};
  const auto bits = iso_loss_bits({law, kumar_ptq_parameters()}, sizes, tokens, /*loss=*/3.4);
  std::puts("fewest bits after training for a loss of 3.4 (columns: 1e9, 1e10, 1e11 tokens; nan: out of reach)");
  for (std::size_t i = 0; i < sizes.size(); ++i)
    std::printf("N = %.0e  %6.2f %6.2f %6.2f\n", sizes[i], bits[3 * i], bits[3 * i + 1], bits[3 * i + 2]);
  return std::abs(optimal_bits(bare) - closed) < 1e-6 ? 0 : 1;
}
