// Whole runs of known laws, with scatter between runs, between checkpoints and between rows.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "sim/base/rng.hpp"
#include "theory/rows/rows.hpp"

namespace hone::theory {

/// Runs of three sizes whose damage and loss follow known laws, with scatter between runs, checkpoints and rows.
struct World {
  int seeds = 3;
  std::vector<double> sizes{3e4, 1e5, 3e5};
  double run = 0.1, checkpoint = 0.05, row = 0.05, se = 0.02, loss_noise = 0;
  bool is_step = false;  ///< damage as the squared step instead of an exponential in bits
  std::uint64_t seed = 0;
};

inline double log_damage(const World& w, double N, double D, double P) {
  const double of_bits = w.is_step ? 2 * std::log(std::exp2(P - 1) - 1) : 1.6 * P - 1.2;
  return -5 + 0.5 * std::log(D) - 0.35 * std::log(N) - of_bits;
}

inline double loss_at(double N, double D) { return 1.2 + 30 * std::pow(N, -0.4) + 40 * std::pow(D, -0.3); }

inline Table planted(const World& w) {
  Table table;
  std::uint64_t draw = 0;
  const auto z = [&] { return normal(Stream{w.seed, Domain::test}, draw++); };
  for (const double N : w.sizes)
    for (int s = 0; s < w.seeds; ++s) {
      const double of_run = w.run * z();
      for (const double D : {1e6, 3e6, 1e7, 3e7, 1e8}) {
        const double of_checkpoint = w.checkpoint * z();
        const double loss = loss_at(N, D) * std::exp(w.loss_noise * z());
        const std::string model = fmt::format("n{}", N);
        LossRow of_loss;
        of_loss.run = fmt::format("{}-s{}", model, s), of_loss.architecture = Architecture::transformer,
        of_loss.model = model;
        of_loss.seed = s, of_loss.N = N, of_loss.D = D, of_loss.variant = "trunk", of_loss.loss = loss;
        table.losses.push_back(of_loss);
        for (const double P : {3.0, 4.0, 5.0, 6.0}) {
          PtqRow r;
          static_cast<Subject&>(r) = of_loss;
          r.P = P, r.loss = loss;
          r.delta = std::exp(log_damage(w, N, D, P) + of_run + of_checkpoint + w.row * z() + w.se * z());
          r.delta_se = w.se * r.delta;
          r.predicted = std::exp(log_damage({.is_step = true}, N, D, P));
          r.predicted_se = 0.1 * r.predicted;
          r.gradient = 0.001;
          r.mean_step2 = 0.04 / std::pow(std::exp2(P - 1) - 1, 2);
          table.ptq.push_back(r);
        }
      }
    }
  return table;
}

}  // namespace hone::theory
