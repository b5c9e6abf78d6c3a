#include "theory/rows/details.hpp"

#include <doctest/doctest.h>

#include <set>

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/near.hpp"
#include "theory/rows/tables.hpp"

using namespace hone;
using namespace hone::theory;

namespace {

namespace axis = schema::axis;

/// A run of three checkpoints in which every entry of every variable, and every attribute, is a value of its own.
class EveryValue {
 public:
  EveryValue() {
    for (const schema::GroupFacts& group : schema::all_groups()) {
      // Options are those of the study file; /certificates belongs to commands on one checkpoint.
      if (std::set<std::string>{"options", "certificates"}.contains(group.name)) continue;
      for (const FieldFacts& field : group.fields) add(field);
    }
    Dataset& manifest = run_.groups.at(schema::manifest.group);
    set(manifest, schema::manifest.seed, "7");
    set(manifest, schema::manifest.architecture, "transformer");
    set(run_.groups.at(schema::checkpoints.group), schema::checkpoints.kind, {"trunk", "average", "trunk"});
  }
  const RunFile& run() const { return run_; }
  /// The values of all variables and attributes but those of /manifest.
  const std::map<std::string, std::string>& measured() const { return measured_; }

 private:
  double next() { return static_cast<double>(++count_); }

  void note(const FieldFacts& field, const std::string& cell) {
    const std::string name = fmt::format("/{}/{}", field.group, field.name);
    if (std::string_view(field.group) != "manifest" && name != "/checkpoints/kind") measured_[cell] = name;
  }

  void add(const FieldFacts& field) {
    std::int64_t count = 1;
    std::vector<std::int64_t> leading;
    for (const std::string& dim : field.dim_names()) leading.push_back(dim == axis::checkpoint ? 3 : 2);
    for (const std::int64_t length : leading) count *= length;
    std::vector<double> reals;
    std::vector<std::int64_t> integers;
    std::vector<std::string> texts;
    for (std::int64_t i = 0; i < count; ++i) {
      reals.push_back(next() + 0.5), integers.push_back(std::int64_t(next())),
          texts.push_back(fmt::format("t{}", next()));
      note(field, field.type == FieldFacts::Type::float64 ? fmt::format("{}", reals.back())
                  : field.type == FieldFacts::Type::int64 ? fmt::format("{}", integers.back())
                                                          : texts.back());
    }
    Dataset& group = run_.groups[field.group];
    const auto store = [&](const auto& values) {
      if (field.is_attribute) return group.set_attribute(field.name, values[0]);
      leading.pop_back();
      group.set(field.name, variable_of(field, values, leading));
    };
    if (field.type == FieldFacts::Type::float64) store(reals);
    if (field.type == FieldFacts::Type::int64) store(integers);
    if (field.type == FieldFacts::Type::text) store(texts);
  }

  RunFile run_;
  std::map<std::string, std::string> measured_;
  std::int64_t count_ = 0;
};

std::map<std::string, std::string> tables_of(const RunFile& run) {
  Table table;
  Details details;
  append_run(table, run, "run.h5");
  details.append(run, "run.h5");
  std::map<std::string, std::string> texts = details.texts();
  for (const auto& judged : to_tables(table)) CHECK_MESSAGE(texts.insert(judged).second, judged.first);
  return texts;
}

Csv csv_of(const RunFile& run, const std::string& name) { return Csv(tables_of(run).at(name), name); }

/// A run whose only density has one probe of these nodes and masses.
RunFile with_density(std::vector<double> nodes, std::vector<double> masses) {
  RunFile run = EveryValue().run();
  Dataset curvature;
  nodes.resize(3 * nodes.size(), NAN), masses.resize(3 * masses.size(), NAN);
  set(curvature, schema::curvature.slq_node, nodes, {3, 1});
  set(curvature, schema::curvature.slq_weight, masses, {3, 1});
  run.groups[schema::curvature.group] = curvature;
  return run;
}

}  // namespace

