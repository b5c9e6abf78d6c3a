#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "sim/quantize/weights.hpp"
#include "sim/record/run_file.hpp"
#include "tests/support/near.hpp"
#include "tests/support/temporary_folder.hpp"
#include "theory/questions/judge.hpp"
#include "theory/solvable/synthetic_rows.hpp"

TEST_SUITE_BEGIN("laws");

namespace hone::theory {
namespace {

/// One matrix under a quadratic loss ½ Σ h_i (w_i - w*_i)², h a power law over shuffled places.
struct Quadratic {
  Index rows, cols;
  ParamLayout layout;
  Vector<double> curvature;

  Quadratic(Index r, Index c) : rows(r), cols(c), curvature(r * c) {
    layout.add("w", 0, Role::matrix, rows, cols);
    for (Index i = 0; i < curvature.size(); ++i) curvature[i] = 1.0 / double(i + 1);
    const Stream order{.seed = 3, .domain = Domain::test};
    for (Index i = curvature.size() - 1; i > 0; --i)
      std::swap(curvature[i], curvature[Index(below(order, std::uint64_t(i), std::uint64_t(i + 1)))]);
  }

  /// Trained weights of the same scale at every draw: normal, width 0.02.
  AlignedVector<double> minimum(std::uint32_t draw) const {
    AlignedVector<double> w(size_t(curvature.size()));
    const Stream stream{.seed = 4, .domain = Domain::test, .substream = draw};
    for (size_t i = 0; i < w.size(); ++i) w[i] = 0.02 * normal(stream, i);
    return w;
  }

  double damage(const AlignedVector<double>& w, const Quantizer& q) const {
    const auto rounded = quantize_weights(w.data(), layout, q).theta;
    double sum = 0;
    for (size_t i = 0; i < w.size(); ++i) sum += 0.5 * curvature[Index(i)] * std::pow(rounded[i] - w[i], 2);
    return sum;
  }

