#include "sim/data/vectors.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/data/labelled_csv.hpp"
#include "sim/data/permutation.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

// Substreams of Domain::synthetic that belong to the teacher; those of the other sources are below
// 16 + 2^16.
constexpr std::uint32_t teacher_substream = 1u << 20;
constexpr std::uint32_t training_substream = teacher_substream + 1;
constexpr std::uint32_t validation_substream = teacher_substream + 2;

void append_row(VectorBatch& to, const VectorBatch& from, Index row) {
  const auto begin = from.x.begin() + row * from.inputs;
  to.x.insert(to.x.end(), begin, begin + from.inputs);
  to.labels.push_back(from.labels[row]);
  ++to.examples;
}

VectorBatch same_shape(const VectorBatch& table) {
  VectorBatch out;
  out.inputs = table.inputs;
  out.outputs = table.outputs;
  return out;
}

}  // namespace

void TableOptions::validate() const {
  std::string complaints;
  if (file.empty()) complaints = "table file is empty, give the path of a CSV file";
  if (!(validation_fraction > 0 && validation_fraction < 1))
    complaints += fmt::format("{}table validation_fraction is {}, give a value between 0 and 1",
                              complaints.empty() ? "" : "; ", validation_fraction);
  if (!complaints.empty()) throw OptionError(complaints);
}

VectorTable::VectorTable(const TableOptions& options) : file_(options.file), seed_(options.seed) {
  options.validate();
  const VectorBatch all = load_labelled_csv(file_);
  if (all.examples < 2)
    throw OptionError(fmt::format("{}: {} row cannot be split into training and validation; give more rows",
                                  file_.string(), all.examples));
  sha256_ = sha256_of_file(file_);
  train_ = validation_ = same_shape(all);
  const std::vector<bool> validates = held_out(all.examples, options.validation_fraction);
  for (Index row = 0; row < all.examples; ++row) append_row(validates[row] ? validation_ : train_, all, row);
}

VectorBatch VectorTable::batch(std::int64_t step, Index examples) const {
  EXPECTS(step >= 0 && examples >= 1, "batch of {} examples at step {}", examples, step);
  if (examples > train_.examples)
    throw OptionError(
        fmt::format("{}: {} training rows, one batch needs {}; give a longer table or a smaller "
                    "batch",
                    file_.string(), train_.examples, examples));
  VectorBatch out = same_shape(train_);
  for (Index k = 0; k < examples; ++k) {
    const std::int64_t visit = step * examples + k;
    const auto epoch = static_cast<std::uint32_t>(visit / train_.examples);
    const Stream order{seed_, Domain::batch, epoch};
    append_row(out, train_, permuted(visit % train_.examples, train_.examples, order));
  }
  return out;
}

std::int64_t VectorTable::epoch_of(std::int64_t step, Index examples) const {
  EXPECTS(step >= 0 && examples >= 1, "epoch of {} examples at step {}", examples, step);
  return (step * examples + examples - 1) / train_.examples;
}

void TeacherOptions::validate() const {
  std::string complaints;
  const auto complain = [&](const std::string& what) { complaints += (complaints.empty() ? "" : "; ") + what; };
  const auto check_width = [&](std::string_view name, Index width) {
    if (width < 1 || width > 65536) complain(fmt::format("teacher {} is {}, give 1 to 65536", name, width));
  };
  check_width("inputs", inputs);
  check_width("hidden", hidden);
  check_width("outputs", outputs);
  if (!(spectrum_exponent >= 0 && spectrum_exponent <= 100))
    complain(fmt::format("teacher spectrum_exponent is {}, give a value from 0 to 100", spectrum_exponent));
  if (!(noise_sd >= 0 && std::isfinite(noise_sd)))
    complain(fmt::format("teacher noise_sd is {}, give a value of 0 or more", noise_sd));
  if (!complaints.empty()) throw OptionError(complaints);
}

TeacherTask::TeacherTask(const TeacherOptions& options) : options_(options) {
  options_.validate();
  const Index I = options_.inputs, H = options_.hidden, O = options_.outputs;
  input_sd_.resize(I);
  for (Index i = 0; i < I; ++i) input_sd_[i] = std::pow(static_cast<double>(i + 1), -options_.spectrum_exponent / 2);
  const double input_scale = 1 / input_sd_.norm();
  const double output_scale = 1 / std::sqrt(static_cast<double>(H));
  const Stream stream{options_.source_seed, Domain::synthetic, teacher_substream};
  std::uint64_t counter = 0;
  input_weights_.resize(I, H);
  for (double& w : input_weights_.reshaped()) w = input_scale * normal(stream, counter++);
  output_weights_.resize(H, O);
  for (double& v : output_weights_.reshaped()) v = output_scale * normal(stream, counter++);
}

VectorBatch TeacherTask::batch(std::int64_t step, Index examples) const {
  EXPECTS(step >= 0 && examples >= 1, "batch of {} examples at step {}", examples, step);
  return draw({options_.data_seed, Domain::synthetic, training_substream}, step * examples, examples);
}

VectorBatch TeacherTask::validation(Index examples) const {
  EXPECTS(examples >= 1, "validation set of {} examples", examples);
  return draw({options_.source_seed, Domain::synthetic, validation_substream}, 0, examples);
}

Matrix<double> TeacherTask::noiseless(const Matrix<double>& x) const {
  EXPECTS(x.cols() == options_.inputs, "teacher: {} inputs, expected {}", x.cols(), options_.inputs);
  // Row by row and not one product: blocking would make an example's last bits depend on its batch.
  Matrix<double> y(x.rows(), options_.outputs);
  Matrix<double> hidden(1, options_.hidden), output(1, options_.outputs);
  for (Index k = 0; k < x.rows(); ++k) {
    hidden.setZero(), output.setZero();
    for (Index i = 0; i < options_.inputs; ++i) hidden += x(k, i) * input_weights_.row(i);
    for (Index h = 0; h < options_.hidden; ++h) output += std::tanh(hidden(0, h)) * output_weights_.row(h);
    y.row(k) = output;
  }
  return y;
}

VectorBatch TeacherTask::draw(const Stream& stream, std::int64_t first, Index examples) const {
  const Index I = options_.inputs, O = options_.outputs;
  Matrix<double> x(examples, I), noise(examples, O);
  for (Index k = 0; k < examples; ++k) {
    // Inputs and noise of an example own the counters e·(I+O) … e·(I+O) + I+O-1.
    auto counter = static_cast<std::uint64_t>(first + k) * static_cast<std::uint64_t>(I + O);
    for (Index i = 0; i < I; ++i) x(k, i) = input_sd_[i] * normal(stream, counter++);
    for (Index o = 0; o < O; ++o) noise(k, o) = options_.noise_sd * normal(stream, counter++);
  }
  const Matrix<double> y = noiseless(x) + noise;
  VectorBatch out;
  out.examples = examples, out.inputs = I, out.outputs = O;
  out.x.assign(x.data(), x.data() + x.size());
  out.y.assign(y.data(), y.data() + y.size());
  return out;
}

}  // namespace hone
