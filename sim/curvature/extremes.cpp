#include "sim/curvature/extremes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/curvature/extremes_certificates.hpp"

namespace hone {
namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
constexpr Index check_interval = 5;
const Basis nothing_locked;

Vector<double> random_vector(Index n, std::uint64_t seed, std::int64_t number) {
  const Stream stream{seed, Domain::lanczos, static_cast<std::uint32_t>(number)};
  Vector<double> v(n);
  for (Index i = 0; i < n; ++i) v[i] = normal(stream, std::uint64_t(i));
  return v;
}

Index count_wanted(const ExtremesOptions& o) { return Index(o.count_largest) + o.count_smallest; }

/// Products kept back for verifying the pairs once: residuals, one column of the recurrence, one probe.
std::int64_t verification_products(const ExtremesOptions& o) { return count_wanted(o) + 1 + o.probe_steps; }

void check_options(const ExtremesOptions& o, Index n) {
  const Index k = count_wanted(o);
  if (o.count_largest < 0 || o.count_smallest < 0 || k < 1 || k > n)
    throw OptionError(
        fmt::format("eigenpairs: count_largest {} + count_smallest {} must lie in 1 to {}, the size of "
                    "the operator; ask for fewer",
                    o.count_largest, o.count_smallest, n));
  if (o.block < 1 || o.probe_steps < 0 || o.rounds_max < 0)
    throw OptionError(
        fmt::format("eigenpairs: block {} must be at least 1, probe_steps {} and rounds_max {} at least 0", o.block,
                    o.probe_steps, o.rounds_max));
  if (!(o.tolerance > 0 && o.tolerance < 1 && o.noise_floor >= 0 && o.noise_floor < 0.1))
    throw OptionError(fmt::format("eigenpairs: tolerance = {} must lie in (0, 1) and noise_floor = {} in [0, 0.1)",
                                  o.tolerance, o.noise_floor));
  if (o.steps_max < std::min<Index>(n, k + o.block + 2))
    throw OptionError(
        fmt::format("eigenpairs: steps_max {} leaves no room beside {} pairs and block {}; set it to {} "
                    "or more",
                    o.steps_max, k, o.block, std::min<Index>(n, k + o.block + 2)));
  if (o.products_max < verification_products(o) + std::min<Index>(n, k + o.block))
    throw OptionError(
        fmt::format("eigenpairs: products_max {} is below the {} that {} pairs with probe_steps {} take "
                    "at least; raise it",
                    o.products_max, verification_products(o) + std::min<Index>(n, k + o.block), k, o.probe_steps));
  if (extremes_bytes(o, n) > o.memory_max_bytes)
    throw OptionError(
        fmt::format("eigenpairs: {} bytes for size {} with steps_max {} pass memory_max_bytes {}; lower "
                    "steps_max (about {} bytes each) or raise the limit",
                    extremes_bytes(o, n), n, o.steps_max, o.memory_max_bytes, 8 * n));
}

/// Indices of the wanted pairs in an ascending list of `count`, descending by value; all when there are too few.
std::vector<Index> wanted_of(const ExtremesOptions& o, Index count) {
  std::vector<Index> wanted;
  const Index top = std::min<Index>(o.count_largest, count), bottom = std::min<Index>(o.count_smallest, count - top);
  for (Index i = 0; i < top; ++i) wanted.push_back(count - 1 - i);
  for (Index i = bottom; i > 0; --i) wanted.push_back(i - 1);
  return wanted;
}

/// The wanted pairs that are not yet within the tolerance. A tenth is kept for the rounding of the fresh residual.
std::vector<Index> unconverged(const ExtremesState& s, const RitzPairs& ritz) {
  const double limit = 0.9 * std::max(s.options.tolerance, 10 * std::max(s.options.noise_floor, epsilon)) * s.norm;
  std::vector<Index> open;
  for (Index i : wanted_of(s.options, ritz.values.size()))
    if (!(ritz.residual_estimates[i] <= limit)) open.push_back(i);
  return open;
}

/// Starting directions, or new ones when the space so far is invariant and wanted pairs may lie outside it.
void draw_directions(ExtremesState& s, const Basis& warm) {
  for (int b = 0; b < s.options.block; ++b) {
    Vector<double> start = random_vector(s.size, s.options.seed, s.drawn++);
    Vector<double> near = Vector<double>::Zero(s.size);
    for (Index i = b; i < warm.cols(); i += s.options.block) near += warm.col(i) / warm.col(i).norm();
    if (near.norm() > 0) start = near / near.norm() + 0.01 * start / start.norm();
    add_direction(s.space, start, nothing_locked, s.space.pending);
  }
}

/// Keeps the wanted pairs and half of what else fits, the neighbours of the wanted ones on either side.
void restart_space(ExtremesState& s, const RitzPairs& ritz) {
  const ExtremesOptions& o = s.options;
  const Index k = count_wanted(o);
  const Index limit = std::min<Index>(o.steps_max, s.space.room() - s.space.pending);
  ExtremesOptions more = o;
  const int extra = int(std::max<Index>(0, (limit - k - s.space.pending) / 2));
  more.count_smallest += extra * o.count_smallest / int(k);
  more.count_largest += extra - extra * o.count_smallest / int(k);
  restart(s.space, ritz, wanted_of(more, ritz.values.size()));
  ++s.restarts;
}

bool is_full(const KrylovSpace& space, const ExtremesOptions& o) {
  return space.columns >= o.steps_max || space.columns + space.pending >= space.room();
}

/// Ends the expansion: the wanted Ritz pairs become candidates, and every one will be verified by a product.
void begin_verification(ExtremesState& s, const RitzPairs& ritz, ExtremesStop stop) {
  const std::vector<Index> wanted = wanted_of(s.options, ritz.values.size());
  Basis coefficients(s.space.columns, Index(wanted.size()));
  s.values.resize(coefficients.cols());
  for (size_t i = 0; i < wanted.size(); ++i) {
    coefficients.col(Index(i)) = ritz.coefficients.col(wanted[i]);
    s.values[Index(i)] = ritz.values[wanted[i]];
  }
  s.vectors = combination(s.space, coefficients);
  s.residuals.setZero(s.values.size());
  s.shifts.setZero(s.values.size());
  s.largest = std::min<Index>(s.options.count_largest, s.values.size());
  s.stop = stop;
  const Index rest = s.space.columns - s.values.size();
  if (stop == ExtremesStop::whole_space && rest > 0) {
    const Index below = s.values.size() - s.largest;
    s.upper = {ritz.values[below + rest - 1], 0}, s.lower = {ritz.values[below], 0};
  }
  s.phase = ExtremesPhase::residuals;
  s.cursor = 0;
}

void after_expansion(ExtremesState& s) {
  const ExtremesOptions& o = s.options;
  KrylovSpace& space = s.space;
  const bool exhausted = s.products >= o.products_max - verification_products(o);
  const bool full = is_full(space, o) && space.columns < s.size;
  if (space.columns < s.next_check && space.pending > 0 && !full && !exhausted) return;
  const RitzPairs ritz = ritz_pairs(space);
  s.norm = std::max({s.norm, space.scale, std::abs(ritz.values[0]), std::abs(ritz.values[space.columns - 1])});
  s.ritz_min = std::min(s.ritz_min, ritz.values[0]);
  const std::vector<Index> open = unconverged(s, ritz);
  if (space.columns == s.size) return begin_verification(s, ritz, ExtremesStop::whole_space);
  if (open.empty() && space.columns >= count_wanted(o)) return begin_verification(s, ritz, ExtremesStop::converged);
  if (exhausted) return begin_verification(s, ritz, ExtremesStop::products_exhausted);
  // A block keeps its order; directions that a probe added are waiting, and the open residuals go before them.
  if (space.pending > o.block) aim(space, ritz, open);
  if (full) restart_space(s, ritz);
  if (space.pending == 0) draw_directions(s, nothing_locked);
  s.next_check = space.columns + check_interval;
}

/// A cold direction off the found pairs and the probe so far; false when there is none left.
bool draw_probe(ExtremesState& s) {
  return add_direction(s.probe, random_vector(s.size, s.options.seed, s.drawn++), s.vectors, 0);
}

void begin_probe(ExtremesState& s) {
  const Index steps = std::min<Index>(s.options.probe_steps, s.size - s.vectors.cols());
  s.is_probed = false;
  s.phase = ExtremesPhase::done;
  if (s.stop == ExtremesStop::whole_space || steps == 0) return;
  s.probe = make_space(s.size, steps + 1);
  if (draw_probe(s)) s.phase = ExtremesPhase::probe;
}

/// Indices of the probe's Ritz pairs that belong to the wanted ones, most extreme first: outside the found ends by more
/// than the found residuals can explain (Weyl: off the found pairs the deflated operator is within ‖R‖ of A).
std::vector<Index> missed_pairs(const ExtremesState& s, const RitzPairs& ritz) {
  const double slack = s.residuals.norm() + rounding_of(s);
  const Index count = ritz.values.size(), top = std::min(s.largest, count);
  const Index bottom = std::min(s.values.size() - s.largest, count);
  std::vector<Index> missed;
  for (Index i = 0; i < top; ++i)
    if (ritz.values[count - 1 - i] > s.values[s.largest - 1] + slack) missed.push_back(count - 1 - i);
  for (Index i = 0; i < bottom; ++i)
    if (ritz.values[i] < s.values[s.largest] - slack) missed.push_back(i);
  return missed;
}

/// Hands missed vectors to the solver as its next directions, as many as there is room for.
/// ensures  false when the solver has no direction left to go on with
bool add_missed(ExtremesState& s, const RitzPairs& ritz, const std::vector<Index>& missed) {
  Basis coefficients(s.probe.columns, Index(missed.size()));
  for (size_t i = 0; i < missed.size(); ++i) coefficients.col(Index(i)) = ritz.coefficients.col(missed[i]);
  const Basis found = combination(s.probe, coefficients);
  const Index room = std::min<Index>(s.options.steps_max, s.size) - count_wanted(s.options) - 2;
  if (s.space.pending + 1 > room) return false;
  if (s.space.columns + s.space.pending + found.cols() >= std::min<Index>(s.options.steps_max, s.space.room()))
    restart_space(s, ritz_pairs(s.space));
  Index added = 0;
  for (Index i = 0; i < found.cols() && s.space.pending + 1 <= room && !is_full(s.space, s.options); ++i)
    added += add_direction(s.space, found.col(i), nothing_locked, added);
  s.next_check = s.space.columns + std::max<Index>(1, added);
  return s.space.pending > 0;
}

void after_probe(ExtremesState& s) {
  // An invariant space that ends early goes on from another cold vector: it may hold further copies.
  if (s.probe.columns + 1 < s.probe.room() && (s.probe.pending > 0 || draw_probe(s))) return;
  const RitzPairs ritz = ritz_pairs(s.probe);
  const Index last = ritz.values.size() - 1;
  s.upper = {ritz.values[last], ritz.residual_estimates[last]};
  s.lower = {ritz.values[0], ritz.residual_estimates[0]};
  const std::vector<Index> missed = missed_pairs(s, ritz);
  s.is_probed = true;
  s.is_complete = missed.empty();
  s.phase = ExtremesPhase::done;
  if (s.is_complete || s.stop != ExtremesStop::converged) return;
  s.stop = ExtremesStop::incomplete;
  const bool affordable = s.products + 1 < s.options.products_max - verification_products(s.options);
  if (s.rounds >= s.options.rounds_max || !affordable || !add_missed(s, ritz, missed)) return;
  ++s.rounds;
  s.phase = ExtremesPhase::expand;
}

Vector<double> next_input(const ExtremesState& s) {
  switch (s.phase) {
    case ExtremesPhase::expand: return s.space.basis.col(s.space.columns);
    case ExtremesPhase::residuals: return s.vectors.col(s.cursor);
    case ExtremesPhase::recurrence: return s.space.basis.col(s.cursor);
    default: return s.probe.basis.col(s.probe.columns);
  }
}

/// Residual of the candidate at the cursor, and what its value departs from the Rayleigh quotient by.
void verify_pair(ExtremesState& s, const Vector<double>& product) {
  const auto y = s.vectors.col(s.cursor);
  const Vector<double> residual = product - s.values[s.cursor] * y;
  s.residuals[s.cursor] = residual.norm();
  s.shifts[s.cursor] = std::abs(y.dot(residual));
}

void take_product(ExtremesState& s, const Vector<double>& product) {
  switch (s.phase) {
    case ExtremesPhase::expand:
      absorb(s.space, product, nothing_locked, s.options.block);
      ++s.steps;
      return after_expansion(s);
    case ExtremesPhase::residuals:
      verify_pair(s, product);
      if (++s.cursor < s.values.size()) return;
      s.cursor = Index(
          below({s.options.seed, Domain::lanczos, 1u << 31}, std::uint64_t(s.rounds), std::uint64_t(s.space.columns)));
      s.phase = ExtremesPhase::recurrence;
      return;
    case ExtremesPhase::recurrence: s.recurrence = recurrence_defect(s.space, s.cursor, product); return begin_probe(s);
    default: absorb(s.probe, product, s.vectors, 1); return after_probe(s);
  }
}

}  // namespace

