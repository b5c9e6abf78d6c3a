// planted_worlds [campaigns]: the tables of theory/README.md, as Markdown.
#include "tests/theory/planted_worlds.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "sim/base/parallel.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

void print(const std::vector<Coverage>& table) {
  fmt::print("| world | number | planted | 95 % intervals that hold it | median width |\n|---|---|---|---|---|\n");
  for (const Coverage& c : table)
    fmt::print("| {} | {} | {:.4g} | {:.1f} %{} | {:.3g} |\n", c.family, c.number, c.planted,
               100.0 * c.held / c.campaigns, c.missing > 0 ? fmt::format(" ({} without)", c.missing) : "",
               c.median_width);
  fmt::print("\n");
}

}  // namespace

int main(int argc, char** argv) {
  const WorldOptions options{argc > 1 ? std::atoi(argv[1]) : 500, hardware_threads()};
  print(law_coverage(options));
}
