// A study file: whatever is read gives runs with different ids.
#include <set>

#include "experiments/study/reader.hpp"
#include "experiments/study/study.hpp"
#include "tests/fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hone;
  fuzz::limit_time();
  static fuzz::InputFile input;
  const std::filesystem::path& file = input.holding(fuzz::text_of(data, size));
  fuzz::is_read(file.string(), [&] {
    std::set<std::string> ids;
    for (const experiments::RunSpec& run : experiments::plan_runs(experiments::read_study(file)))
      if (!ids.insert(run.id()).second) fuzz::fail("two runs have the id " + run.id());
  });
  return 0;
}
