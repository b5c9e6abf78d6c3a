// A solve that is stopped anywhere goes on with the same bits.
#include <algorithm>

#include "sim/curvature/extremes.hpp"
#include "sim/curvature/extremes_certificates.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"

namespace hone {
namespace {

bool same_bits(const Eigenpairs& a, const Eigenpairs& b) {
  return a.products == b.products && a.restarts == b.restarts && a.rounds == b.rounds && a.stop == b.stop &&
         a.vectors.rows() == b.vectors.rows() && a.vectors.cols() == b.vectors.cols() &&
         (a.vectors.array() == b.vectors.array()).all() && (a.values.array() == b.values.array()).all() &&
         (a.residuals.array() == b.residuals.array()).all() && a.orthogonality == b.orthogonality &&
         a.upper.value == b.upper.value && a.upper.residual == b.upper.residual && a.norm == b.norm;
}

struct Case {
  LinearOperator op;
  ExtremesOptions options;
};

/// Restarts with a block, and a multiple eigenvalue that only a probe finds.
std::vector<Case> cases() {
  Vector<double> spectrum = Vector<double>::LinSpaced(90, -1, 1);
  spectrum.tail(4) << 2, 2, 2, 3;
  const Basis a = test::matrix_with_spectrum(spectrum, 400);
  Vector<double> doubles(24);
  for (Index i = 0; i < 24; ++i) doubles[i] = std::sqrt(double(i / 2));
  return {{test::operator_of(a), {.count_largest = 3, .count_smallest = 1, .block = 2, .steps_max = 25}},
          {test::operator_of(test::matrix_with_spectrum(doubles, 401)),
           {.count_largest = 5, .steps_max = 14, .probe_steps = 10}}};
}

TEST_CASE("resume: a solve stepped one product at a time has the bits of one call") {
  for (const Case& c : cases()) {
    const Eigenpairs whole = extreme_eigenpairs(c.op, c.options);
    ExtremesState state = start_extremes(c.options, c.op.size);
    std::int64_t calls = 0;
    for (; state.phase != ExtremesPhase::done; ++calls) advance(state, c.op, 1);
    CHECK(calls == whole.products);
    CHECK(same_bits(eigenpairs_of(state), whole));
    CHECK(whole.restarts > 0);
  }
}

TEST_CASE("resume: a copy taken after any product ends with the same bits, whatever becomes of the original") {
  std::vector<int> phases(5);
  int rounds = 0;
  for (const Case& c : cases()) {
    const Eigenpairs whole = extreme_eigenpairs(c.op, c.options);
    rounds += whole.rounds;
    for (std::int64_t cut = 0; cut <= whole.products; cut += 3) {
      ExtremesState state = start_extremes(c.options, c.op.size);
      advance(state, c.op, cut);
      ++phases[size_t(state.phase)];
      ExtremesState copy = state;
      advance(state, c.op, 1);
      advance(copy, c.op, whole.products);
      CHECK(same_bits(eigenpairs_of(copy), whole));
    }
  }
  CHECK(rounds > 0);
  for (int phase = 0; phase < 4; ++phase) CHECK(phases[size_t(phase)] > 0);
}

}  // namespace
}  // namespace hone
