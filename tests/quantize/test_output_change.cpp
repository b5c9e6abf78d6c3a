// The comparison of two models' outputs against plain recomputation, and its limits.
#include "sim/quantize/output_change.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "sim/quantize/weights.hpp"
#include "tests/support/near.hpp"
#include "tests/support/tiny_models.hpp"

namespace hone::test {
namespace {

struct Setting {
  Transformer<double> model{tiny_llama()};
  Vector<double> theta = random_parameters(model.layout(), 1);
  TokenBatch data = random_tokens(model.options(), 7, 2);
};

OutputChange compare(const Setting& s, const double* changed, const Precision& precision = {}, int threads = 1) {
  return compare_outputs<double>({s.model, s.theta.data(), {}}, {s.model, changed, precision}, s.data, {10, threads});
}

TEST_CASE("output_change: a model against itself changes nothing") {
  const Setting s;
  const OutputChange same = compare(s, s.theta.data());
  CHECK(same.loss.mean == 0);
  CHECK(same.top1_agreement.mean == 1);
  CHECK(std::abs(same.kl_nats.mean) < 1e-14);
  CHECK(same.kl_nats.count == 7);
}

TEST_CASE("output_change: loss, divergence and agreement equal sums over softmax tables") {
  const Setting s;
  const auto quantized = quantize_weights(s.theta.data(), s.model.layout(), Quantizer{.bits = 2});
  const OutputChange change = compare(s, quantized.theta.data());
  auto a = s.model.make_acts(7), b = s.model.make_acts(7);
  s.model.forward(s.theta.data(), s.data, 0, a, {});
  s.model.forward(quantized.theta.data(), s.data, 0, b, {});
  double kl = 0, same = 0, loss = 0;
  const Index rows = a.probs.rows;
  for (Index r = 0; r < rows; ++r) {
    const auto p = a.probs.view().row(r), q = b.probs.view().row(r);
    Index top_p, top_q;
    p.maxCoeff(&top_p), q.maxCoeff(&top_q);
    same += top_p == top_q;
    for (Index v = 0; v < p.size(); ++v) kl += p[v] * std::log(p[v] / q[v]);
    const auto target = Index(a.targets[size_t(r)]);
    loss += std::log(p[target] / q[target]);
  }
  CHECK_NEAR(change.kl_nats.mean, kl / double(rows), 1e-11, 0);
  CHECK(change.kl_nats.mean > 0.01);
  CHECK_NEAR(change.top1_agreement.mean, same / double(rows), 1e-14, 0);
  CHECK(change.top1_agreement.mean < 1);
  CHECK_NEAR(change.loss.mean, loss / double(rows), 1e-11, 0);
}

TEST_CASE("output_change: bits do not depend on the thread count, and the precision of the second model counts") {
  const Setting s;
  Precision precision;
  precision.activation.bits = 3;
  const OutputChange one = compare(s, s.theta.data(), precision, 1), two = compare(s, s.theta.data(), precision, 3);
  CHECK(one.kl_nats.mean > 0.001);
  CHECK(one.kl_nats.mean == two.kl_nats.mean);
  CHECK(one.kl_nats.standard_error == two.kl_nats.standard_error);
  CHECK(one.loss.mean == two.loss.mean);
}

TEST_CASE("output_change: models of other vocabularies are refused") {
  const Setting s;
  TransformerOptions wider = tiny_llama();
  wider.vocabulary = 12;
  const Transformer<double> other(wider);
  const Vector<double> theta = random_parameters(other.layout(), 1);
  CHECK_THROWS_AS(compare_outputs<double>({s.model, s.theta.data(), {}}, {other, theta.data(), {}}, s.data, {10, 1}),
                  ContractError);
}

}  // namespace
}  // namespace hone::test
