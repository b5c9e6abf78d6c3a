#include "theory/rows/details.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "theory/rows/run_reader.hpp"
#include "theory/rows/tables.hpp"

namespace hone::theory {
namespace {

namespace axis = schema::axis;

/// Rows of /series of one run: a curve to look at.
constexpr std::size_t series_rows_max = 100;

/// Nodes of one probe's density.
constexpr std::size_t nodes_max = 64;

/// A table that holds every variable of a group over some of the axes. Of several axes, variables along `checkpoint`
/// alone are left out; those of other fewer axes repeat.
struct DetailKind {
  const char* table;
  const char* group;
  std::vector<std::string> axes;
  std::size_t most = 0;  ///< rows of a run; above, every k-th is taken; 0: all
};

/// The columns of every subject.
const std::set<std::string>& subject_columns() {
  static const std::set<std::string> names = [] {
    std::set<std::string> found;
    const auto note = [&](const char* name, const auto&) { found.insert(name); };
    const Subject any;
    visit_subject(note, any);
    return found;
  }();
  return names;
}

const std::vector<FieldFacts>& fields_of_group(const std::string& name) {
  static const auto fields = [] {
    std::map<std::string, std::vector<FieldFacts>> found;
    for (const schema::GroupFacts& group : schema::all_groups()) found[group.name] = group.fields;
    return found;
  }();
  return fields.at(name);
}

/// Attributes stand in tables of a whole group: not in those along some axis of its checkpoints.
bool is_shown(const DetailKind& kind, const FieldFacts& field) {
  const bool is_by_checkpoint = kind.axes[0] == axis::checkpoint, is_whole = kind.axes.size() == 1;
  if (field.is_attribute) return !is_by_checkpoint || is_whole;
  // What /checkpoints says of a model is its subject.
  if (kind.group == std::string_view(schema::checkpoints.group) && subject_columns().contains(field.name)) return false;
  const std::vector<std::string> dims = field.dim_names();
  if (!is_whole && dims == std::vector<std::string>{axis::checkpoint}) return false;
  return std::all_of(dims.begin(), dims.end(), [&](const std::string& dim) {
    return std::find(kind.axes.begin(), kind.axes.end(), dim) != kind.axes.end();
  });
}

/// A column, and its cell at an entry.
struct DetailColumn {
  std::string name;
  std::function<void(CsvTable&, const std::string&, const Place&)> add;
};

std::string name_of(const FieldFacts& field) {
  return subject_columns().contains(field.name) ? fmt::format("{}_{}", field.group, field.name) : field.name;
}

DetailColumn attribute_column(const RunReader& run, const FieldFacts& fact) {
  const auto& attributes = run.group(fact.group)->attributes();
  const auto found = attributes.find(fact.name);
  return {name_of(fact), [found, end = attributes.end()](CsvTable& table, const std::string& name, const Place&) {
            if (found == end) return table.add(name, std::string());
            std::visit([&](const auto& value) { table.add(name, value); }, found->second);
          }};
}

DetailColumn variable_column(const RunReader& run, const FieldFacts& field, const std::vector<std::string>& axes) {
  const Projection place(field, axes);
  if (field.type != FieldFacts::Type::text)
    return {name_of(field),
            [values = run.column(field), place](CsvTable& table, const std::string& name, const Place& at) {
              table.add(name, values.at(place(at)));
            }};
  return {name_of(field), [texts = run.texts(field), place](CsvTable& table, const std::string& name, const Place& at) {
            table.add(name, texts ? (*texts)[place(at)[0]] : std::string());
          }};
}

/// Whether the run measured along them: without windows or smallest eigenvalues there are no such axes.
bool has_axes(const Dataset& group, const std::vector<std::string>& axes) {
  const auto dims = group.dims();
  return std::all_of(axes.begin(), axes.end(), [&](const std::string& axis) { return dims.contains(axis); });
}

/// Places along the axes that no variable names, then the variables and, in tables of whole groups, the attributes.
std::vector<DetailColumn> columns_of(const DetailKind& kind, const RunReader& run) {
  std::vector<DetailColumn> columns;
  const auto facts = fields_of_group(kind.group);
  for (std::size_t i = 0; i < kind.axes.size(); ++i) {
    const bool is_named =
        std::any_of(facts.begin(), facts.end(), [&](const FieldFacts& f) { return f.name == kind.axes[i]; });
    if (kind.axes[i] != axis::checkpoint && !is_named)
      columns.push_back({kind.axes[i], [i](CsvTable& table, const std::string& name, const Place& at) {
                           table.add(name, std::int64_t(at[i]));
                         }});
  }
  for (const FieldFacts& field : facts) {
    if (!is_shown(kind, field)) continue;
    columns.push_back(field.is_attribute ? attribute_column(run, field) : variable_column(run, field, kind.axes));
  }
  return columns;
}

/// The densities: rows of checkpoint, probe and node. Of a probe with more than nodes_max, equally many neighbours become
/// one node, which keeps the mass and the trace.
/// math     w = Σ w_i, λ = Σ w_i λ_i / w
void append_density(CsvTable& table, const RunReader& run) {
  const FieldFacts node_field = schema::curvature.slq_node, weight_field = schema::curvature.slq_weight;
  const Dataset* group = run.group(node_field.group);
  if (!group || !has_axes(*group, {axis::checkpoint, axis::probe, axis::node})) return;
  const auto nodes = static_cast<std::size_t>(group->length(axis::node));
  const std::size_t merged = (nodes + nodes_max - 1) / nodes_max;
  const Column node = run.column(node_field), weight = run.column(weight_field);
  run.for_entries(node_field.group, {axis::checkpoint, axis::probe}, [&](const Subject& subject, const Place& at) {
    for (std::size_t first = 0; first < nodes; first += merged) {
      double mass = 0, moment = 0;
      for (std::size_t i = first; i < std::min(first + merged, nodes); ++i) {
        const double w = weight.at({at[0], at[1], i});
        if (!std::isfinite(w)) continue;  // a probe that ended early has fewer nodes
        mass += w, moment += w * node.at({at[0], at[1], i});
      }
      if (mass == 0) continue;
      add_subject(table, subject);
      table.add(axis::probe, std::int64_t(at[1]));
      table.add(node_field.name, merged == 1 ? node.at({at[0], at[1], first}) : moment / mass);
      table.add(weight_field.name, mass);
    }
  });
}

/// All kinds but the density.
const std::vector<DetailKind>& detail_kinds() {
  static const std::vector<DetailKind> kinds = {
      {"checkpoints", schema::checkpoints.group, {axis::checkpoint}},
      {"series", schema::series.group, {axis::step}, series_rows_max},
      {"qat", schema::qat.group, {axis::checkpoint}},
      {"shifted", schema::shift.group, {axis::checkpoint}},
      {"rounding", schema::ptq.group, {axis::checkpoint, axis::bits}},
      {"spectra", schema::curvature.group, {axis::checkpoint}},
      {"eigenvalues", schema::curvature.group, {axis::checkpoint, axis::rank}},
      {"eigenvalues_smallest", schema::curvature.group, {axis::checkpoint, axis::rank_smallest}},
      {"windows", schema::curvature.group, {axis::checkpoint, axis::window}},
      {"blocks", schema::curvature.group, {axis::checkpoint, axis::block}},
      {"certificates", schema::curvature.group, {axis::checkpoint, axis::certificate}},
      {"preconditioned", schema::preconditioned.group, {axis::checkpoint}},
      {"injection_spaces", schema::injection.group, {axis::checkpoint, axis::subspace}},
      {"scheme_entries", schema::schemes.group, {axis::entry}},
      {"schemes_along", schema::schemes_along.group, {axis::checkpoint, axis::entry}},
      {"scheme_blocks", schema::scheme_blocks.group, {axis::entry, axis::block}},
      {"decode", schema::decode.group, {axis::policy, axis::octave}},
      {"decode_copy", schema::decode_copy.group, {axis::policy, axis::distance}},
      {"decode_free", schema::decode_free.group, {axis::policy, axis::position}},
      {"decode_differences", schema::decode_free.group, {axis::policy, axis::prompt}},
      {"decode_schedules", schema::decode_schedules.group, {axis::entry, axis::octave}}};
  return kinds;
}

}  // namespace

void Details::append(const RunFile& file, const std::string& source) {
  const RunReader run(file, source);
  for (const DetailKind& kind : detail_kinds()) {
    const Dataset* group = run.group(kind.group);
    if (!group || !has_axes(*group, kind.axes)) continue;
    const std::size_t length = std::size_t(group->length(kind.axes[0]));
    const std::size_t every = kind.most == 0 ? 1 : (length + kind.most - 1) / kind.most;
    const std::vector<DetailColumn> columns = columns_of(kind, run);
    run.for_entries(kind.group, kind.axes, [&](const Subject& subject, const Place& at) {
      if (at[0] % every != 0) return;
      CsvTable& table = tables_[kind.table];
      add_subject(table, subject);
      for (const DetailColumn& column : columns) column.add(table, column.name, at);
    });
  }
  append_density(tables_["density"], run);
}

std::map<std::string, std::string> Details::texts() const {
  std::map<std::string, std::string> texts;
  for (const auto& [name, table] : tables_)
    if (table.rows() > 0) texts[name] = table.text();
  return texts;
}

}  // namespace hone::theory
