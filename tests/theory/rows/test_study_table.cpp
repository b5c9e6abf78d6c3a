#include "theory/rows/study_table.hpp"

#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/near.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

using Strings = std::vector<std::string>;
using Doubles = std::vector<double>;
using Ints = std::vector<std::int64_t>;

Variable variable(Strings dims, std::vector<std::int64_t> shape, Values values) {
  return {std::move(dims), std::move(shape), std::move(values), "1", "test"};
}

/// Two checkpoints, /ptq at 4 and 3 bits, /shift at 3 and 8 bits: only 3 is in both.
RunFile run_of(const std::string& model) {
  RunFile run;
  Dataset& manifest = run.groups["manifest"];
  manifest.set_attribute("run_id", std::string("abc"));
  manifest.set_attribute("seed", std::string("7"));
  manifest.set_attribute("model_params", std::int64_t{26600});
  manifest.set_attribute("architecture", std::string("transformer"));
  manifest.set_attribute("model_name", model);
  run.groups["options"].set_attribute("train.batch", std::int64_t{32});
  run.groups["options"].set_attribute("model.arm", std::string("lr"));
  Dataset& points = run.groups["checkpoints"];
  points.set("tokens", variable({"checkpoint"}, {2}, Ints{1000, 2000}));
  points.set("variant", variable({"checkpoint"}, {2}, Strings{"trunk", "cooled"}));
  points.set("kind", variable({"checkpoint"}, {2}, Strings{"trunk", "cooldown"}));
  points.set("loss_nats", variable({"checkpoint"}, {2}, Doubles{3, 0.1}));
  Dataset& ptq = run.groups["ptq"];
  ptq.set("bits", variable({"bits"}, {2}, Ints{4, 3}));
  ptq.set("delta_nats", variable({"checkpoint", "bits"}, {2, 2}, Doubles{1, 2, 3, 4}));
  Dataset& shift = run.groups["shift"];
  shift.set("bits", variable({"bits"}, {2}, Ints{3, 8}));
  shift.set("loss_nats", variable({"checkpoint"}, {2}, Doubles{5, 6}));
  shift.set("delta_nats", variable({"checkpoint", "bits"}, {2, 2}, Doubles{10, 20, 30, 40}));
  Dataset& curvature = run.groups["curvature"];
  curvature.set("lambda", variable({"checkpoint", "rank"}, {2, 2}, Doubles{1, 5, 9, 2}));
  curvature.set("certificates_failed", variable({"checkpoint"}, {2}, Ints{0, 3}));
  return run;
}

Dataset table_of(const std::vector<RunFile>& runs) {
  Dataset table;
  for (const RunFile& run : runs) append_rows(table, run, "runs/abc.h5", "0a");
  return table;
}

void check_equal(const Doubles& found, const Doubles& expected) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CHECK((found[i] == expected[i] || (std::isnan(found[i]) && std::isnan(expected[i]))));
  }
}

constexpr double none = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_SUITE("study_table") {
  TEST_CASE("append_rows: a row per checkpoint and bits, each value at its place") {
    const Dataset t = table_of({run_of("small")});
    check_equal(t.doubles("tokens"), {1000, 1000, 2000, 2000});
    check_equal(t.doubles("bits"), {4, 3, 4, 3});
    check_equal(t.doubles("delta_nats"), {1, 2, 3, 4});
    check_equal(t.doubles("loss_nats"), {3, 3, 0.1, 0.1});
    check_equal(t.doubles("lambda_max_nats"), {5, 5, 9, 9});
    check_equal(t.doubles("certificates_failed"), {0, 0, 3, 3});
    check_equal(t.doubles("batch"), {32, 32, 32, 32});
    CHECK(t.ints("checkpoint") == Ints{0, 0, 1, 1});
    CHECK(t.ints("seed") == Ints{7, 7, 7, 7});
    CHECK(t.strings("variant") == Strings{"trunk", "trunk", "cooled", "cooled"});
    CHECK(t.strings("kind") == Strings{"trunk", "trunk", "cooldown", "cooldown"});
    CHECK(t.strings("arm") == Strings(4, "lr"));
    CHECK(t.strings("file") == Strings(4, "runs/abc.h5"));
    CHECK(t.strings("file_sha256") == Strings(4, "0a"));
  }

  TEST_CASE("append_rows: shifted damage stands at its own bits, whatever their order") {
    const Dataset t = table_of({run_of("small")});
    check_equal(t.doubles("shifted_delta_nats"), {none, 10, none, 30});
    check_equal(t.doubles("shifted_loss_nats"), {5, 5, 6, 6});
  }

  TEST_CASE(
      "append_rows: what a run did not measure is NaN or empty, and a run without bits has a row per checkpoint") {
    RunFile bare = run_of("small");
    for (const char* name : {"ptq", "shift", "curvature", "options"}) bare.groups.erase(name);
    const Dataset t = table_of({run_of("small"), bare});
    check_equal(t.doubles("tokens"), {1000, 1000, 2000, 2000, 1000, 2000});
    check_equal(t.doubles("bits"), {4, 3, 4, 3, none, none});
    for (const char* name : {"delta_nats", "lambda_max_nats", "certificates_failed", "batch", "shifted_loss_nats"}) {
      CAPTURE(name);
      CHECK(std::isnan(t.doubles(name)[4]));
      CHECK(std::isnan(t.doubles(name)[5]));
    }
    CHECK(t.strings("arm")[5] == "main");
    CHECK(t.strings("grid")[5] == "");
  }

  TEST_CASE("append_rows: a group that does not fit its checkpoints is refused by name, and the table stays") {
    Dataset t = table_of({run_of("small")});
    RunFile bad = run_of("small");
    bad.groups["shift"] = Dataset();
    bad.groups["shift"].set("bits", variable({"bits"}, {1}, Ints{3}));
    bad.groups["shift"].set("loss_nats", variable({"checkpoint"}, {3}, Doubles{5, 6, 7}));
    const std::string message = test::message_of<FormatError>([&] { append_rows(t, bad, "runs/bad.h5", ""); });
    CAPTURE(message);
    CHECK(test::mentions(message, "runs/bad.h5"));
    CHECK(test::mentions(message, "/shift"));
    CHECK(t.length("row") == 4);
  }

  TEST_CASE("to_csv: names first, missing numbers empty, numbers with all their digits, text quoted where it must be") {
    RunFile run = run_of("a \"b\", c\nd");
    run.groups["checkpoints"].set("loss_nats", variable({"checkpoint"}, {2}, Doubles{0.1 + 0.2, 1e-300}));
    const std::string csv = to_csv(table_of({run}));
    CHECK(csv.starts_with("study,run,file,file_sha256,outcome,model,"));
    CHECK(test::mentions(csv, ",\"a \"\"b\"\", c\nd\","));
    CHECK(test::mentions(csv, ",0.30000000000000004,"));
    CHECK(test::mentions(csv, ",1e-300,"));
    CHECK(!test::mentions(csv, "nan"));
    CHECK(csv.ends_with("\n"));
  }
}
