// A run file that uses every feature of the schema, and a folder that disappears after a test.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>

#include "sim/record/run_file.hpp"

namespace hone::test {

/// An empty folder of its own for each object, removed with it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::atomic<int> serial{0};
    path_ = std::filesystem::temp_directory_path() / fmt::format("hone-record-{}-{}", ::getpid(), serial++);
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline Dataset example_ptq() {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  Dataset ptq;
  ptq.set("bits", vector_variable("bits", std::vector<std::int64_t>{2, 3, 4}, "1", "bits of a weight"));
  ptq.set("delta_nats",
          matrix_variable({"checkpoint", "bits"}, {2, 3},
                          std::vector<double>{0.5, std::nan("7"), -0.0, infinity, 1e-310, -3}, "nats", "loss rise"));
  ptq.set("variant", vector_variable("checkpoint", std::vector<std::string>{"trunk", ""}, "1", "größer → ∞"));
  ptq.set("damage", scalar_variable(0.25, "nats", "a number"));
  ptq.set("verdict", scalar_variable("naïve", "1", "a text"));
  ptq.set_attribute("grid", "int-symmetric");
  ptq.set_attribute("windows", std::int64_t{-9007199254740993});
  ptq.set_attribute("threshold", std::nan(""));
  return ptq;
}

inline Dataset example_state() {
  std::vector<float> weights(70000);  // several filtered chunks
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = std::sin(0.1f * static_cast<float>(i));
  std::vector<std::int64_t> cube(12 * 10 * 11);
  for (std::size_t i = 0; i < cube.size(); ++i) cube[i] = static_cast<std::int64_t>(i * i) - 5;
  Dataset state;
  state.set("parameters", vector_variable("parameter", weights, "1", "all parameters"));
  state.set("cube", {{"a", "b", "c"}, {12, 10, 11}, cube, "1", "three axes"});
  state.set("block", vector_variable("block", std::vector<std::string>{"wq", "wüi"}, "1", "block name"));
  state.set("trace", vector_variable("block", std::vector<double>{1, 2}, "nats", "trace"));
  return state;
}

inline Dataset example_empty() {
  Dataset empty;
  empty.set("lr", vector_variable("step", std::vector<double>{}, "1", "learning rate"));
  empty.set("step", vector_variable("step", std::vector<std::int64_t>{}, "1", "updates"));
  empty.set("name", vector_variable("row", std::vector<std::string>{}, "1", "no names"));
  empty.set("table", matrix_variable({"row", "col"}, {0, 4}, std::vector<float>{}, "1", "no rows"));
  return empty;
}

inline RunFile example_run() {
  RunFile run;
  run.attributes = {{"title", "example"}, {"study", std::string(100000, 's')}, {"seed", std::int64_t{7}}};
  run.groups = {{"ptq", example_ptq()}, {"state", example_state()}, {"series", example_empty()}};
  run.groups["manifest"].set_attribute("git_id", "");
  run.groups["nothing"];
  return run;
}

}  // namespace hone::test
