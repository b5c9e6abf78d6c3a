#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "sim/base/error.hpp"
#include "sim/data/labelled_csv.hpp"
#include "sim/data/vectors.hpp"
#include "tests/support/near.hpp"
#include "tests/support/temporary_folder.hpp"

namespace fs = std::filesystem;
using namespace hone;
using hone::test::mentions;
using hone::test::message_of;
using hone::test::TemporaryFolder;

namespace {

/// Rows "i, 2i, class i % 3" for i = 1 … count.
std::string table_text(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) text += fmt::format("{},{:.18e},{}\n", i, 2.0 * i, i % 3);
  return text;
}

/// The number i of each row, by its first input.
std::vector<int> numbers_of(const VectorBatch& batch, int largest) {
  std::vector<int> numbers;
  for (Index k = 0; k < batch.examples; ++k)
    numbers.push_back(static_cast<int>(std::lround(batch.x[k * batch.inputs] * 2 * largest)));
  return numbers;
}

fs::path digits() {
  const char* folder = std::getenv("HONE_CORPUS_DIR");
  for (const fs::path& file : {fs::path("/usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz"),
                               fs::path(folder ? folder : "") / "digits" / "digits.csv.gz"})
    if (fs::exists(file)) return file;
  return {};
}

}  // namespace

TEST_CASE("csv: values, classes and their scale") {
  const TemporaryFolder folder;
  const VectorBatch table = load_labelled_csv(folder.write("t.csv", "a,b,class\r\n1, 4 ,0\r\n\n-2,+3.5,2\r\n"));
  CHECK(table.examples == 2);
  CHECK(table.inputs == 2);
  CHECK(table.outputs == 3);
  CHECK(table.x == std::vector<double>{0.25, 1, -0.5, 0.875});
  CHECK(table.labels == std::vector<std::int32_t>{0, 2});
  CHECK(table.y.empty());
}

TEST_CASE("csv: a gzipped table is the same table") {
  const TemporaryFolder folder;
  const std::string text = table_text(50);
  gzFile out = gzopen((folder.path() / "t.csv.gz").c_str(), "wb");
  gzwrite(out, text.data(), static_cast<unsigned>(text.size()));
  gzclose(out);
  const VectorBatch packed = load_labelled_csv(folder.path() / "t.csv.gz");
  const VectorBatch plain = load_labelled_csv(folder.write("t.csv", text));
  CHECK(packed.x == plain.x);
  CHECK(packed.labels == plain.labels);
}

TEST_CASE("csv: each error names the file, the line and the fix") {
  const TemporaryFolder folder;
  const std::pair<std::string, std::string> bad[] = {
      {"1,2,0\n1,x,0\n", "line 2 column 2: 'x'"},
      {"1,2,0\n1,2\n", "line 2: 2 columns, earlier lines have 3"},
      {"1,2,0\n1,,0\n", "line 2 column 2"},
      {"1,2,0\n1,2,\n", "line 2 column 3"},
      {"1,nan,0\n", "line 1 column 2"},
      {"1,inf,0\n", "line 1 column 2"},
      {"1,1e999,0\n", "line 1 column 2"},
      {"1,2,0.5\n", "line 1 column 3: the class is 0.5"},
      {"1,2,-1\n", "the class is -1"},
      {"1,2,2000000000\n", "the class is"},
      {"5\n", "line 1: 1 column"},
      {"", "no rows"},
      {"a,b,c\n", "no rows"},
  };
  for (const auto& [content, part] : bad) {
    CAPTURE(content);
    const fs::path file = folder.write("bad.csv", content);
    const std::string message = message_of<FormatError>([&] { load_labelled_csv(file); });
    CHECK(mentions(message, "bad.csv"));
    CHECK(mentions(message, part));
    CHECK((mentions(message, "mend") || mentions(message, "give")));
  }
  CHECK(mentions(message_of<IoError>([&] { load_labelled_csv(folder.path() / "no.csv"); }), "no.csv"));
}

TEST_CASE("table: the two sides share no row and together are the table") {
  const TemporaryFolder folder;
  const VectorTable table({.file = folder.write("t.csv", table_text(200)), .validation_fraction = 0.25});
  CHECK(table.validation().examples == 50);
  std::vector<int> all = numbers_of(table.train(), 200);
  const std::vector<int> held = numbers_of(table.validation(), 200);
  all.insert(all.end(), held.begin(), held.end());
  CHECK(std::set<int>(all.begin(), all.end()).size() == 200);
  for (Index k = 0; k < 150; ++k) CHECK(table.train().labels[k] == numbers_of(table.train(), 200)[k] % 3);
}

