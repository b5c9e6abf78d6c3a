// The subspace that the eigenpair solver grows: an orthonormal basis V with the operator projected on it, and the
// orthonormal directions Q that the products so far point to and that are not yet part of V:
//   A V = [V Q] P,   V (n,c), Q (n,p), P (c+p,c).
// A single random start makes it Lanczos (p = 1), b starts make it block Lanczos; directions can be added at any time
// with coupling 0, and a thick restart is a change of basis of V.
#pragma once

#include <vector>

#include "sim/curvature/lanczos.hpp"

namespace hone {

struct KrylovSpace {
  Basis basis;        ///< (n, room): [V | Q | free]
  Basis projected;    ///< (room, room): the first c columns hold P
  Index columns = 0;  ///< c
  Index pending = 0;  ///< p
  double scale = 0;   ///< largest ‖A v‖ of a basis vector so far: a lower bound of ‖A‖

  Index room() const { return basis.cols(); }
};

/// An empty space with room for `room` vectors of length n.
KrylovSpace make_space(Index n, Index room);

/// Adds the part of x that is orthogonal to V, Q and `locked` to Q, at place `place` of it.
/// shapes   x (n), locked (n,l), orthonormal
/// expects  columns + pending < room, place ≤ pending
/// ensures  false and no change when x lies in the span already, to 100 ε ‖x‖, or when nothing else is left
bool add_direction(KrylovSpace& space, Vector<double> x, const Basis& locked, Index place);

/// Moves the first pending direction q into V, given product = A q, and appends what the product adds to Q at place
/// `width - 1` (or at the end of a shorter Q). With `locked` the operator is the one projected off locked.
/// math     two passes w -= V(V'w) of classical Gram-Schmidt, more while a pass still halves w; the rest is dropped when
///          it is ≤ 10 ε scale, so that an exact invariant subspace ends with p = 0 for the zero matrix too
/// expects  pending ≥ 1, columns + pending < room
/// cost     8n(c+p) flops.
/// source   Giraud et al. 2005 ("twice is enough"); band form: Ruhe 1979
void absorb(KrylovSpace& space, const Vector<double>& product, const Basis& locked, Index width);

/// Ritz pairs of V, ascending: θ, coefficients of the Ritz vectors on V, and the residual norms ‖Q-part of A V s‖.
struct RitzPairs {
  Vector<double> values, residual_estimates;
  Basis coefficients;  ///< (c,c), one Ritz vector per column
};
/// expects  columns ≥ 1.
/// cost     about 10 c³ flops
RitzPairs ritz_pairs(const KrylovSpace& space);

/// Thick restart: V becomes the Ritz vectors `kept` (indices into `ritz`), P their values and couplings to the same Q.
/// source   Wu & Simon 2000
void restart(KrylovSpace& space, const RitzPairs& ritz, const std::vector<Index>& kept);

/// Rotates Q within its span so that its first vectors carry the residuals of the Ritz pairs `wanted`, in that order.
void aim(KrylovSpace& space, const RitzPairs& ritz, const std::vector<Index>& wanted);

/// V S.
/// shapes  coefficients S (c,k), result (n,k)
Basis combination(const KrylovSpace& space, const Basis& coefficients);

/// max |B'B - I|; 0 when there is no column.
double orthogonality_defect(const Eigen::Ref<const Basis>& b);

/// ‖A v_j - [V Q] P e_j‖ given product = A v_j.
/// expects  column < columns
double recurrence_defect(const KrylovSpace& space, Index column, const Vector<double>& product);

}  // namespace hone
