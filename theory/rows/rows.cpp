#include "theory/rows/rows.hpp"

#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"
#include "theory/rows/run_reader.hpp"

namespace hone::theory {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

constexpr Architecture architectures[] = {Architecture::transformer, Architecture::mlp};
constexpr Kind kinds[] = {Kind::trunk, Kind::average, Kind::cooldown, Kind::tuned, Kind::lowered};

/// The value of an enum by its name in a run file.
template <class Enum, std::size_t count>
Enum named(const Enum (&all)[count], const char* what, std::string_view name, const std::string& source) {
  std::string known;
  for (const Enum value : all) {
    if (name_of(value) == name) return value;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name_of(value));
  }
  throw FormatError(fmt::format("{}: {} = \"{}\", expected one of {}; run the study again", source, what, name, known));
}

/// Losses at the precision of training: /qat where it is low.
void append_losses(Table& table, const RunReader& run) {
  if (run.group(schema::qat.group)) run.expect_checkpoints(schema::qat.group);
  const Column low = run.column(schema::qat.loss_nats), low_se = run.column(schema::qat.loss_se_nats);
  run.append(table.losses, [&](LossRow& row, const Place& at) {
    if (row.is_full_precision()) return;
    row.loss = low.at(at);
    row.loss_se = low_se.at(at);
  });
}

/// The step-weighted trace at the least usable bits of checkpoint i; NaN when not measured.
double weighted_trace(const Table& table, std::size_t first_ptq, std::size_t checkpoints, std::size_t i) {
  const std::size_t bits = (table.ptq.size() - first_ptq) / checkpoints;
  double least = std::numeric_limits<double>::infinity(), value = nan;
  for (std::size_t j = 0; j < bits; ++j) {
    const PtqRow& row = table.ptq[first_ptq + i * bits + j];
    if (row.P < reference_bits_min || row.P >= least) continue;
    least = row.P;
    value = row.weighted_trace();
  }
  return value;
}

/// expects  this run's rows of table.ptq, from `first_ptq` on, to be there already
void append_sharpness(Table& table, const RunReader& run, std::size_t first_ptq) {
  const Dataset* group = run.group(schema::curvature.group);
  const Column frobenius2 = run.column(schema::curvature.frobenius2), lambda = run.column(schema::curvature.lambda);
  const std::size_t ranks = lambda.is_present() ? std::size_t(group->length(schema::axis::rank)) : 0;
  run.append(table.sharpness, [&](SharpnessRow& row, const Place& at) {
    row.lambda_max = nan;
    for (std::size_t j = 0; j < ranks; ++j)  // the order of ranks is the recorder's business
      row.lambda_max = std::fmax(row.lambda_max, lambda.at(at[0], j));
    row.frobenius = std::sqrt(frobenius2.at(at));
    row.weighted_trace = weighted_trace(table, first_ptq, run.checkpoints(), at[0]);
  });
}

void append_shift(Table& table, const RunReader& run) {
  const Dataset* group = run.group(schema::shift.group);
  const std::string data =
      group && group->attributes().contains(schema::shift.data.name) ? run.text(*group, schema::shift.data) : "";
  run.append(table.shift, [&](ShiftRow& row, const Place&) { row.shifted_data = data; });
}

template <class Row>
void append(std::vector<Row>& rows, const RunReader& run) {
  run.append(rows, [](Row&, const Place&) {});
}

/// An integer attribute of a group; `otherwise` where an older file lacks it.
double attribute_or(const Dataset& group, const char* name, double otherwise) {
  if (!group.attributes().contains(name)) return otherwise;
  const auto* value = std::get_if<std::int64_t>(&group.attribute(name));
  return value ? static_cast<double>(*value) : otherwise;
}

/// Those of every checkpoint where they were measured there: the end of the trunk is among them.
void append_schemes(Table& table, const RunReader& run) {
  if (run.group(schema::schemes_along.group))
    return run.append(table.schemes, layout_of_schemes_along(), [](SchemeRow&, const Place&) {});
  const Dataset* group = run.group(schema::schemes.group);
  if (!group) return;
  const double a_bits = attribute_or(*group, schema::schemes.activation_bits.name, 16),
               kv_bits = attribute_or(*group, schema::schemes.kv_bits.name, 16);
  run.append(table.schemes, [&](SchemeRow& row, const Place&) { row.a_bits = a_bits, row.kv_bits = kv_bits; });
}

}  // namespace

std::string_view name_of(Architecture architecture) {
  return architecture == Architecture::transformer ? "transformer" : "mlp";
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::trunk: return "trunk";
    case Kind::average: return "average";
    case Kind::cooldown: return "cooldown";
    case Kind::tuned: return "tuned";
    case Kind::lowered: return "lowered";
  }
  return "";
}

Kind kind_of(std::string_view name, const std::string& source) { return named(kinds, "kind", name, source); }

Architecture architecture_of(std::string_view name, const std::string& source) {
  return named(architectures, "architecture", name, source);
}

void append_run(Table& table, const RunFile& file, const std::string& source) {
  const RunReader run(file, source);
  const std::size_t first_ptq = table.ptq.size();
  append(table.ptq, run);
  append_sharpness(table, run, first_ptq);
  append(table.factorial, run);
  append(table.noise, run);
  append_losses(table, run);
  append_shift(table, run);
  append_schemes(table, run);
  append(table.injection, run);
  append(table.expert_damage, run);
  append(table.cache, run);
  append(table.copies, run);
  append(table.schedules, run);
  append(table.tasks, run);
}

Table collect(const std::vector<std::filesystem::path>& paths) {
  Table table;
  for (const auto& path : paths) append_run(table, read_run_file(path), path.string());
  return table;
}

}  // namespace hone::theory
