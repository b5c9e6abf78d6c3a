// planted_worlds [campaigns] [laws|limits|growth|contrasts|forms]: the tables of outputs/published/planted/README.md, as
// Markdown; all by default.
// planted_worlds campaigns real-growth|real-contrasts TABLE [seeds]: worlds on the design of a study that was run.
#include "tests/theory/planted/worlds.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "sim/base/parallel.hpp"
#include "theory/rows/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

void print(const std::vector<OutcomeRate>& table) {
  fmt::print("| world | question | should be | supported | refuted | inconclusive |\n|---|---|---|---|---|---|\n");
  for (const OutcomeRate& r : table) {
    const double share = 100.0 / (r.supported + r.refuted + r.inconclusive);
    fmt::print("| {} | {} | {} | {:.1f} % | {:.1f} % | {:.1f} % |\n", r.world, r.question, r.wanted,
               share * r.supported, share * r.refuted, share * r.inconclusive);
  }
  fmt::print("\n");
}

void print(const std::vector<Coverage>& table) {
  fmt::print("| world | number | planted | 95 % intervals that hold it | median width |\n|---|---|---|---|---|\n");
  for (const Coverage& c : table)
    fmt::print("| {} | {} | {:.4g} | {:.1f} %{} | {:.3g} |\n", c.family, c.number, c.planted,
               100.0 * c.held / c.campaigns, c.missing > 0 ? fmt::format(" ({} without)", c.missing) : "",
               c.median_width);
  fmt::print("\n");
}

void print(const VerdictTables& tables) {
  print(tables.coverage);
  print(tables.outcomes);
}

}  // namespace

int main(int argc, char** argv) {
  const WorldOptions options{argc > 1 ? std::atoi(argv[1]) : 500, hardware_threads()};
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string only = argc > 2 ? argv[2] : "";
  if (argc > 3) {
    const Table study = from_tables(argv[3]);
    const int seeds = argc > 4 ? std::atoi(argv[4]) : 3;
    if (only == "real-growth") print(real_growth_tables(study, seeds, options));
    if (only == "real-contrasts") print(real_contrast_tables(study, seeds, options));
    return 0;
  }
  if (only.empty() || only == "laws") print(law_coverage(options));
  if (only.empty() || only == "limits") print(limit_coverage(options));
  if (only.empty() || only == "growth") print(growth_tables(options));
  if (only.empty() || only == "contrasts") print(contrast_tables(options));
  if (only.empty() || only == "forms") print(form_tables(options));
}
