#include "theory/solvable/synthetic_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace hone::theory {
namespace {

/// Bits are the fastest index, then seeds, D, N; `draw` numbers the (N, D, seed) in that order.
template <class Visit>
void visit_grid(const SyntheticGrid& grid, Visit&& visit) {
  std::uint32_t draw = 0;
  for (const double n : grid.N)
    for (const double d : grid.D)
      for (int seed = 0; seed < grid.seeds; ++seed) {
        Subject subject;
        subject.run = fmt::format("synthetic N {} seed {}", n, seed);
        subject.architecture = Architecture::transformer;
        subject.seed = seed;
        subject.N = n;
        subject.D = d;
        subject.variant = "trunk";
        visit(subject, draw++);
      }
}

double step2(double bits) {
  const double levels = std::exp2(bits - 1) - 1;
  return 1 / (levels * levels);
}

/// Substreams of one grid: the shared noise of a (cell, seed), the noise of its rows, its rounding
/// errors.
enum Purpose : std::uint32_t { shared = 0, rows = 1, rounding = 2, trace = 3 };

Stream stream_of(const SyntheticGrid& grid, std::uint32_t draw, Purpose purpose) {
  return {grid.seed, Domain::synthetic, 4 * draw + purpose};
}

/// What all rows of one (N, seed) share at these tokens; the same for its damage and its trace.
double trajectory_offset(const SyntheticGrid& grid, const PlantedLaw& planted, const Subject& subject) {
  const auto size = std::find(grid.N.begin(), grid.N.end(), subject.N) - grid.N.begin();
  const auto trajectory = static_cast<std::uint64_t>(size * grid.seeds + subject.seed);
  const Stream stream{grid.seed, Domain::synthetic, std::numeric_limits<std::uint32_t>::max()};
  double middle = 0;
  for (const double d : grid.D) middle += std::log(d) / static_cast<double>(grid.D.size());
  return planted.trajectory_noise * normal(stream, 2 * trajectory) +
         planted.drift * normal(stream, 2 * trajectory + 1) * (std::log(subject.D) - middle);
}

constexpr double alpha = 0.35;  // of the planted losses

}  // namespace

double planted_fraction(double bits) { return bits < 16 ? -std::expm1(-bits / 2.8 + 0.4) : 1; }

double fraction_of_product(const std::array<double, 3>& bits) { return fraction_beyond_product(bits, 0); }

double fraction_of_sum(const std::array<double, 3>& bits) {
  double base = 1;
  for (const double b : bits) base += std::pow(planted_fraction(b), -alpha) - 1;
  return std::pow(base, -1 / alpha);
}

double fraction_beyond_product(const std::array<double, 3>& bits, double excess) {
  double product = 1;
  for (const double b : bits) product *= planted_fraction(b);
  const auto lowered = std::count_if(bits.begin(), bits.end(), [](double b) { return b < 16; });
  return lowered > 1 ? product * std::exp(excess) : product;
}

std::vector<LossRow> planted_training(const SyntheticGrid& grid, const PlantedTraining& planted) {
  std::vector<LossRow> table;
  visit_grid(grid, [&](const Subject& subject, std::uint32_t draw) {
    const Stream own = stream_of(grid, draw, rows);
    const double run = planted.run_noise * normal(stream_of(grid, draw, shared), 0);
    const auto& sizes = planted.lowered_N;
    const bool is_lowered = sizes.empty() || std::find(sizes.begin(), sizes.end(), subject.N) != sizes.end();
    std::vector<std::array<double, 3>> all{{16, 16, 16}};
    if (is_lowered) all.insert(all.end(), planted.bits.begin(), planted.bits.end());
    for (std::size_t i = 0; i < all.size(); ++i) {
      LossRow row;
      static_cast<Subject&>(row) = subject;
      if (i > 0) {
        row.arm = row.method = "qat", row.variant = "qat_trunk";
        row.run += fmt::format(" {}", i);
      }
      row.train_w_bits = all[i][0], row.train_a_bits = all[i][1], row.train_kv_bits = all[i][2];
      const double size = row.N * (i > 0 ? planted.fraction(all[i]) : 1);
      row.loss = (1.5 + 30 * std::pow(size, -alpha) + 60 * std::pow(row.D, -0.3)) *
                 std::exp(run + planted.row_noise * normal(own, i));
      row.loss_se = 1e-3;
      table.push_back(row);
    }
  });
  return table;
}

