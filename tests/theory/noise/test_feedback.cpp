#include "theory/noise/feedback.hpp"

#include <rapidcheck.h>

#include <Eigen/LU>
#include <cmath>

#include "sim/base/error.hpp"
#include "tests/support/draws.hpp"
#include "tests/support/near.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

/// A A' + ridge I of a random square A.
Matrix<double> positive_definite(Index n, std::uint32_t number, double ridge = 0.1) {
  const Matrix<double> a = test::gaussian(n, n, number);
  return a * a.transpose() + ridge * Matrix<double>::Identity(n, n);
}

}  // namespace

TEST_SUITE("noise") {
  TEST_CASE("feedback_proxy: D by hand for two columns; determinant and bound for any [n to 8]") {
    Matrix<double> two(2, 2);
    two << 3, 1.2, 1.2, 2;
    CHECK_NEAR(feedback_proxy(two, 0.5, 7).feedback, 0.25 / 12 * 7 * (3 - 1.2 * 1.2 / 2 + 2), 1e-13, 0);
    CHECK_NEAR(feedback_proxy(two, 0.5, 7).nearest, 0.25 / 12 * 7 * 5, 1e-13, 0);
    CHECK(rc::check([] {
      const Index n = *rc::gen::inRange(1, 9);
      const Matrix<double> h = positive_definite(n, static_cast<std::uint32_t>(*rc::gen::inRange(0, 10000)));
      const FeedbackProxy proxy = feedback_proxy(h, std::sqrt(12.0), 1);
      RC_ASSERT(test::near(proxy.nearest, h.trace(), 1e-13));
      RC_ASSERT(proxy.feedback <= h.trace() * (1 + 1e-13));
      // tr D ≥ n (det H)^(1/n), for det D = det H.
      RC_ASSERT(proxy.feedback >= double(n) * std::pow(h.determinant(), 1.0 / double(n)) * (1 - 1e-9));
      const Matrix<double> diagonal = h.diagonal().asDiagonal();
      RC_ASSERT(test::near(feedback_proxy(diagonal, 1, 3).feedback, feedback_proxy(diagonal, 1, 3).nearest, 1e-13));
    }));
    CHECK_THROWS_AS(feedback_proxy(-two, 1, 1), ContractError);
  }
}
