#include "sim/curvature/preconditioner.hpp"

#include <cmath>

#include "sim/base/error.hpp"

namespace hone {

template <class S>
Vector<double> adam_preconditioner(const OptimizerOptions& options, const OptimizerState<S>& state) {
  EXPECTS(options.kind == OptimizerKind::adamw && !state.second.empty(),
          "adam_preconditioner: the state has no second moment; give the state of AdamW");
  EXPECTS(state.step >= 1, "adam_preconditioner: no step done; P is undefined before the first");
  const double correct1 = 1 - std::pow(options.beta1, double(state.step));
  const double correct2 = 1 - std::pow(options.beta2, double(state.step));
  Vector<double> d(Index(state.second.size()));
  for (Index i = 0; i < d.size(); ++i)
    d[i] = 1 / std::sqrt(correct1 * (std::sqrt(double(state.second[size_t(i)]) / correct2) + options.eps));
  return d;
}

double stability_threshold(const OptimizerOptions& options, double lr) {
  EXPECTS(lr > 0, "stability_threshold: learning rate {}", lr);
  const double plain = (2 + 2 * options.beta1) / lr;
  return options.kind == OptimizerKind::adamw ? plain / (1 - options.beta1) : plain;
}

template Vector<double> adam_preconditioner<float>(const OptimizerOptions&, const OptimizerState<float>&);
template Vector<double> adam_preconditioner<double>(const OptimizerOptions&, const OptimizerState<double>&);

}  // namespace hone
