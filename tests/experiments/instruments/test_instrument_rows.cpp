#include <doctest/doctest.h>

#include <cmath>

#include "sim/record/schema.hpp"
#include "tests/experiments/program.hpp"

TEST_SUITE_BEGIN("experiments");

namespace hone::test {

TEST_CASE("preconditioned: Adam's sharpness at every trunk checkpoint, with its bound and 38 over the learning rate") {
  const Workplace& place = quick();
  constexpr const schema::Preconditioned& f = schema::preconditioned;
  for (size_t i = 0; i < place.runs().size(); ++i) {
    const RunFile file = place.read(i);
    const Dataset &rows = file.group(f.group), &points = file.group(schema::checkpoints.group);
    const auto &lambda = values_of(rows, f.lambda_max), &bound = values_of(rows, f.lambda_max_bound);
    for (size_t row = 0; row < lambda.size(); ++row) {
      const bool is_average = values_of(points, schema::checkpoints.kind)[row] == "average";
      CHECK(std::isnan(lambda[row]) == is_average);
      if (is_average) continue;
      CHECK(lambda[row] > 0);
      CHECK(bound[row] < 0.05 * lambda[row]);
      const double lr = values_of(points, schema::checkpoints.lr)[row];
      const double threshold = values_of(rows, f.stability_threshold)[row];
      if (lr > 0) CHECK(threshold == doctest::Approx(38 / lr));
      if (lr == 0) CHECK(std::isinf(threshold));
    }
  }
}

TEST_CASE("preconditioned: 0 steps leave the group out") {
  const Workplace place(replaced(tiny_text(), "[measure]\n", "[measure]\npreconditioned_steps = 0\n"));
  REQUIRE(place.says("run", alone).code == 0);
  CHECK(!place.read(0).groups.contains(schema::preconditioned.group));
  CHECK(place.read(0).groups.contains(schema::curvature.group));
}

TEST_CASE("ptq: without each window's first order the damage at 6 bits is known far better than with it") {
  const Workplace& place = quick();
  constexpr const schema::Ptq& f = schema::ptq;
  for (size_t i = 0; i < place.runs().size(); ++i) {
    const RunFile file = place.read(i);
    const Dataset& rows = file.group(f.group);
    const auto& bits = values_of(rows, f.bits);
    const auto &delta = values_of(rows, f.delta_se_nats), &remainder = values_of(rows, f.remainder_se_nats);
    for (size_t at = 0; at < delta.size(); ++at)
      if (bits[at % bits.size()] == 6) CHECK(remainder[at] < 0.2 * delta[at]);
  }
}

}  // namespace hone::test