std::vector<PtqRow> planted_ptq(const SyntheticGrid& grid, const PlantedLaw& planted) {
  std::vector<PtqRow> table;
  visit_grid(grid, [&](const Subject& subject, std::uint32_t draw) {
    const double run =
        planted.run_noise * normal(stream_of(grid, draw, shared), 0) + trajectory_offset(grid, planted, subject);
    const double step_growth = (1 - planted.curvature_share) * planted.gamma_d;
    for (std::size_t k = 0; k < grid.P.size(); ++k) {
      PtqRow row;
      static_cast<Subject&>(row) = subject;
      row.P = grid.P[k];
      row.lr = 1e-3;
      row.loss = 2;
      const double log_prediction = planted.log_c + planted.gamma_d * std::log(row.D) -
                                    planted.gamma_n * std::log(row.N) - row.P / planted.gamma_post + run;
      row.predicted = std::exp(log_prediction);
      row.quadratic = row.predicted;
      const double own = planted.row_noise * std::pow(planted.row_per_bit, row.P - 3);
      const double higher = planted.higher_noise * normal(stream_of(grid, draw, rows), grid.P.size() + k);
      row.gradient = own * row.predicted * normal(stream_of(grid, draw, rows), k);
      row.delta = row.predicted * std::exp(higher) + row.gradient;
      row.delta_se = planted.relative_se * std::pow(planted.se_per_bit, row.P - 3) * row.predicted;
      row.mean_step2 = step2(row.P) * std::exp(step_growth * std::log(row.D));
      table.push_back(row);
    }
  });
  return table;
}

std::vector<SharpnessRow> planted_sharpness(const SyntheticGrid& grid, const PlantedLaw& planted) {
  std::vector<SharpnessRow> table;
  visit_grid(grid, [&](const Subject& subject, std::uint32_t draw) {
    SharpnessRow row;
    static_cast<Subject&>(row) = subject;
    const double run =
        planted.run_noise * normal(stream_of(grid, draw, trace), 0) + trajectory_offset(grid, planted, subject);
    row.trace =
        std::exp(planted.curvature_share * planted.gamma_d * std::log(row.D) - planted.gamma_n * std::log(row.N) + run);
    row.trace_se = planted.relative_se * row.trace;
    row.weighted_trace = row.trace;
    row.lambda_max = -std::expm1(-row.D / row.N / 10) * std::exp(run);
    row.weight_norm2 = 1;
    table.push_back(row);
  });
  return table;
}

std::vector<PtqRow> quadratic_null(const SyntheticGrid& grid) {
  constexpr int dimension = 400;
  std::vector<PtqRow> table;
  visit_grid(grid, [&](const Subject& subject, std::uint32_t draw) {
    for (std::size_t k = 0; k < grid.P.size(); ++k) {
      PtqRow row;
      static_cast<Subject&>(row) = subject;
      row.P = grid.P[k];
      row.lr = 1e-3;
      row.loss = 2;
      row.mean_step2 = step2(row.P);
      const double step = std::sqrt(row.mean_step2);
      double trace_h = 0, damage = 0;
      for (int i = 0; i < dimension; ++i) {
        const double h = 1.0 / (i + 1);
        const double error =
            step * (uniform(stream_of(grid, draw, rounding), k * dimension + static_cast<std::uint64_t>(i)) - 0.5);
        trace_h += h;
        damage += 0.5 * h * error * error;
      }
      row.delta = row.quadratic = damage;
      row.delta_se = 0.01 * damage;
      row.predicted = row.mean_step2 / 24 * trace_h;
      table.push_back(row);
    }
  });
  return table;
}

}  // namespace hone::theory
