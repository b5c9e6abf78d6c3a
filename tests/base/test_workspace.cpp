#include "sim/base/workspace.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

namespace hone::test {
namespace {

TEST_CASE_TEMPLATE("workspace: every block starts at a multiple of 64 bytes and none overlaps the next", S, float,
                   double) {
  Workspace<S> workspace(1000);
  const S* free_from = nullptr;
  for (const Index cols : {1, 3, 16, 17, 5, 64}) {
    const MatView<S> block = workspace.take(2, cols);
    CHECK(reinterpret_cast<std::uintptr_t>(block.data()) % 64 == 0);
    CHECK(block.rows() == 2);
    CHECK(block.cols() == cols);
    if (free_from != nullptr) CHECK(block.data() >= free_from);
    free_from = block.data() + block.size();
  }
}

TEST_CASE("workspace: a block takes its padded size and first holds zeros") {
  CHECK(Workspace<float>::padded(0) == 0);
  CHECK(Workspace<float>::padded(1) == 16);
  CHECK(Workspace<float>::padded(16) == 16);
  CHECK(Workspace<double>::padded(9) == 16);
  Workspace<double> workspace(24);
  CHECK(workspace.take(3, 3).cwiseAbs().sum() == 0);
  CHECK(workspace.used() == 16);
  CHECK(workspace.capacity() == 24);
}

TEST_CASE("workspace: a block beyond the capacity is refused with both sizes, the rest stays") {
  Workspace<double> workspace(32);
  workspace.take(1, 20);
  std::string message = "(nothing was thrown)";
  try {
    workspace.take(3, 3);
  } catch (const ContractError& error) {
    message = error.what();
  }
  CHECK(message.find("16 scalars wanted, 8 left") != std::string::npos);
  CHECK_NOTHROW(workspace.take(1, 8));
  CHECK_THROWS_AS(workspace.take(1, 1), ContractError);
}

TEST_CASE("workspace: memory of an aligned vector starts at a multiple of 64 bytes") {
  for (size_t count = 1; count < 40; ++count)
    CHECK(reinterpret_cast<std::uintptr_t>(AlignedVector<float>(count).data()) % 64 == 0);
}

}  // namespace
}  // namespace hone::test
