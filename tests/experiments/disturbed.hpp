// The study that the tests of faults disturb, and the same undisturbed.
#pragma once

#include <doctest/doctest.h>

#include "tests/experiments/program.hpp"

namespace hone::test {

/// A transformer with averages and a cooled branch, then a perceptron: about a second, four checkpoints each.
inline std::string disturbed_text() {
  std::string text = replaced(quick_text(), "seeds = [1, 2]", "seeds = [1]");
  text = replaced(text, "checkpoints = 3\n", "checkpoints = 4\n");
  text = replaced(text, "checkpoints = 2\n", "checkpoints = 4\n");
  return replaced(text, "chunk_rows = 128", "chunk_rows = 128\nema_decay = 0.95\nlawa_window = 20\nlawa_every = 7");
}

/// That study run once with one job and one thread.
inline const Workplace& undisturbed() {
  static const Workplace place(disturbed_text());
  static const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  return place;
}

}  // namespace hone::test