TEST_SUITE("rows") {
  TEST_CASE("details: every value that a study can record is a cell of a table") {
    const EveryValue every;
    std::set<std::string> cells;
    for (const auto& [name, text] : tables_of(every.run())) {
      std::string cell;
      for (const char c : text)
        if (c == ',' || c == '\n')
          cells.insert(std::exchange(cell, ""));
        else
          cell += c;
    }
    CHECK(every.measured().size() > 300);
    for (const auto& value : every.measured()) CHECK_MESSAGE(cells.contains(value.first), value.second);
  }

  TEST_CASE("details: a row holds the entries of its place and the checkpoint that they belong to") {
    const RunFile run = EveryValue().run();
    const Csv values = csv_of(run, "eigenvalues");
    REQUIRE(values.rows() == 6);
    const Dataset& curvature = run.group("curvature");
    for (std::size_t i = 0; i < 6; ++i) {
      CHECK(values.integer(i, values.column("rank")) == std::int64_t(i % 2));
      CHECK(values.number(i, values.column("lambda")) == curvature.doubles("lambda")[i]);
      CHECK(values.number(i, values.column("tokens")) == double(run.group("checkpoints").ints("tokens")[i / 2]));
    }
    const Csv decode = csv_of(run, "decode");
    REQUIRE(decode.rows() == 4);
    const Dataset& group = run.group("decode");
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK(decode.text(i, decode.column("policy")) == group.strings("policy")[i / 2]);
      CHECK(decode.integer(i, decode.column("last")) == group.ints("last")[i % 2]);
      CHECK(decode.number(i, decode.column("delta_nats")) == group.doubles("delta_nats")[i]);
      CHECK(decode.number(i, decode.column("mean_delta_nats")) == group.doubles("mean_delta_nats")[i / 2]);
      CHECK(decode.number(i, decode.column("tokens")) == double(run.group("checkpoints").ints("tokens")[2]));
    }
  }

  TEST_CASE("details: neighbours in a density are merged above 64 nodes, mass and trace are kept, gaps are left out") {
    std::vector<double> nodes, masses;
    for (int i = 0; i < 130; ++i) nodes.push_back(i * i), masses.push_back(1 / (1. + i));
    double mass = 0, trace = 0;
    for (size_t i = 0; i < nodes.size(); ++i) mass += masses[i], trace += masses[i] * nodes[i];
    const Csv merged = csv_of(with_density(nodes, masses), "density");
    CHECK(merged.rows() == 44);
    double merged_mass = 0, merged_trace = 0;
    for (size_t i = 0; i < merged.rows(); ++i) {
      const double w = merged.number(i, merged.column("slq_weight"));
      merged_mass += w, merged_trace += w * merged.number(i, merged.column("slq_node"));
    }
    CHECK_NEAR(merged_mass, mass, 1e-12, 0);
    CHECK_NEAR(merged_trace, trace, 1e-12, 0);
    const Csv as_it_is = csv_of(with_density({0.1, 0.3, NAN}, {0.7, 0.3, NAN}), "density");
    REQUIRE(as_it_is.rows() == 2);
    CHECK(as_it_is.number(1, as_it_is.column("slq_node")) == 0.3);
  }

  TEST_CASE("details: of a long training every k-th update is taken, at most 100") {
    RunFile run = EveryValue().run();
    Dataset series;
    std::vector<std::int64_t> steps;
    for (std::int64_t i = 1; i <= 1001; ++i) steps.push_back(i);
    set(series, schema::series.step, steps);
    run.groups[schema::series.group] = series;
    const Csv curve = csv_of(run, "series");
    CHECK(curve.rows() == 91);
    CHECK(curve.integer(1, curve.column("series_step")) == 12);
    CHECK(std::isnan(curve.number(0, curve.column("loss_nats"))));  // not recorded
  }

  TEST_CASE("details: a run that measured nothing has its checkpoints, and a text along another axis is refused") {
    RunFile run = EveryValue().run();
    for (const schema::GroupFacts& group : schema::all_groups())
      if (!std::set<std::string>{"manifest", "checkpoints"}.contains(group.name)) run.groups.erase(group.name);
    const auto texts = tables_of(run);
    CHECK(texts.size() == 2);
    CHECK(texts.contains("losses"));
    CHECK(texts.contains("checkpoints"));
    RunFile wrong = EveryValue().run();
    wrong.groups.at("schemes").set("scheme", vector_variable("x", std::vector<std::string>{"a", "b"}, "1", "wrong"));
    const std::string said = test::message_of<FormatError>([&] { Details().append(wrong, "run.h5"); });
    CHECK_MESSAGE(test::mentions(said, "run.h5: /schemes: variable scheme has dimensions (x), expected (entry)"), said);
  }
}
