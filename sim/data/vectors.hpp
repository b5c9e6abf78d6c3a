// Tasks for MLPs: a table of labelled vectors (handwritten digits, any CSV) and a teacher network
// that gives unlimited fresh examples with a power-law input spectrum. Batches are a pure function
// of (seed, step).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"

namespace hone {

/// Examples of a task; `labels` for classification or `y` for regression, the other is empty.
/// shapes   x (examples, inputs)  y (examples, outputs), row-major;  labels in 0 … outputs-1
struct VectorBatch {
  Index examples = 0, inputs = 0, outputs = 0;
  std::vector<double> x;
  std::vector<std::int32_t> labels;
  std::vector<double> y;
};

struct TableOptions {
  std::filesystem::path file = {};   ///< CSV, plain or .gz; the last column is the class 0, 1, …
  double validation_fraction = 0.2;  ///< of the rows, in (0, 1); the same rows for every seed
  std::uint64_t seed = 0;            ///< order of the training rows

  /// errors  OptionError with all complaints
  void validate() const;
};

/// A labelled table, split by rows.
class VectorTable {
 public:
  /// errors  those of load_labelled_csv; OptionError for bad options or fewer than two rows
  explicit VectorTable(const TableOptions& options);

  const VectorBatch& train() const { return train_; }
  const VectorBatch& validation() const { return validation_; }
  /// Of the file's bytes.
  const std::string& sha256() const { return sha256_; }

  /// Training batch; no row comes twice within an epoch, and each epoch has its own random order.
  /// errors   OptionError when there are fewer training rows than `examples`
  VectorBatch batch(std::int64_t step, Index examples) const;
  /// Epoch of the last row of this step's batch: 0 as long as no row was seen twice.
  std::int64_t epoch_of(std::int64_t step, Index examples) const;

 private:
  std::filesystem::path file_;
  std::uint64_t seed_;
  VectorBatch train_, validation_;
  std::string sha256_;
};

struct TeacherOptions {
  Index inputs = 32, hidden = 32, outputs = 1;  ///< each 1 … 65536
  double spectrum_exponent = 1;                 ///< a ≥ 0: variance of input i is i^-a
  double noise_sd = 0;                          ///< of the Gaussian noise added to each output
  std::uint64_t source_seed = 0;                ///< the teacher's weights and the validation set
  std::uint64_t data_seed = 0;                  ///< the training examples

  /// errors  OptionError with all complaints
  void validate() const;
};

/// Regression on a fixed random teacher.
/// math     x_i = i^(-a/2) z_i,  y = V tanh(W x) + noise_sd·z',  z, z' standard normal;  W_hi
///          normal with variance 1/Σ i^-a, so that each hidden unit sees a standard normal;  V_oh
///          normal with variance 1/hidden
/// ensures  example e is a pure function of (seeds, e); none is ever repeated
class TeacherTask {
 public:
  /// errors  OptionError
  explicit TeacherTask(const TeacherOptions& options);

  /// Fresh examples step·examples … (step+1)·examples - 1.
  VectorBatch batch(std::int64_t step, Index examples) const;
  /// Held-out examples with the same noise, the same for every data_seed.
  VectorBatch validation(Index examples) const;
  /// The teacher's outputs without noise.
  /// shapes   x (examples, inputs), result (examples, outputs)
  Matrix<double> noiseless(const Matrix<double>& x) const;

 private:
  VectorBatch draw(const Stream& stream, std::int64_t first, Index examples) const;

  TeacherOptions options_;
  Vector<double> input_sd_;
  Matrix<double> input_weights_, output_weights_;  // W' (inputs, hidden), V' (hidden, outputs)
};

}  // namespace hone
