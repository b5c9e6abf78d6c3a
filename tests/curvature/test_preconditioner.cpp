#include "sim/curvature/preconditioner.hpp"

#include "sim/base/error.hpp"
#include "tests/support/near.hpp"
#include "tests/support/operators.hpp"

namespace hone {
namespace {

TEST_CASE("adam_preconditioner: P^-1/2 by hand, bias corrections included [step 2, 3 parameters, eps 0.5]") {
  OptimizerOptions options;
  options.beta1 = 0.9, options.beta2 = 0.99, options.eps = 0.5;
  // 1 - 0.9² = 0.19 and 1 - 0.99² = 0.0199, so v̂ = 4, 0, 0.25 and P = 0.19·(2.5, 0.5, 1).
  const OptimizerState<double> state{2, {0, 0, 0}, {4 * 0.0199, 0, 0.25 * 0.0199}};
  const Vector<double> d = adam_preconditioner(options, state);
  REQUIRE(d.size() == 3);
  const double p[] = {0.475, 0.095, 0.19};
  for (Index i = 0; i < 3; ++i) CHECK_NEAR(1 / (d[i] * d[i]), p[i], 1e-13, 0);
}

TEST_CASE("adam_preconditioner: states of SGD and states without a step are refused") {
  OptimizerOptions options;
  CHECK_THROWS_AS(adam_preconditioner(options, OptimizerState<float>{0, {0}, {0}}), ContractError);
  options.kind = OptimizerKind::sgd;
  CHECK_THROWS_AS(adam_preconditioner(options, OptimizerState<float>{3, {0}, {}}), ContractError);
}

TEST_CASE("stability_threshold: 38/lr for AdamW at 0.9, 3.8/lr for SGD at 0.9, 2/lr without momentum") {
  OptimizerOptions options;
  options.beta1 = 0.9;
  CHECK_NEAR(stability_threshold(options, 0.01), 3800, 1e-14, 0);
  options.kind = OptimizerKind::sgd;
  CHECK_NEAR(stability_threshold(options, 0.01), 380, 1e-14, 0);
  options.beta1 = 0;
  CHECK_NEAR(stability_threshold(options, 0.01), 200, 1e-14, 0);
  CHECK_THROWS_AS(stability_threshold(options, 0), ContractError);
}

/// |θ| after `steps` updates on ½·curvature·θ² from θ = 1, or as soon as it is above 100: Adam's v grows with the
/// gradient and would bring θ back.
double size_after(const OptimizerOptions& options, OptimizerState<double> state, double curvature, double lr,
                  int steps) {
  ParamLayout layout;
  layout.add("w", -1, Role::norm, 1, 1);
  double theta = 1;
  for (int i = 0; i < steps && std::abs(theta) <= 100; ++i) {
    double gradient = curvature * theta;
    update(options, layout, lr, &theta, &gradient, state);
  }
  return std::abs(theta);
}

TEST_CASE("preconditioned sharpness: the project's own updates shrink 2 % below the threshold and grow 2 % above it") {
  const double lr = 0.03;
  OptimizerOptions adam;
  adam.beta1 = 0.8, adam.clip_norm = 0;
  // So old that neither v nor its correction moves while the test runs.
  adam.beta2 = 1 - 1e-12;
  const OptimizerState<double> old{1000000000000, {0.0}, {9.0}};
  const double d = adam_preconditioner(adam, old)[0];
  OptimizerOptions sgd;
  sgd.kind = OptimizerKind::sgd, sgd.beta1 = 0.8, sgd.clip_norm = 0;
  for (double share : {0.98, 1.02}) {
    CAPTURE(share);
    const double adam_size = size_after(adam, old, share * stability_threshold(adam, lr) / (d * d), lr, 2000);
    const double sgd_size = size_after(sgd, {0, {0.0}, {}}, share * stability_threshold(sgd, lr), lr, 2000);
    CHECK((share < 1 ? adam_size < 1e-3 : adam_size > 100));
    CHECK((share < 1 ? sgd_size < 1e-3 : sgd_size > 100));
  }
}

}  // namespace
}  // namespace hone
