#include "experiments/instruments/trunk_end.hpp"

#include <utility>

#include "experiments/instruments/calibration_rows.hpp"
#include "experiments/instruments/decode_rows.hpp"
#include "experiments/instruments/decode_table.hpp"
#include "experiments/instruments/scheme_table.hpp"
#include "experiments/study/build.hpp"
#include "experiments/study/decode_policy.hpp"
#include "sim/record/schema.hpp"

namespace hone::experiments {
namespace {

using End = TrunkEnd<Transformer>;

/// A watch of a table that reports the share of it that is done.
std::function<void(double, const std::string&)> share_watch(const Watch& watch, double flops, std::string activity) {
  return [&watch, flops, activity = std::move(activity), done = 0.0](double share, const std::string& part) mutable {
    watch((share - done) * flops, activity + " " + part, Work::done);
    done = share;
  };
}

bool has_schemes(const RunSpec& run) { return !run.quantize.schemes.empty(); }

void check_nothing(const End&) {}

/// Two evaluations and a Hessian product per entry, and as much again for what the schemes do themselves.
double schemes_flops(const RunSpec& run, Index parameters) {
  const double window = 2.0 * double(parameters) * double(run.model.context);
  const double entries =
      double(run.quantize.draws) * double(run.quantize.schemes.size() * run.quantize.scheme_bits.size());
  return entries * window *
         (4.0 * double(run.measure.evaluation_windows) + 8.0 * double(run.measure.curvature_windows) +
          2.0 * double(run.quantize.calibration_windows));
}

TrunkEndRows compare_schemes(const End& end, const AlignedVector<float>& theta, const Watch& watch) {
  const TokenBatch calibration = first_training_windows(end.source, end.run.quantize.calibration_windows);
  const SchemeInput input{end.model.options(),
                          theta,
                          calibration,
                          end.run.quantize,
                          std::uint64_t(end.run.seed),
                          train_options(end.run, end.threads).chunks};
  const SchemeData data{end.source.evaluation, end.source.curvature, end.run.measure.cache_mib << 20};
  const double flops = schemes_flops(end.run, end.model.layout().size());
  const auto entries = measure_schemes(input, data, share_watch(watch, flops, "scheme"));
  TrunkEndRows rows;
  Dataset& schemes = rows.groups[schema::schemes.group] = scheme_rows(entries, input);
  rows.groups[schema::scheme_blocks.group] = scheme_block_rows(entries);
  rows.warning =
      calibration_warning(calibration_shortage(entries, end.model.layout()), input, "quantize.calibration_windows");
  if (!rows.warning.empty()) set(schemes, schema::schemes.calibration_warning, rows.warning);
  return rows;
}

bool has_decoding(const RunSpec& run) { return run.decode.is_on(); }

/// Held-out windows as long as the study asks for.
TokenBatch long_windows(const End& end) {
  const DecodeSpec spec = fitted_to(end.run.decode, end.model.options());
  return end.source.held_out(spec.length, spec.windows);
}

double decoding_flops(const RunSpec& run, Index parameters) {
  return decode_flops(fitted_to(run.decode, architecture_of(run, run.data.vocabulary)), parameters);
}

/// Cache policies and schedules of precision.
TrunkEndRows compare_decoding(const End& end, const AlignedVector<float>& theta, const Watch& watch) {
  const TokenBatch windows = long_windows(end);
  const DecodeInput input{
      end.model.options(),         theta,      windows, fitted_to(end.run.decode, end.model.options()),
      std::uint64_t(end.run.seed), end.threads};
  const double flops = decoding_flops(end.run, end.model.layout().size());
  return {decode_rows(measure_decoding(input, share_watch(watch, flops, "decoding")), input), ""};
}

}  // namespace

template <>
const std::vector<TrunkEndStudy<Transformer>>& trunk_end_studies() {
  static const std::vector<TrunkEndStudy<Transformer>> all{
      {has_schemes, check_nothing, schemes_flops, compare_schemes},
      {has_decoding, [](const End& end) { (void)long_windows(end); }, decoding_flops, compare_decoding},
  };
  return all;
}

/// None: schemes and caches are those of transformers.
template <>
const std::vector<TrunkEndStudy<Mlp>>& trunk_end_studies() {
  static const std::vector<TrunkEndStudy<Mlp>> none;
  return none;
}

}  // namespace hone::experiments
