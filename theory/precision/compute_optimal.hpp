// Compute-optimal precision: bits, size and tokens of least loss for a training budget, the data at
// which damage after training outgrows the gain, and the sets of equal loss. Budgets count
// C = (6/16) N D P, which is 6 N D at 16 bits (Kumar et al. 2411.04330 Eq 5).
#pragma once

#include <array>
#include <limits>
#include <map>
#include <vector>

#include "theory/precision/training_law.hpp"

namespace hone::theory {

/// P* of equal scales gamma without offsets.
/// math    P* = u gamma with parts·u = e^u - 1; u = 1.9038 for three parts. Eqs 7 and 28 of the
///         paper carry a spurious factor
/// expects gamma > 0, parts ≥ 2 (with one part f/P has its supremum at 0 bits)
double optimal_bits_closed(double gamma, int parts = 3);

/// P* of a law when size, tokens and one precision for all parts are free.
/// math    maximizes f(P)/P: P d ln f/dP = 1. The optimum depends neither on alpha, beta nor on the
///         budget, since at fixed cost the loss is a function of f/P and N alone
/// ensures the interior maximum of most bits below 64; NaN when f/P has none
double optimal_bits(const TrainingLaw& law);

/// P* of measured N_eff/N, without a form.
/// math    maximizes Π f(P)/P, each f between its points by monotone cubics (Fritsch & Carlson 1980), at most 1, and 1 at
///         16 bits; no form is assumed, but curves multiply
/// shapes  of each curve bits to N_eff/N; curves of fewer than 3 points below 16 bits are left out
/// ensures between the fewest bits that all curves have and 16, to 0.05; NaN without a curve
double measured_optimum(const std::vector<std::map<double, double>>& curves);

/// P* for a given size, tokens from the budget.
/// math    minimizes A (N f(P))^-alpha + B (16 C/(6 N P))^-beta over P; grows with ln C
/// units   budget in FLOPs at 16 bits
/// expects N > 0, budget > 0
double optimal_bits_at_size(const TrainingLaw& law, double N, double budget);

/// How to spend a budget.
struct Allocation {
  double bits = 0;
  double N = 0;
  double D = 0;
  double loss = 0;  ///< nats/token
};

/// N* and D* at given bits.
/// math    N* = (alpha A f^-alpha / (beta B))^(1/(alpha+beta)) c^(beta/(alpha+beta)), D* = c/N*,
///         c = 16 C/(6 P): D* falls as P^(-alpha/(alpha+beta)), the 1/P that Eqs 6 and 17 drop
/// expects budget > 0, f > 0 at these bits
Allocation optimal_allocation(const TrainingLaw& law, double budget, double bits);

/// N*, D* and P* together.
Allocation optimal_allocation(const TrainingLaw& law, double budget);

/// Loss of training and damage after it; both share N_eff.
struct TotalLaw {
  TrainingLaw training;
  std::vector<double> damage;  ///< of LawKind::ptq_exponential
  /// C_w, C_a, C_kv of Eq 9 per bit; infinite: training precision does not soften the damage.
  std::array<double, 3> robustness{std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity(),
                                   std::numeric_limits<double>::infinity()};
};

/// Loss after quantization to Point::P bits of a model trained at P_w, P_a, P_kv.
/// math    Eq 1 with Eq 9; the damage is 0 when P is infinite or not below the training precision
/// units   nats/token
double total_loss(const TotalLaw& law, const Point& point);

/// Tokens beyond which more data makes the quantized model worse.
/// math    D_crit = (beta B N_eff^gN e^(P/gamma_post)/(gD C))^(1/(gD + beta)); +inf without damage
/// source  Kumar et al. 2411.04330 Eq 13
double critical_tokens(const TotalLaw& law, const Point& point);

enum class Unknown {
  size,           ///< N, 1e3..1e15
  tokens,         ///< D, 1e3..1e20
  bits,           ///< P after training, 1..32
  training_bits,  ///< P_w = P_a = P_kv, 1..32
};

/// All values of one unknown at which the total loss is the given one, rising; the point says the rest.
/// ensures sign changes between 600 neighbours of a logarithmic grid and D_crit, each refined to 1e-12;
///         up to two in tokens, on both sides of D_crit, and none when the loss is out of reach
std::vector<double> solve_iso_loss(const TotalLaw& law, const Point& point, Unknown unknown, double loss);

/// The set of equal loss over sizes and tokens: fewest bits after training that reach the loss.
/// shapes  result[i·tokens + j] for sizes[i], tokens[j]; NaN where no bits reach it
std::vector<double> iso_loss_bits(const TotalLaw& law, const std::vector<double>& sizes,
                                  const std::vector<double>& tokens, double loss);

/// A fit that used runs up to a budget.
struct BudgetFit {
  double budget = 0;
  TrainingLaw law;
  double bits_error = 1;  ///< standard error of its P*, > 0
};

/// P* of each fit, and its change with compute.
struct PrecisionDrift {
  std::vector<double> bits;
  double slope = 0;           ///< bits per decade of budget; 0 if the law holds
  double standard_error = 0;  ///< from bits_error; refits share runs, so treat it as a lower bound
};

/// Weighted line of P* on log10 budget.
/// expects at least two fits with different budgets
/// ensures fits without an interior P* have NaN bits and are left out of the line
PrecisionDrift precision_drift(const std::vector<BudgetFit>& fits);

}  // namespace hone::theory
