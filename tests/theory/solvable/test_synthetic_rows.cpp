#include "theory/solvable/synthetic_rows.hpp"

#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "theory/fits/fit.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

double gamma_of(const std::vector<PtqRow>& rows) {
  std::vector<Observation> o;
  for (const PtqRow& r : rows) o.push_back({{r.N, r.D, r.P}, std::log(r.delta), 0.1, 0, 0});
  return fit_linear(LawKind::ptq_exponential, o, {}).parameters[1];
}

}  // namespace

TEST_SUITE("solvable") {
  TEST_CASE("quadratic_null: prediction does not depend on D and measured damage has no exponent") {
    const auto rows = quadratic_null({});
    for (const PtqRow& r : rows)
      if (r.P == rows[0].P) CHECK(r.predicted == rows[0].predicted);
    CHECK_NEAR(gamma_of(rows), 0, 0, 0.03);
    double ratio = 0;
    for (const PtqRow& r : rows) ratio += r.delta / r.predicted;
    CHECK_NEAR(ratio / static_cast<double>(rows.size()), 1, 0.05, 0);
  }

  TEST_CASE("planted_ptq: exponents of noiseless rows are the planted ones, other seeds other noise") {
    PlantedLaw planted;
    planted.run_noise = planted.row_noise = planted.higher_noise = 0;
    CHECK_NEAR(gamma_of(planted_ptq({}, planted)), planted.gamma_d, 1e-9, 0);
    CHECK(planted_ptq({.seed = 1}, {})[0].delta != planted_ptq({.seed = 2}, {})[0].delta);
    CHECK(planted_ptq({.seed = 1}, {})[0].delta == planted_ptq({.seed = 1}, {})[0].delta);
  }
}