std::int64_t extremes_bytes(const ExtremesOptions& o, Index n) {
  const Index room = std::min<Index>(o.steps_max, n) + o.block, k = count_wanted(o);
  const Index probe = std::min<Index>(o.probe_steps, n) + 1;
  return 8 * (n * (room + probe + 2 * k + 6) + 4 * (room * room + probe * probe));
}

ExtremesState start_extremes(const ExtremesOptions& options, Index n, const Basis& warm) {
  check_options(options, n);
  EXPECTS(warm.cols() == 0 || warm.rows() == n, "eigenpairs: warm vectors of length {} for size {}", warm.rows(), n);
  EXPECTS(warm.allFinite() && (warm.cols() == 0 || warm.colwise().norm().minCoeff() > 0),
          "eigenpairs: a warm vector is zero or not finite");
  ExtremesState s;
  s.options = options;
  s.size = n;
  s.space = make_space(n, std::min<Index>(options.steps_max, n) + options.block);
  draw_directions(s, warm);
  s.next_check = std::min<Index>(n, count_wanted(options) + check_interval);
  return s;
}

void advance(ExtremesState& s, const LinearOperator& op, std::int64_t products) {
  EXPECTS(op.size == s.size, "eigenpairs: operator of size {}, solve of size {}", op.size, s.size);
  Vector<double> v, product;
  for (; products > 0 && s.phase != ExtremesPhase::done; --products) {
    v = next_input(s);
    op.apply(v, product);
    ++s.products;
    if (!product.allFinite()) {
      s.stop = ExtremesStop::not_finite;
      s.phase = ExtremesPhase::done;
      return;
    }
    take_product(s, product);
  }
}

Eigenpairs extreme_eigenpairs(const LinearOperator& op, const ExtremesOptions& options, const Basis& warm) {
  ExtremesState state = start_extremes(options, op.size, warm);
  advance(state, op, std::numeric_limits<std::int64_t>::max());
  return eigenpairs_of(state);
}

double eigenvalue_rounding(double noise_floor, Index size, double norm) {
  return std::max(noise_floor, (16 + 4 * std::sqrt(double(size))) * epsilon) * norm;
}

double rounding_of(const ExtremesState& s) { return eigenvalue_rounding(s.options.noise_floor, s.size, s.norm); }

}  // namespace hone
