// Schemes at every checkpoint: the same numbers as at the end of the trunk, in means over drawn rotations.
#include <doctest/doctest.h>

#include <cmath>

#include "experiments/instruments/cost.hpp"
#include "experiments/study/sources.hpp"
#include "sim/base/error.hpp"
#include "tests/experiments/program.hpp"
#include "tests/support/near.hpp"

TEST_SUITE_BEGIN("experiments");

namespace hone::test {
namespace {

using namespace experiments;

std::string along_text(const std::string& options) {
  return replaced(replaced(quick_text(), "seeds = [1, 2]", "seeds = [1]"), "[quantize]\n",
                  "[quantize]\nschemes = [\"rtn\", \"awq\", \"mixed-trace\", \"rotate+rtn\"]\nscheme_bits = [6, 3]\n"
                  "calibration_windows = 20\n" +
                      options);
}

Dataset along(const std::string& options, int threads = 1) {
  const Workplace place(along_text(options));
  const Said said = place.says("run", {"--jobs", "1", "--threads", std::to_string(threads)});
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const RunFile file = place.read(0);
  CHECK(file.group("schemes_along").length("checkpoint") == file.group("checkpoints").length("checkpoint"));
  return file.group("schemes_along");
}

void refused(const std::string& options, const std::string& words) {
  const Workplace place(along_text(options));
  const Said said = place.says("plan");
  CHECK(said.code != 0);
  CHECK_MESSAGE(said.err.find(words) != std::string::npos, said.err);
}

}  // namespace

TEST_CASE("schemes along: the last trunk checkpoint has the numbers of the end of the trunk") {
  const Workplace place(along_text("schemes_at = \"every\"\n"));
  const Said said = place.says("run", alone);
  REQUIRE_MESSAGE(said.code == 0, said.err);
  const RunFile file = place.read(0);
  const Dataset &end = file.group("schemes"), &all = file.group("schemes_along");
  const auto& variants = file.group("checkpoints").strings("variant");
  const size_t entries = end.strings("scheme").size();
  CHECK(all.strings("scheme") == end.strings("scheme"));
  CHECK(all.ints("bits") == end.ints("bits"));
  CHECK(all.ints("draws") == std::vector<std::int64_t>(entries, 1));
  size_t last = 0;
  for (size_t c = 0; c < variants.size(); ++c)
    if (variants[c] == "trunk") last = c;
  for (size_t i = 0; i < entries; ++i) {
    CAPTURE(end.strings("scheme")[i]);
    if (end.strings("scheme")[i] == "rotate+rtn" || end.strings("scheme")[i] == "mixed-trace") continue;  // other draws
    const size_t at = last * entries + i;
    CHECK_NEAR(all.doubles("gradient_nats")[at], end.doubles("gradient_nats")[i], 1e-4, 1e-8);
    CHECK_NEAR(all.doubles("quadratic_nats")[at], end.doubles("quadratic_nats")[i], 1e-5, 1e-9);
    CHECK(all.doubles("bits_per_weight")[at] == end.doubles("bits_per_weight")[i]);
    const double rotated = end.doubles("reference_delta_nats")[i];
    CHECK_NEAR(all.doubles("delta_nats")[at], end.doubles("delta_nats")[i] - rotated, 1e-6, 1e-9);
    CHECK(all.doubles("quadratic_other_nats")[at] != all.doubles("quadratic_nats")[at]);
    CHECK(all.doubles("remainder_se_nats")[at] < all.doubles("delta_se_nats")[at]);
  }
}

TEST_CASE("schemes along: rotations are drawn anew, what is not drawn keeps its bits, and threads change none") {
  const Dataset once = along("schemes_at = \"every\"\n"), twice = along("schemes_at = \"every\"\nrotations = 2\n", 2);
  const auto& names = once.strings("scheme");
  for (size_t i = 0; i < names.size(); ++i) {
    const bool is_drawn = names[i] == "rotate+rtn";
    CAPTURE(names[i]);
    CHECK(twice.ints("draws")[i] == (is_drawn ? 2 : 1));
    CHECK((once.doubles("delta_nats")[i] == twice.doubles("delta_nats")[i]) == !is_drawn);
    CHECK((once.doubles("quadratic_other_nats")[i] == twice.doubles("quadratic_other_nats")[i]) == !is_drawn);
  }
}

TEST_CASE(
    "schemes along: options that contradict each other are refused before anything runs, and plans count the cost") {
  refused("schemes_at = \"sometimes\"\n", "expected last or every");
  refused("rotations = 2\n", "schemes_at = \"every\"");
  const auto flops = [](const std::string& options) {
    const Workplace place(along_text(options));
    return work_of(place.runs().front()).measuring_flops;
  };
  const double last = flops(""), every = flops("schemes_at = \"every\"\n");
  CHECK(every > last);
  // One rounding for each of eight entries; two more for two of them.
  CHECK_NEAR(flops("schemes_at = \"every\"\nrotations = 3\n") - every, 0.5 * (every - last), 1e-9, 0);
}

TEST_CASE("sources: the first training windows are those of the first batches, whatever the batch") {
  Source<TokenBatch> source;
  source.evaluation.positions = 1;
  source.batch = [](std::int64_t step) {
    const auto first = std::uint16_t(4 * step);
    return TokenBatch{2, 1, {first, std::uint16_t(first + 1), std::uint16_t(first + 2), std::uint16_t(first + 3)}};
  };
  const TokenBatch three = first_training_windows(source, 3);
  CHECK(three.sequences == 3);
  CHECK(std::vector<std::uint16_t>(three.tokens.begin(), three.tokens.end()) ==
        std::vector<std::uint16_t>{0, 1, 2, 3, 4, 5});
}

}  // namespace hone::test

TEST_SUITE_END();
