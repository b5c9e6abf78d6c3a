#include "experiments/instruments/instruments.hpp"

#include "experiments/instruments/damage.hpp"
#include "experiments/instruments/expert_damage.hpp"
#include "experiments/instruments/factorial.hpp"
#include "experiments/instruments/injection.hpp"
#include "experiments/instruments/loss.hpp"
#include "experiments/instruments/noise.hpp"
#include "experiments/instruments/preconditioned.hpp"
#include "experiments/instruments/schemes_along.hpp"
#include "experiments/instruments/shift.hpp"
#include "experiments/instruments/tasks.hpp"
#include "sim/model/mlp.hpp"
#include "sim/model/transformer.hpp"

namespace hone::experiments {

template <template <class> class Model>
std::vector<std::unique_ptr<Instrument<Model>>> all_instruments() {
  std::vector<std::unique_ptr<Instrument<Model>>> all;
  all.push_back(loss_instrument<Model>());
  all.push_back(spectrum_instrument<Model>());
  all.push_back(preconditioned_instrument<Model>());
  all.push_back(damage_instrument<Model>());
  all.push_back(factorial_instrument<Model>());
  all.push_back(shift_instrument<Model>());
  all.push_back(noise_instrument<Model>());
  all.push_back(injection_instrument<Model>());
  all.push_back(schemes_along_instrument<Model>());
  all.push_back(expert_damage_instrument<Model>());
  all.push_back(task_instrument<Model>());
  return all;
}

template <template <class> class Model>
Rows Instruments<Model>::measure(const AlignedVector<float>& theta, const Moment& moment) {
  Rows rows;
  Specimen<Model> specimen(bench_, theta, moment);
  if (!specimen.is_finite()) return rows;
  for (const auto& instrument : instruments_)
    if (instrument->is_on(bench_.run)) instrument->add_rows(specimen, rows[instrument->group()]);
  certificates_ = specimen.curvature().spectrum.certificates;
  return rows;
}

template std::vector<std::unique_ptr<Instrument<Transformer>>> all_instruments();
template std::vector<std::unique_ptr<Instrument<Mlp>>> all_instruments();
template class Instruments<Transformer>;
template class Instruments<Mlp>;

}  // namespace hone::experiments
