// Random vectors for tests: pure functions of a case number, so that a failure is the same at every
// run.
#pragma once

#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"

namespace hone::test {

/// `size` standard normal values; different `number`s are independent.
inline Vector<double> normals(Index size, std::uint32_t number) {
  Vector<double> out(size);
  const Stream stream{.seed = 1, .domain = Domain::test, .substream = number};
  for (Index i = 0; i < size; ++i) out[i] = normal(stream, static_cast<std::uint64_t>(i));
  return out;
}

/// A (rows, cols) matrix of them, row by row.
inline Matrix<double> gaussian(Index rows, Index cols, std::uint32_t number) {
  return normals(rows * cols, number).reshaped<Eigen::RowMajor>(rows, cols);
}

/// The same as normals in aligned memory of any scalar.
template <class S>
AlignedVector<S> aligned_normals(Index size, std::uint32_t number) {
  AlignedVector<S> out(static_cast<size_t>(size));
  const Stream stream{.seed = 1, .domain = Domain::test, .substream = number};
  for (Index i = 0; i < size; ++i) out[size_t(i)] = S(normal(stream, static_cast<std::uint64_t>(i)));
  return out;
}

/// `size` integers in [0, bound).
template <class Id>
std::vector<Id> ids(Index size, std::uint64_t bound, std::uint32_t number) {
  std::vector<Id> out(static_cast<size_t>(size));
  const Stream stream{.seed = 2, .domain = Domain::test, .substream = number};
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<Id>(below(stream, i, bound));
  return out;
}

}  // namespace hone::test
