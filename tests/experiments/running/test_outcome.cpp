#include "experiments/running/outcome.hpp"

#include <doctest/doctest.h>

#include "sim/base/error.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/messages.hpp"

TEST_SUITE_BEGIN("studies");

namespace hone::test {
namespace {

using experiments::outcome_text;
using experiments::parse_outcome;
using experiments::RunOutcome;

TEST_CASE("outcome: every outcome is read back from its text, and complete is that word alone") {
  CHECK(outcome_text(RunOutcome{}) == "complete");
  CHECK(outcome_text(RunOutcome::diverged("update 3: loss inf nats")) == "diverged: update 3: loss inf nats");
  for (const RunOutcome& outcome : {RunOutcome{}, RunOutcome::diverged("update 3"), RunOutcome::diverged("complete"),
                                    RunOutcome::diverged("diverged: twice"), RunOutcome::diverged("")})
    CHECK(parse_outcome(outcome_text(outcome), "file") == outcome);
}

TEST_CASE("outcome: a text that is none is an error with the file and the known ones") {
  for (const char* text : {"", "Complete", "complete ", "diverged", "interrupted"}) {
    CAPTURE(text);
    const std::string said = message_of<FormatError>([&] { (void)parse_outcome(text, "a.h5: /manifest"); });
    CHECK_MESSAGE(mentions(said, "a.h5: /manifest: outcome = \"" + std::string(text) + "\""), said);
    CHECK_MESSAGE(mentions(said, "\"complete\" or \"diverged: "), said);
  }
}

TEST_CASE("run: a finished file whose outcome is none is reported and made again with the same rows") {
  const Workplace place(tiny_text());
  REQUIRE(place.says("run", alone).code == 0);
  const RunFile whole = place.read(0);
  RunFile changed = whole;
  changed.groups["manifest"].set_attribute("outcome", std::string("nearly complete"));
  write_run_file(place.finished(0), changed);
  CHECK(mentions(place.says("plan").out, "damaged, to do again"));
  const Said said = place.says("run", alone);
  CHECK_MESSAGE(said.code == 0, said.err);
  CHECK_MESSAGE(mentions(said.err, "outcome = \"nearly complete\""), said.err);
  CHECK_MESSAGE(mentions(said.err, "will be made again"), said.err);
  const RunFile again = place.read(0);
  REQUIRE(again.groups.size() == whole.groups.size());
  for (const auto& [name, rows] : whole.groups) CHECK_MESSAGE(again.group(name) == rows, name);
}

}  // namespace
}  // namespace hone::test

TEST_SUITE_END();
