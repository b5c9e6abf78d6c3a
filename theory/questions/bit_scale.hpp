// What weights at few bits in training are worth in full-precision parameters, and the scale of that in bits: the law
// N_eff = N (1 - exp(-P/gamma_w)) of Kumar et al., on the losses of a study.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "theory/questions/loss_fit.hpp"

namespace hone::theory {

/// A trunk whose weights were trained at few bits, beside the trunk in full precision of equal size, tokens, seed and
/// recipe.
struct LowWeightModel : Subject {
  double rise = 0;  ///< its loss at the precision of training minus that of full precision, nats
};
using LowWeightModels = std::vector<LowWeightModel>;

/// Transformer trunks of any arm and procedure with weights below 16 bits and all else at 8 bits or more.
/// ensures `unpaired` counts those without a twin in full precision
LowWeightModels low_weight_models(const std::vector<LossRow>& losses, int& unpaired);

/// ln N_eff/N of a model by a law of the losses; N of a model with experts is what a token passes.
/// math    f = N_eff/N from the rise of the loss (Kumar et al. Eq 30)
double log_share(const TrainingLaw& law, const LowWeightModel& model);

/// ln (1 - exp(-P/gamma_w)).
double log_share_of_scale(double bits, double log_scale);

/// ln gamma_w of least squares of ln N_eff/N over some of the models.
/// math    minimum over ln gamma_w of Σ (ln f - ln(1 - exp(-P/gamma_w)))²: losses of all widths are known about equally
///         well, and so are the ln f
/// ensures NaN where some ln f is not known, there is no model, or the minimum lies at a bound of 0.05 to 50 bits
/// cost    about 200 values of the law per width
double log_scale_of(const TrainingLaw& law, const LowWeightModels& models, const std::vector<std::size_t>& some);

/// Interval of a number of some models under the law; its trajectories are those of these models alone.
/// shapes  `chosen` are places in `models`; the statistic gets places in `models` too
Interval interval_of_models(const LawWithError& law, const LowWeightModels& models,
                            const std::vector<std::size_t>& chosen,
                            const std::function<double(const TrainingLaw&, const std::vector<std::size_t>&)>& statistic,
                            const IntervalOptions& options);

/// Places of the models that fulfil a condition.
template <class Condition>
std::vector<std::size_t> places_of(const LowWeightModels& models, Condition&& condition) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < models.size(); ++i)
    if (condition(models[i])) places.push_back(i);
  return places;
}

/// Trajectories behind some models.
int trajectories_of(const LowWeightModels& models, const std::vector<std::size_t>& chosen);

}  // namespace hone::theory