  double prediction(const AlignedVector<double>& w, const Quantizer& q) const {
    const auto step2 = step2_per_parameter(w.data(), layout, q);
    double sum = 0;
    for (size_t i = 0; i < w.size(); ++i) sum += step2[i] * curvature[Index(i)] / 24;
    return sum;
  }
};

/// Mean and standard error of damage over prediction.
struct Ratio {
  double mean = 0, error = 0;
};

Ratio ratio_over_draws(const Quadratic& loss, const Quantizer& q, int draws) {
  double sum = 0, squares = 0;
  for (int draw = 0; draw < draws; ++draw) {
    const auto w = loss.minimum(std::uint32_t(draw));
    const double ratio = loss.damage(w, q) / loss.prediction(w, q);
    sum += ratio, squares += ratio * ratio;
  }
  const double mean = sum / draws;
  return {mean, std::sqrt((squares / draws - mean * mean) / (draws - 1))};
}

/// Rows of models whose curvature and weight scale know nothing of the tokens.
Table null_rows() {
  Table table;
  std::uint32_t draw = 0;
  for (const Index cols : {48, 96, 192}) {
    const Quadratic loss(32, cols);
    for (const double tokens : {1e6, 3e6, 1e7, 3e7, 1e8})
      for (int seed = 0; seed < 4; ++seed) {
        const auto w = loss.minimum(draw++);
        for (const int bits : {3, 4, 5, 6}) {
          Quantizer q;
          q.bits = bits;
          PtqRow row;
          row.run = fmt::format("{}-{}", cols, seed);
          row.variant = "trunk";
          row.seed = seed, row.N = double(loss.curvature.size()), row.D = tokens, row.P = bits;
          row.delta = row.quadratic = loss.damage(w, q);
          row.delta_se = 0.01 * row.delta;
          row.predicted = loss.prediction(w, q);
          row.mean_step2 = 1;
          table.ptq.push_back(row);
        }
      }
  }
  return table;
}

using Strings = std::vector<std::string>;
using Doubles = std::vector<double>;
using Ints = std::vector<std::int64_t>;

/// The damages of one (N, seed) as the file that `hone run` would have written.
RunFile run_of(const std::vector<PtqRow>& rows, const std::vector<SharpnessRow>& sharpness) {
  Doubles bits, delta, delta_se, predicted, predicted_se, step2, trace, trace_se;
  Ints tokens;
  for (const PtqRow& row : rows) {
    if (bits.empty() || row.P > bits.back()) bits.push_back(row.P);
    delta.push_back(row.delta), delta_se.push_back(row.delta_se);
    predicted.push_back(row.predicted), predicted_se.push_back(row.predicted_se);
    step2.push_back(row.mean_step2);
  }
  for (const SharpnessRow& row : sharpness) {
    tokens.push_back(std::int64_t(row.D));
    trace.push_back(row.trace), trace_se.push_back(row.trace_se);
  }
  const auto count = std::int64_t(tokens.size()), widths = std::int64_t(bits.size());
  RunFile run;
  Dataset &manifest = run.groups["manifest"], &points = run.groups["checkpoints"], &ptq = run.groups["ptq"],
          &curvature = run.groups["curvature"];
  manifest.set_attribute("run_id", rows.front().run);
  manifest.set_attribute("architecture", std::string(name_of(rows.front().architecture)));
  manifest.set_attribute("seed", rows.front().seed);
  manifest.set_attribute("model_params", std::int64_t(rows.front().N));
  points.set("tokens", vector_variable("checkpoint", tokens, "tokens", "seen"));
  points.set("variant", vector_variable("checkpoint", Strings(tokens.size(), "trunk"), "1", "variant"));
  points.set("kind", vector_variable("checkpoint", Strings(tokens.size(), "trunk"), "1", "kind"));
  ptq.set("bits", vector_variable("bits", bits, "bits", "bits of a weight"));
  const auto table = [&](const char* name, const Doubles& values) {
    ptq.set(name, matrix_variable({"checkpoint", "bits"}, {count, widths}, values, "nats", name));
  };
  table("delta_nats", delta), table("delta_se_nats", delta_se);
  table("predicted_nats", predicted), table("predicted_se_nats", predicted_se);
  table("mean_step2", step2);
  curvature.set("trace", vector_variable("checkpoint", trace, "nats", "trace"));
  curvature.set("trace_se", vector_variable("checkpoint", trace_se, "nats", "its error"));
  return run;
}

/// Writes rows of a planted law as run files, one per (N, seed), and collects them again.
Table through_files(const PlantedLaw& law) {
  const SyntheticGrid grid;
  std::map<std::pair<double, std::int64_t>, std::vector<PtqRow>> damages;
  std::map<std::pair<double, std::int64_t>, std::vector<SharpnessRow>> traces;
  for (const PtqRow& row : planted_ptq(grid, law)) damages[{row.N, row.seed}].push_back(row);
  for (const SharpnessRow& row : planted_sharpness(grid, law)) traces[{row.N, row.seed}].push_back(row);
  const test::TemporaryFolder folder;
  std::vector<std::filesystem::path> paths;
  for (const auto& [key, rows] : damages) {
    paths.push_back(folder.path() / fmt::format("{}-{}.h5", key.first, key.second));
    write_run_file(paths.back(), run_of(rows, traces.at(key)));
  }
  return collect(paths);
}

/// The exponent of D at one number of bits or overall lies in the verdict's interval.
bool holds(const Verdict& v, double value) { return v.low <= value && value <= v.high; }

}  // namespace

TEST_CASE("null model: damage of real rounding is 1/24 sum step^2 H [every grid, 5 to 8 bits]") {
  const Quadratic loss(8, 256);
  for (const Grid grid :
       {Grid::restricted, Grid::full, Grid::midrise, Grid::no_clip, Grid::signed_absmax, Grid::asymmetric})
    for (const int bits : {5, 6, 7, 8}) {
      Quantizer q;
      q.bits = bits;
      q.grid = grid;
      const Ratio ratio = ratio_over_draws(loss, q, 120);
      CAPTURE(name_of(grid));
      CAPTURE(bits);
      CAPTURE(ratio.error);
      CHECK(ratio.error < 0.03);
      // The extreme of a row lies on the grid and is rounded without error: up to two of 256.
      CHECK_NEAR(ratio.mean, 1.0, 0.0, 4 * ratio.error + 2.0 / 256);
    }
}

TEST_CASE("null model: the law holds for steps of a group, a row and a tensor [6 bits]") {
  const Quadratic loss(8, 256);
  for (const Granularity granularity : {Granularity::group, Granularity::row, Granularity::tensor}) {
    Quantizer q;
    q.bits = 6;
    q.granularity = granularity;
    q.group = granularity == Granularity::group ? 64 : 0;
    const Ratio ratio = ratio_over_draws(loss, q, 200);
    CAPTURE(name_of(granularity));
    CHECK_NEAR(ratio.mean, 1.0, 0.0, 4 * ratio.error + 1.0 / 64);
  }
}

TEST_CASE("null model: at 2 bits the law fails, so that the tests above can fail") {
  Quantizer q;
  q.bits = 2;
  const Ratio ratio = ratio_over_draws(Quadratic(8, 256), q, 120);
  CHECK(std::abs(ratio.mean - 1) > 10 * ratio.error);
}

TEST_CASE("null model: fixed curvature and fixed steps show no growth with tokens") {
  const Verdict v = judge_damage_growth(null_rows(), Thresholds{});
  CAPTURE(v.prose);
  CHECK(holds(v, 0));
  CHECK(v.outcome != Outcome::supported);
  CHECK(v.high - v.low < 0.2);
  CHECK(v.n == 240);
}

TEST_CASE("null model: real rounding is explained by the prediction over all bits") {
  const Verdict v = judge_prediction(null_rows(), Thresholds{});
  CAPTURE(v.prose);
  CHECK(v.outcome == Outcome::supported);
  CHECK_NEAR(v.estimate, 1.0, 0.0, 0.05);
}

TEST_CASE("planted law: the exponents come back through run files, and growth is supported") {
  const PlantedLaw law;
  const Table table = through_files(law);
  REQUIRE(table.ptq.size() == 180);
  const Verdict damage = judge_damage_growth(table, Thresholds{});
  CAPTURE(damage.prose);
  CHECK(damage.outcome == Outcome::supported);
  CHECK(holds(damage, law.gamma_d));
  const Finding* size = find_finding(damage, "q1.gamma_n");
  REQUIRE(size);
  CHECK_NEAR(std::abs(size->estimate), law.gamma_n, 0.0, 0.05);
  const Verdict trace = judge_sharpness_growth(table, Thresholds{});
  CAPTURE(trace.prose);
  CHECK(trace.outcome == Outcome::supported);
  CHECK(holds(trace, law.curvature_share * law.gamma_d));
  CHECK(judge_prediction(table, Thresholds{}).outcome == Outcome::supported);
}

TEST_CASE("planted law: without growth the files do not support growth") {
  PlantedLaw flat;
  flat.gamma_d = 0;
  const Table table = through_files(flat);
  const Verdict damage = judge_damage_growth(table, Thresholds{});
  CAPTURE(damage.prose);
  CHECK(damage.outcome != Outcome::supported);
  CHECK(holds(damage, 0));
  CHECK(judge_sharpness_growth(table, Thresholds{}).outcome != Outcome::supported);
}

}  // namespace hone::theory

TEST_SUITE_END();
