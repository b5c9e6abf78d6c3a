// Rows of solvable models on whose trajectories the exponents of loss, curvature and damage are known: a two-layer linear
// net, and gradient flow on fixed features.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "sim/base/rng.hpp"
#include "theory/rows/rows.hpp"
#include "theory/solvable/features.hpp"
#include "theory/solvable/linear_net.hpp"
#include "theory/solvable/spectra.hpp"

namespace hone::theory {

/// What seeds and measurements add to a solvable model.
struct SolvableNoise {
  double clock = 0.1;    ///< ln of the speed of a seed
  double tilt = 0;       ///< by which the exponents of the trace of seeds differ
  double row = 0.02;     ///< ln units, of each trace and damage
  double loss = 0.0005;  ///< relative error of each loss above the floor at its first checkpoint
  int seeds = 4;
  std::uint64_t world = 0;
};

constexpr double first_time = 100, last_time = 3000;
constexpr int solvable_checkpoints = 9;
constexpr double solvable_floor = 1.5;

/// What a model is after some time: curvature, loss above the floor, mean squared step.
struct SolvableState {
  double trace = 0, frobenius = 0, loss = 0, step2 = 0;
};

/// A trajectory as rows: `state(time)` for each seed and checkpoint, tokens being 1000 per unit of time.
template <class State>
Table solvable_rows(const SolvableNoise& noise, double count, State&& state) {
  Table table;
  const Stream stream{noise.world * 1000 + 81, Domain::test};
  std::uint64_t draw = 0;
  for (int seed = 1; seed <= noise.seeds; ++seed) {
    const double clock = std::exp(noise.clock * normal(stream, draw++)), tilt = noise.tilt * normal(stream, draw++);
    const double first_loss = state(first_time * clock).loss;
    for (int i = 0; i < solvable_checkpoints; ++i) {
      const double share = double(i) / (solvable_checkpoints - 1);
      const double time = first_time * std::pow(last_time / first_time, share);
      const SolvableState s = state(time * clock);
      Subject subject;
      subject.run = fmt::format("s{}", seed), subject.variant = "trunk", subject.branched_at = 1000 * time;
      subject.seed = seed, subject.N = count, subject.D = 1000 * time;
      LossRow loss;
      static_cast<Subject&>(loss) = subject;
      loss.loss = solvable_floor + s.loss + noise.loss * first_loss * normal(stream, draw++);
      loss.loss_se = noise.loss * first_loss;
      table.losses.push_back(loss);
      SharpnessRow sharp;
      static_cast<Subject&>(sharp) = subject;
      sharp.trace = s.trace * std::pow(time, tilt) * std::exp(noise.row * normal(stream, draw++));
      sharp.trace_se = noise.row * sharp.trace;
      sharp.frobenius = s.frobenius, sharp.lambda_max = 1;
      table.sharpness.push_back(sharp);
      for (const double bits : {3.0, 4.0}) {
        PtqRow r;
        static_cast<Subject&>(r) = subject;
        r.P = bits, r.loss = loss.loss, r.mean_step2 = s.step2 * std::exp2(-2 * bits);
        r.predicted = r.mean_step2 * sharp.trace / 24, r.predicted_se = 0.02 * r.predicted;
        r.delta = r.predicted * std::exp(noise.row * normal(stream, draw++));
        r.delta_se = 0.02 * r.delta, r.remainder_se = r.delta_se;
        table.ptq.push_back(r);
      }
    }
  }
  return table;
}

/// The linear net with target k^-alpha: Gauss-Newton curvature, absmax steps, whose squares grow with the weights.
inline Table linear_net_rows(double alpha, const SolvableNoise& noise = {}) {
  LinearNet net;
  const double last = std::pow(last_time, 1 / alpha);  // beyond the modes that are learned at the end
  net.target = Vector<double>(static_cast<Index>(last));
  for (Index k = 0; k < net.target.size(); ++k) net.target[k] = std::pow(double(k + 1), -alpha);
  net.d_in = net.d_out = net.target.size();
  return solvable_rows(noise, 3e4, [&](double time) {
    const Vector<double> modes = net.modes(time);
    const double sum = modes.sum(), width = double(net.d_in + net.d_out);
    const double squares = width * modes.squaredNorm() + 2 * sum * sum;  // of s_i + s_j over all i and j
    return SolvableState{width * sum, std::sqrt(squares), 0.5 * (modes - net.target).squaredNorm(), sum};
  });
}

/// Gradient flow on fixed features: the curvature stays, and so does the step of rounding.
inline Table feature_rows(const PowerFeatures& features, const SolvableNoise& noise = {}) {
  constexpr double count = 20000;
  const double trace = power_trace(count, features.spectrum),
               frobenius = std::sqrt(power_trace(count, 2 * features.spectrum));
  return solvable_rows(noise, count, [&](double time) {
    return SolvableState{trace, frobenius, features.flow_risk(time), 1};
  });
}

}  // namespace hone::theory
