#include "sim/model/mlp.hpp"

#include "sim/model/mlp_passes.hpp"

namespace hone {

void MlpOptions::validate() const {
  std::vector<std::string> wrong;
  if (widths.size() < 2)
    wrong.push_back(fmt::format("widths has {} values (expected inputs, hidden …, outputs)", widths.size()));
  for (size_t i = 0; i < widths.size(); ++i)
    if (widths[i] < 1) wrong.push_back(fmt::format("widths[{}] = {} (expected at least 1)", i, widths[i]));
  if (loss == MlpLoss::softmax_xent && !widths.empty() && widths.back() < 2)
    wrong.push_back(fmt::format("last width = {} (softmax needs at least 2 classes)", widths.back()));
  if (!wrong.empty()) throw OptionError(fmt::format("model: {}", fmt::join(wrong, "; ")));
}

ParamLayout MlpOptions::layout() const {
  ParamLayout layout;
  for (Index l = 0; l < linears(); ++l) {
    layout.add(fmt::format("W{}", l + 1), int(l), Role::matrix, widths[size_t(l) + 1], widths[size_t(l)]);
    if (bias) layout.add(fmt::format("b{}", l + 1), int(l), Role::bias, 1, widths[size_t(l) + 1]);
  }
  return layout;
}

template class Mlp<float>;
template class Mlp<double>;
template struct MlpActs<float>;
template struct MlpActs<double>;

}  // namespace hone
