// The test runner: doctest's implementation and main, once for all test programs. Both macros, because the
// precompiled header has read doctest's declarations already.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <iostream>

#include "sim/base/error.hpp"
#include "sim/base/instruction_class.hpp"

/// 77, which ctest counts as skipped, when the environment asks for an instruction class that this machine lacks.
int main(int argc, char** argv) {
  try {
    hone::instruction_class();
  } catch (const hone::OptionError& e) {
    std::cout << "SKIPPED: " << e.what() << "\n";
    return 77;
  }
  return doctest::Context(argc, argv).run();
}
