// Eigenpairs at both ends of the spectrum of a symmetric operator, found by thick-restart (block) Lanczos, with the
// certificates: residuals from fresh products, intervals, and a search for missed pairs. The solver is a value that is
// advanced product by product; stopped after any product, it continues with the same bits.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "sim/curvature/certificate.hpp"
#include "sim/curvature/krylov_space.hpp"

namespace hone {

struct ExtremesOptions {
  int count_largest = 10;  ///< pairs wanted at the upper end
  int count_smallest = 0;  ///< and at the lower end
  int block = 1;           ///< starting vectors; 2 to 4 see a multiple eigenvalue that often in one sweep
  int steps_max = 120;     ///< basis columns before a restart; never restarts if this exceeds the steps needed
  std::int64_t products_max = 2000;  ///< of the whole solve, certificates included
  int probe_steps = 40;              ///< of each search for missed pairs; 0: none, and completeness stays unproved
  int rounds_max = 8;                ///< how often a search that finds something sends the solver on
  double tolerance = 1e-10;          ///< on ‖A y - θ y‖/‖A‖; never below 10x noise_floor or 10 ε
  double noise_floor = 0;            ///< η: relative rounding of the products; 0 means float64
  std::uint64_t seed = 1;            ///< of the random directions
  std::int64_t memory_max_bytes = std::int64_t(16) << 30;
};

/// Limit of certificate C2a on ‖A y - θ y‖/‖A‖, for products of rounding η.
inline double residual_limit(double noise_floor) { return noise_floor > 0 ? 10 * noise_floor : 1e-10; }

enum class ExtremesStop {
  converged,           ///< every wanted pair within the tolerance, and no search for missed pairs found one
  products_exhausted,  ///< products_max came first; the residuals say how far
  whole_space,         ///< the basis spans everything: a dense decomposition, complete by construction
  incomplete,          ///< converged, but the last search still found a missed pair (rounds or memory used up)
  not_finite,          ///< a product held NaN or infinity; there are no pairs
};

/// What is left of the spectrum, as a cold Lanczos run off the found pairs sees it.
struct Remainder {
  double value = 0;     ///< extreme Ritz value
  double residual = 0;  ///< its residual estimate: how well it is known
};

/// Pairs in descending order: the `largest` first ones from the upper end, then those of the lower end.
struct Eigenpairs {
  Vector<double> values;        ///< θ, nats per squared parameter unit when A is a Hessian
  Basis vectors;                ///< (n,k), orthonormal
  Vector<double> residuals;     ///< r = ‖A y - θ y‖₂ from a fresh product
  Vector<double> error_bounds;  ///< |θ - λ| ≤ min(r, s + r²/(gap - s)) + rounding, s = |θ - y'Ay|; r + rounding
                                ///< without a known gap
  Vector<double> angle_sines;   ///< sin∠(y, eigenvector) ≤ r/gap; 1 without a known gap
  Index largest = 0;
  Remainder upper, lower;  ///< after the found pairs; valid when a search ran or the basis spans the whole space
  double norm = 0;         ///< lower bound of ‖A‖ that residuals are measured against
  double ritz_min = 0;     ///< smallest Ritz value met: an upper bound of the smallest eigenvalue
  double orthogonality = 0;
  std::vector<Certificate> certificates;  ///< C1a, C1b, C2a of each pair, C2c of each end
  std::int64_t steps = 0, products = 0;   ///< products that grew the basis; all products
  int restarts = 0, rounds = 0;
  ExtremesStop stop = ExtremesStop::converged;
};

enum class ExtremesPhase { expand, residuals, recurrence, probe, done };

/// A solve under way; its content decides everything that follows.
struct ExtremesState {
  ExtremesOptions options;
  Index size = 0;
  ExtremesPhase phase = ExtremesPhase::expand;
  ExtremesStop stop = ExtremesStop::converged;
  KrylovSpace space, probe;
  Basis vectors;                             ///< candidate pairs under verification
  Vector<double> values, residuals, shifts;  ///< shifts: |θ - y'Ay| from the product that gave the residual
  Index largest = 0, cursor = 0;             ///< cursor: pair or column that the next product verifies
  Index next_check = 0;                      ///< columns at which Ritz pairs are looked at again
  std::int64_t steps = 0, products = 0, drawn = 0;
  int restarts = 0, rounds = 0;
  double norm = 0, ritz_min = std::numeric_limits<double>::infinity(), recurrence = 0;
  bool is_probed = false, is_complete = false;
  Remainder upper, lower;
};

/// Bytes that a solve holds at its peak, the operator's own not counted.
/// cost  none; known before the solve
std::int64_t extremes_bytes(const ExtremesOptions& options, Index n);

/// A solve before its first product. `warm` are vectors near the wanted ones, such as those of the last checkpoint:
/// they are summed into the `block` starting vectors, each with a hundredth of a cold random vector, so that a new
/// outlier that is orthogonal to all of them is met too.
/// shapes   warm (n,w), w ≥ 0
/// errors   OptionError when the counts do not fit n, steps_max or products_max, or the memory passes its limit
ExtremesState start_extremes(const ExtremesOptions& options, Index n, const Basis& warm = Basis());

/// Does up to `products` products, fewer when the solve ends.
/// ensures  the same bits however the products are split over calls
void advance(ExtremesState& state, const LinearOperator& op, std::int64_t products);

/// The whole solve.
/// cost     for separated outliers about 2k + 30 products to 1e-6, then k + 1 + probe_steps for the certificates;
///          8n·steps flops per step; a test for convergence every 5 steps
/// source   thick restart: Wu & Simon 2000; residual bounds: Parlett, The Symmetric Eigenvalue Problem, ch. 4 and 11
Eigenpairs extreme_eigenpairs(const LinearOperator& op, const ExtremesOptions& options, const Basis& warm = Basis());

/// What rounding alone may add to a residual, and so to the distance of θ from an eigenvalue.
/// math     max(η, (16 + 4√n) ε)·‖A‖. A sum of n products is off by at most 8√n·ε/2 of its magnitudes, but with
///          probability 2n e^{-32}; the magnitudes of |A||y| are taken as ‖A‖: 4√n ε. The subtraction of θy, the norm,
///          ‖y‖ ≠ 1 and a ‖A‖ known from below add a few ε each: 16 ε.
/// units    noise_floor η: relative rounding of the products, 0 for float64
/// source   Higham & Mary 2019, theorem 3.1 with λ = 8
double eigenvalue_rounding(double noise_floor, Index size, double norm);

/// That of a solve.
double rounding_of(const ExtremesState& state);

}  // namespace hone
