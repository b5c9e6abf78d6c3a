// A Hessian product of a small transformer, against a central difference of its gradient.
#include <cstdio>

#include "sim/curvature/linearization.hpp"
#include "sim/data/synthetic.hpp"
#include "sim/model/transformer.hpp"

int main() {
  using Model = hone::Transformer<double>;
  const Model model(
      {.vocabulary = 16, .positions = 8, .layers = 1, .width = 8, .heads = 2, .kv_heads = 1, .mlp_width = 12});
  const hone::TokenBatch windows = hone::MarkovSource({.vocabulary = 16}).evaluation_windows(8, 6);
  const auto theta = model.initial_parameters(1);

  hone::Linearization<Model> linear(model, theta.data(), windows, {});
  hone::Vector<double> v = hone::Vector<double>::Ones(linear.size()), product;
  linear.hessian_product(v, product);

  const double h = 1e-5;  // (g(θ + hv) - g(θ - hv)) / 2h = Hv + O(h²)
  auto ahead = theta, behind = theta;
  for (double& t : ahead) t += h;
  for (double& t : behind) t -= h;
  const hone::Linearization<Model> at_ahead(model, ahead.data(), windows, {}),
      at_behind(model, behind.data(), windows, {});
  const hone::Vector<double> difference = (at_ahead.gradient() - at_behind.gradient()) / (2 * h);
  const double error = (product - difference).norm() / product.norm();
  std::printf("loss %.4f nats per token, |Hv| %.4f, relative distance to the difference %.1e\n", linear.loss_nats(),
              product.norm(), error);
  return error < 1e-6 ? 0 : 1;
}
