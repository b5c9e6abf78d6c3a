#include "sim/base/instruction_class.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/gemm_kernel.hpp"
#include "sim/base/vector_ops.hpp"
#include "tests/support/class_tables.hpp"
#include "tests/support/draws.hpp"

namespace hone::test {
namespace {

using enum InstructionClass;

TEST_CASE("instruction class: the highest of the usable ones, or the one asked for") {
  CHECK(choose_class("", {v2, v3}) == v3);
  CHECK(choose_class("v2", {v2, v3}) == v2);
  CHECK(choose_class("", {base}) == base);
  const auto usable = usable_classes();
  REQUIRE(!usable.empty());
  CHECK(is_usable(instruction_class()));
}

TEST_CASE("instruction class: an unknown or unusable one is refused with those that can be set") {
  CHECK_THROWS_WITH_AS(choose_class("v4", {v2, v3}),
                       "HONE_ISA = 'v4': this machine can run v2, v3; set one of these or unset HONE_ISA", OptionError);
  CHECK_THROWS_AS(choose_class("avx2", {v2, v3, v4}), OptionError);
  CHECK_THROWS_AS(choose_class("", {}), OptionError);
}

/// y (rows, cols) = a b + c d by the tile kernels of one class.
template <class S>
std::vector<S> product(const GemmKernels<S>& k, const S* a, Index rows, Index depth, Index cols, Index terms) {
  const Index panel = k.gemm_panel_width(), padded = (cols + panel - 1) / panel * panel;
  const AlignedVector<S> b = aligned_normals<S>(2 * depth * cols, 2);
  AlignedVector<S> packed(size_t(2 * padded * depth));
  ProductTerm<S> term[2];
  for (Index t = 0; t < 2; ++t) {
    S* out = packed.data() + t * padded * depth;
    k.gemm_pack(out, b.data() + t * depth * cols, cols, depth, cols);
    term[t] = {a, depth, 1, out, depth, depth};
  }
  std::vector<S> y(size_t(rows * cols));
  k.gemm_multiply(y.data(), cols, rows, cols, term, int(terms), false);
  return y;
}

TEST_CASE_TEMPLATE("products: a row has equal bits alone and among 1 to 30 rows, and at every column [every class]", S,
                   float, double) {
  const AlignedVector<S> a = aligned_normals<S>(30 * 40, 1);
  for (const InstructionClass c : usable_classes()) {
    CAPTURE(name_of(c));
    const auto& k = table_for<GemmKernels<S>>(c);
    for (const Index depth : {1, 8, 40})
      for (const Index cols : {1, 3, 4, 5, 8, 9, 16, 17, 31, 33, 64})
        for (const Index terms : {1, 2}) {
          const std::vector<S> all = product(k, a.data(), 30, depth, cols, terms);
          for (Index rows = 1; rows < 30; ++rows) {
            const std::vector<S> fewer = product(k, a.data(), rows, depth, cols, terms);
            CHECK(std::equal(fewer.begin(), fewer.end(), all.begin()));
          }
          for (Index m = 0; m < 30; ++m) {
            const std::vector<S> alone = product(k, a.data() + m * depth, 1, depth, cols, terms);
            CHECK(std::equal(alone.begin(), alone.end(), all.begin() + m * cols));
          }
        }
  }
}

TEST_CASE_TEMPLATE("products: an element is the chain of multiply-adds over its depth [every class]", S, float,
                   double) {
  const Index depth = 37, cols = 19;
  const AlignedVector<S> a = aligned_normals<S>(depth, 1), b = aligned_normals<S>(2 * depth * cols, 2);
  for (const InstructionClass c : usable_classes()) {
    CAPTURE(name_of(c));
    const std::vector<S> y = product(table_for<GemmKernels<S>>(c), a.data(), 1, depth, cols, 2);
    for (Index j = 0; j < cols; ++j) {
      S sum = 0;
      for (Index t = 0; t < 2; ++t)
        for (Index k = 0; k < depth; ++k) {
          const S x = a[size_t(k)], w = b[size_t((t * depth + k) * cols + j)];
          sum = c == v2 ? x * w + sum : std::fma(x, w, sum);
        }
      CHECK(y[size_t(j)] == sum);
    }
  }
}

TEST_CASE_TEMPLATE("sums and elementwise operations have equal bits in every class", S, float, double) {
  const AlignedVector<S> x = aligned_normals<S>(300, 3), y = aligned_normals<S>(300, 4);
  const auto usable = usable_classes();
  const auto& least = table_for<VectorKernels<S>>(usable.front());
  for (const InstructionClass c : usable) {
    CAPTURE(name_of(c));
    const auto& k = table_for<VectorKernels<S>>(c);
    for (Index n = 0; n < 300; ++n) {
      CHECK(k.dot_product(x.data(), y.data(), n) == least.dot_product(x.data(), y.data(), n));
      CHECK(k.squared_distance(x.data(), y.data(), n) == least.squared_distance(x.data(), y.data(), n));
    }
    AlignedVector<S> a = x, b = x;
    k.add_to(a.data(), y.data(), 299);
    least.add_to(b.data(), y.data(), 299);
    CHECK(a == b);
  }
}

}  // namespace
}  // namespace hone::test
