#include "theory/rows/layouts.hpp"

#include "sim/record/schema.hpp"

namespace hone::theory {
namespace {

using schema::axis::bits, schema::axis::checkpoint;

/// Named in a table as in run files.
template <class Row, class T>
Entry<Row> entry(const Field<T>& field, double Row::*member) {
  return {field.name, member, field};
}
template <class Row>
Entry<Row> entry(const Field<std::string>& field, std::string Row::*member) {
  return {field.name, member, field};
}

}  // namespace

template <>
Layout<PtqRow> layout_of() {
  constexpr const schema::Ptq& f = schema::ptq;
  return {"damage",
          f.group,
          {checkpoint, bits},
          {entry(f.bits, &PtqRow::P),
           entry(schema::checkpoints.loss_nats, &PtqRow::loss),
           entry(f.delta_nats, &PtqRow::delta),
           entry(f.delta_se_nats, &PtqRow::delta_se),
           entry(f.predicted_nats, &PtqRow::predicted),
           entry(f.predicted_se_nats, &PtqRow::predicted_se),
           {"predicted_probes", &PtqRow::predicted_probes, schema::curvature.trace_probes},
           entry(f.gradient_nats, &PtqRow::gradient),
           entry(f.remainder_se_nats, &PtqRow::remainder_se),
           entry(f.quadratic_nats, &PtqRow::quadratic),
           entry(f.mean_step2, &PtqRow::mean_step2)}};
}

template <>
Layout<SharpnessRow> layout_of() {
  constexpr const schema::Curvature& f = schema::curvature;
  return {"curvature",
          f.group,
          {checkpoint},
          {entry(f.trace, &SharpnessRow::trace),
           entry(f.trace_se, &SharpnessRow::trace_se),
           {"lambda_max", &SharpnessRow::lambda_max, {}},
           {"frobenius", &SharpnessRow::frobenius, {}},
           entry(schema::checkpoints.weight_norm2, &SharpnessRow::weight_norm2),
           {"weighted_trace", &SharpnessRow::weighted_trace, {}},
           {"preconditioned_lambda_max", &SharpnessRow::preconditioned, schema::preconditioned.lambda_max},
           entry(schema::preconditioned.stability_threshold, &SharpnessRow::stability)}};
}

template <>
Layout<FactorialRow> layout_of() {
  constexpr const schema::Factorial& f = schema::factorial;
  return {"factorial",
          f.group,
          {checkpoint, schema::axis::cell},
          {entry(f.w_bits, &FactorialRow::w_bits), entry(f.a_bits, &FactorialRow::a_bits),
           entry(f.kv_bits, &FactorialRow::kv_bits), entry(f.delta_nats, &FactorialRow::delta),
           entry(f.delta_se_nats, &FactorialRow::delta_se)}};
}

template <>
Layout<NoiseRow> layout_of() {
  constexpr const schema::Noise& f = schema::noise;
  return {"noise",
          f.group,
          {checkpoint, schema::axis::subspace, schema::axis::amplitude},
          {entry(f.subspace, &NoiseRow::subspace), entry(f.energy, &NoiseRow::energy),
           entry(f.delta_nats, &NoiseRow::delta), entry(f.delta_se_nats, &NoiseRow::delta_se),
           entry(f.predicted_nats, &NoiseRow::predicted), entry(f.residual_share, &NoiseRow::residual_share),
           entry(f.null_share, &NoiseRow::null_share), entry(f.curvature_share, &NoiseRow::curvature_share),
           entry(f.curvature_null_share, &NoiseRow::curvature_null_share)}};
}

template <>
Layout<LossRow> layout_of() {
  constexpr const schema::Checkpoints& f = schema::checkpoints;
  return {
      "losses", f.group, {checkpoint}, {entry(f.loss_nats, &LossRow::loss), entry(f.loss_se_nats, &LossRow::loss_se)}};
}

template <>
Layout<ShiftRow> layout_of() {
  constexpr const schema::Shift& f = schema::shift;
  return {"shift",
          f.group,
          {checkpoint, bits},
          {{"shifted_data", &ShiftRow::shifted_data, {}},
           entry(f.bits, &ShiftRow::P),
           entry(f.loss_nats, &ShiftRow::loss),
           entry(f.delta_nats, &ShiftRow::delta),
           entry(f.delta_se_nats, &ShiftRow::delta_se)}};
}

template <>
Layout<SchemeRow> layout_of() {
  constexpr const schema::Schemes& f = schema::schemes;
  return {"schemes",
          f.group,
          {schema::axis::entry},
          {entry(f.scheme, &SchemeRow::scheme),
           entry(f.bits, &SchemeRow::P),
           entry(f.delta_nats, &SchemeRow::delta),
           entry(f.delta_se_nats, &SchemeRow::delta_se),
           entry(f.gradient_nats, &SchemeRow::gradient),
           entry(f.quadratic_nats, &SchemeRow::quadratic),
           entry(f.bits_per_weight, &SchemeRow::bits_per_weight),
           {schema::schemes_along.remainder_se_nats.name, &SchemeRow::remainder_se, {}},
           {schema::schemes_along.quadratic_other_nats.name, &SchemeRow::quadratic_other, {}},
           {f.activation_bits.name, &SchemeRow::a_bits, {}},
           {f.kv_bits.name, &SchemeRow::kv_bits, {}}}};
}

Layout<SchemeRow> layout_of_schemes_along() {
  constexpr const schema::SchemesAlong& f = schema::schemes_along;
  return {"schemes",
          f.group,
          {checkpoint, schema::axis::entry},
          {entry(f.scheme, &SchemeRow::scheme), entry(f.bits, &SchemeRow::P), entry(f.delta_nats, &SchemeRow::delta),
           entry(f.delta_se_nats, &SchemeRow::delta_se), entry(f.gradient_nats, &SchemeRow::gradient),
           entry(f.quadratic_nats, &SchemeRow::quadratic), entry(f.bits_per_weight, &SchemeRow::bits_per_weight),
           entry(f.remainder_se_nats, &SchemeRow::remainder_se),
           entry(f.quadratic_other_nats, &SchemeRow::quadratic_other)}};
}

template <>
Layout<InjectionRow> layout_of() {
  constexpr const schema::Injection& f = schema::injection;
  return {"injection",
          f.group,
          {checkpoint, schema::axis::subspace, schema::axis::amplitude},
          {entry(f.subspace, &InjectionRow::subspace), entry(f.rise_nats, &InjectionRow::rise),
           entry(f.energy, &InjectionRow::energy), entry(f.predicted_nats, &InjectionRow::predicted),
           entry(f.delta_nats, &InjectionRow::delta), entry(f.delta_se_nats, &InjectionRow::delta_se)}};
}

template <>
Layout<ExpertRow> layout_of() {
  constexpr const schema::Experts& f = schema::experts;
  return {"experts",
          f.group,
          {checkpoint, schema::axis::entry},
          {entry(f.bits, &ExpertRow::P), entry(f.layer, &ExpertRow::layer), entry(f.expert, &ExpertRow::expert),
           entry(f.load, &ExpertRow::load), entry(f.delta_nats, &ExpertRow::delta),
           entry(f.delta_se_nats, &ExpertRow::delta_se)}};
}

template <>
Layout<CacheRow> layout_of() {
  constexpr const schema::Decode& f = schema::decode;
  return {"cache",
          f.group,
          {schema::axis::policy, schema::axis::octave},
          {entry(f.policy, &CacheRow::policy), entry(f.first, &CacheRow::first), entry(f.last, &CacheRow::last),
           entry(f.contexts, &CacheRow::contexts), entry(f.delta_nats, &CacheRow::delta),
           entry(f.delta_se_nats, &CacheRow::delta_se)}};
}

template <>
Layout<CopyRow> layout_of() {
  constexpr const schema::DecodeCopy& f = schema::decode_copy;
  return {"copies",
          f.group,
          {schema::axis::policy, schema::axis::distance},
          {entry(f.policy, &CopyRow::policy), entry(f.distance, &CopyRow::distance),
           entry(f.accuracy, &CopyRow::accuracy), entry(f.delta_nats, &CopyRow::delta),
           entry(f.delta_se_nats, &CopyRow::delta_se), entry(f.accuracy_delta, &CopyRow::accuracy_delta)}};
}

template <>
Layout<ScheduleRow> layout_of() {
  constexpr const schema::DecodeSchedules& f = schema::decode_schedules;
  return {"schedules",
          f.group,
          {schema::axis::entry},
          {{"bits_along_text", &ScheduleRow::schedule, f.schedule},
           entry(f.average_bits, &ScheduleRow::average_bits),
           entry(f.mean_delta_nats, &ScheduleRow::delta),
           entry(f.mean_delta_se_nats, &ScheduleRow::delta_se),
           entry(f.to_uniform_nats, &ScheduleRow::to_uniform),
           entry(f.to_uniform_se_nats, &ScheduleRow::to_uniform_se)}};
}

template <>
Layout<TaskRow> layout_of() {
  constexpr const schema::Tasks& f = schema::tasks;
  return {"tasks",
          f.group,
          {checkpoint, schema::axis::task, bits},
          {entry(f.task, &TaskRow::task), entry(f.bits, &TaskRow::P), entry(f.accuracy, &TaskRow::accuracy),
           entry(f.accuracy_se, &TaskRow::accuracy_se), entry(f.loss_nats, &TaskRow::loss),
           entry(f.loss_se_nats, &TaskRow::loss_se), entry(f.delta_nats, &TaskRow::delta),
           entry(f.delta_se_nats, &TaskRow::delta_se), entry(f.accuracy_delta, &TaskRow::accuracy_delta),
           entry(f.accuracy_delta_se, &TaskRow::accuracy_delta_se)}};
}

}  // namespace hone::theory
