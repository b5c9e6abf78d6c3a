#include "sim/curvature/directional.hpp"

#include "sim/base/mean.hpp"
#include "sim/curvature/linearization.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone {
namespace {

struct SlopesCase {
  TransformerOptions options = test::tiny_llama();
  Transformer<double> model{options};
  TokenBatch data = test::random_tokens(options, 7, 1);
  Vector<double> theta = test::random_parameters(model.layout(), 2);
  std::vector<AlignedVector<double>> directions;

  SlopesCase() {
    for (std::uint64_t seed : {3, 4}) {
      const Vector<double> v = test::normals(theta.size(), seed);
      directions.emplace_back(v.begin(), v.end());
    }
  }
  std::vector<std::vector<double>> slopes(ChunkOptions chunks) const {
    return example_slopes(model, theta.data(), directions, data, chunks);
  }
};

TEST_CASE("directional: each example's slope is the difference quotient of its loss [transformer, 1e-7]") {
  SlopesCase c;
  const auto slopes = c.slopes({10, 1});
  Objective<Transformer<double>> objective(c.model, {10, 1});
  constexpr double step = 1e-6;
  for (size_t j = 0; j < c.directions.size(); ++j) {
    const auto losses = [&](double t) {
      Vector<double> at = c.theta;
      for (Index i = 0; i < at.size(); ++i) at[i] += t * c.directions[j][size_t(i)];
      return objective.example_losses(at.data(), c.data);
    };
    const std::vector<double> above = losses(step), below = losses(-step);
    REQUIRE(slopes[j].size() == 7);
    for (size_t e = 0; e < 7; ++e) CHECK_NEAR(slopes[j][e], (above[e] - below[e]) / (2 * step), 1e-7, 1e-8);
  }
}

TEST_CASE("directional: the mean over examples is the gradient times the direction [1e-13]") {
  SlopesCase c;
  Linearization<Transformer<double>> linear(c.model, c.theta.data(), c.data, {{10, 1}, 0});
  const auto slopes = c.slopes({10, 1});
  for (size_t j = 0; j < c.directions.size(); ++j) {
    const ConstVecView<double> v(c.directions[j].data(), c.theta.size());
    CHECK_NEAR(mean_with_error(slopes[j]).mean, linear.gradient().dot(v), 1e-13, 1e-12);
  }
}

TEST_CASE("directional: equal bits for 1, 2 and 3 threads, and for a direction alone or among others") {
  SlopesCase c;
  const auto one = c.slopes({10, 1});
  CHECK(c.slopes({10, 2}) == one);
  CHECK(c.slopes({10, 3}) == one);
  c.directions.erase(c.directions.begin());
  CHECK(c.slopes({10, 2}).front() == one[1]);
}

}  // namespace
}  // namespace hone