TEST_CASE("table: an epoch visits every training row once, and batches are pure") {
  const TemporaryFolder folder;
  const fs::path file = folder.write("t.csv", table_text(101));
  const VectorTable table({.file = file, .seed = 4}), same({.file = file, .seed = 4});
  const VectorTable other({.file = file, .seed = 5});
  CHECK(table.validation().x == other.validation().x);
  CHECK(table.batch(0, 9).x != other.batch(0, 9).x);
  const Index rows = table.train().examples;
  std::vector<int> visited;
  for (std::int64_t step = 0; step * 10 < 2 * rows; ++step) {
    const VectorBatch batch = table.batch(step, 10);
    for (const int number : numbers_of(batch, 101)) visited.push_back(number);
    CHECK((table.epoch_of(step, 10) == 0) == ((step + 1) * 10 <= rows));
  }
  const std::vector<int> first(visited.begin(), visited.begin() + rows);
  const std::vector<int> second(visited.begin() + rows, visited.begin() + 2 * rows);
  CHECK(std::set<int>(first.begin(), first.end()).size() == first.size());
  CHECK(std::is_permutation(first.begin(), first.end(), second.begin()));
  CHECK(first != second);
  CHECK(same.batch(6, 9).x == table.batch(6, 9).x);
  const std::string message = message_of<OptionError>([&] { table.batch(0, 1000); });
  CHECK(mentions(message, "t.csv"));
  CHECK(mentions(message, "smaller batch"));
  CHECK(mentions(message_of<OptionError>([] { VectorTable({.validation_fraction = 2}); }), "fraction is 2"));
}

TEST_CASE("table: the handwritten digits") {
  const fs::path file = digits();
  if (file.empty()) {
    MESSAGE("SKIPPED: package python3-sklearn is not installed and HONE_CORPUS_DIR holds no digits");
    return;
  }
  const VectorTable table({.file = file});
  CHECK(table.train().examples + table.validation().examples == 1797);
  CHECK(table.train().inputs == 64);
  CHECK(table.train().outputs == 10);
  CHECK(*std::max_element(table.train().x.begin(), table.train().x.end()) == 1.0);
  CHECK(*std::min_element(table.train().x.begin(), table.train().x.end()) == 0.0);
}

TEST_CASE("teacher: the input covariance is diagonal with the spectrum i^-a") {
  constexpr Index inputs = 8, examples = 40000;
  const TeacherTask task({.inputs = inputs, .spectrum_exponent = 1.5});
  const VectorBatch batch = task.batch(3, examples);
  const ConstMatView<double> x(batch.x.data(), examples, inputs);
  const Matrix<double> covariance = x.transpose() * x / double(examples);
  for (Index i = 0; i < inputs; ++i) {
    for (Index j = 0; j < inputs; ++j) {
      const double si = std::pow(double(i + 1), -1.5), sj = std::pow(double(j + 1), -1.5);
      const double error = std::sqrt((i == j ? 2 : 1) * si * sj / examples);
      CHECK_NEAR(covariance(i, j), i == j ? si : 0.0, 0, 5 * error);
    }
  }
}

TEST_CASE("teacher: outputs are the noiseless teacher plus noise of the stated size") {
  constexpr Index examples = 20000;
  const TeacherTask quiet({.inputs = 6, .hidden = 10, .outputs = 3});
  const TeacherTask noisy({.inputs = 6, .hidden = 10, .outputs = 3, .noise_sd = 0.3});
  const VectorBatch a = quiet.batch(0, 50), b = noisy.batch(0, examples);
  const Matrix<double> clean = quiet.noiseless(ConstMatView<double>(a.x.data(), 50, 6));
  CHECK(test::relative_error(ConstMatView<double>(a.y.data(), 50, 3), clean) < 1e-15);
  const Matrix<double> noise =
      ConstMatView<double>(b.y.data(), examples, 3) - noisy.noiseless(ConstMatView<double>(b.x.data(), examples, 6));
  const double variance = noise.squaredNorm() / double(noise.size());
  CHECK_NEAR(variance, 0.09, 5 * std::sqrt(2.0 / double(noise.size())), 0);
  const double signal = quiet.noiseless(ConstMatView<double>(b.x.data(), examples, 6)).squaredNorm();
  CHECK(signal / double(3 * examples) > 0.05);
}

TEST_CASE("teacher: an example depends on its number only, not on its batch") {
  const TeacherTask task({.inputs = 20, .hidden = 7, .outputs = 2, .noise_sd = 0.1});
  const VectorBatch large = task.batch(1, 6);  // examples 6 … 11
  for (int k = 0; k < 6; ++k) {
    const VectorBatch one = task.batch(6 + k, 1);
    CHECK(std::equal(one.x.begin(), one.x.end(), large.x.begin() + k * 20));
    CHECK(std::equal(one.y.begin(), one.y.end(), large.y.begin() + k * 2));
  }
  CHECK(large.labels.empty());
}

TEST_CASE("teacher: the data seed changes the examples and not the teacher or the validation set") {
  const TeacherTask a({.source_seed = 1, .data_seed = 2}), b({.source_seed = 1, .data_seed = 3});
  CHECK(a.batch(0, 4).x != b.batch(0, 4).x);
  CHECK(a.validation(10).y == b.validation(10).y);
  CHECK(a.validation(10).x != a.batch(0, 10).x);
  const Matrix<double> x = Matrix<double>::Ones(2, 32);
  CHECK(a.noiseless(x) == b.noiseless(x));
  const TeacherTask c({.source_seed = 9, .data_seed = 2});
  CHECK(a.noiseless(x) != c.noiseless(x));
}

TEST_CASE("teacher: each error names the field and the fix") {
  const std::string message = message_of<OptionError>(
      [] { TeacherTask({.inputs = 0, .hidden = -1, .outputs = 70000, .spectrum_exponent = NAN, .noise_sd = -1}); });
  for (const char* part : {"inputs is 0", "hidden is -1", "outputs is 70000", "spectrum_exponent", "noise_sd", "give"})
    CHECK(mentions(message, part));
}
