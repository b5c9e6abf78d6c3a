// All instruments of a study on one parameter vector: held-out loss, curvature, damage of quantization with its
// predictions, the factorial of precisions, other data, and noise in chosen subspaces.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "experiments/instruments/bench.hpp"
#include "experiments/instruments/instrument.hpp"
#include "experiments/instruments/specimen.hpp"

namespace hone::experiments {

/// Rows by group name.
using Rows = std::map<std::string, Dataset>;

/// In the order of their work. A new instrument is one line here.
template <template <class> class Model>
std::vector<std::unique_ptr<Instrument<Model>>> all_instruments();

template <template <class> class Model>
class Instruments {
 public:
  using Float = typename Bench<Model>::Float;
  using Data = typename Bench<Model>::Data;

  Instruments(const RunSpec& run, const Float& model, const Source<Data>& source, int threads, Watch watch)
      : bench_(run, model, source, threads, std::move(watch)), instruments_(all_instruments<Model>()) {}

  /// ensures  no rows when theta or its held-out loss is not finite
  /// errors   Interrupted from the watch
  Rows measure(const AlignedVector<float>& theta, const Moment& moment);

  /// Keeps the Hessian products of the measurement under way in this file, so that a killed one goes on from there.
  void set_journal(const std::filesystem::path& path) { bench_.journal = path; }
  /// Windows of other data on which losses are measured too; they outlive this.
  void set_shifted(const Data* windows) { bench_.shifted = windows; }
  /// All certificates of the last measurement.
  const std::vector<Certificate>& certificates() const { return certificates_; }
  /// Peak memory of the curvature part of a measurement.
  std::int64_t memory_bytes() const { return curvature_bytes(bench_); }

 private:
  Bench<Model> bench_;
  std::vector<std::unique_ptr<Instrument<Model>>> instruments_;
  std::vector<Certificate> certificates_;
};

}  // namespace hone::experiments
