#include "sim/record/schema.hpp"

#include "sim/base/error.hpp"
#include "sim/record/run_file.hpp"

namespace hone::schema {
namespace {

template <class Group>
GroupFacts facts_of(const Group& group) {
  return {Group::group, Group::about, fields_of(group)};
}

std::string type_and_dims(const FieldFacts& field) {
  if (field.is_attribute) return fmt::format("{} | attribute", name_of(field.type));
  return fmt::format("{} | {}", name_of(field.type), fmt::join(field.dim_names(), ", "));
}

const FieldFacts* find(const std::vector<FieldFacts>& fields, const std::string& name) {
  for (const FieldFacts& field : fields)
    if (!field.is_attribute && name == field.name) return &field;
  return nullptr;
}

bool is_described(const Variable& variable, const FieldFacts& field) {
  const Variable wanted{field.dim_names(), {}, {}, field.unit, field.meaning};
  const bool is_of_type = std::visit(
      [&](const auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        return !std::is_same_v<T, float> && detail::type_of<T> == field.type;
      },
      variable.values);
  return is_of_type && variable.dims == wanted.dims && variable.unit == wanted.unit &&
         variable.meaning == wanted.meaning;
}

}  // namespace

std::vector<GroupFacts> all_groups() {
  return {facts_of(manifest),      facts_of(options),       facts_of(series),
          facts_of(checkpoints),   facts_of(qat),           facts_of(shift),
          facts_of(ptq),           facts_of(curvature),     facts_of(preconditioned),
          facts_of(certificates),  facts_of(factorial),     facts_of(schemes),
          facts_of(scheme_blocks), facts_of(schemes_along), facts_of(decode),
          facts_of(decode_copy),   facts_of(decode_free),   facts_of(decode_schedules),
          facts_of(noise),         facts_of(injection),     facts_of(experts),
          facts_of(tasks)};
}

void expect_written_by_this_version(const RunFile& file) {
  for (const GroupFacts& group : all_groups()) {
    const auto found = file.groups.find(group.name);
    if (found == file.groups.end()) continue;
    for (const auto& [name, variable] : found->second.variables()) {
      const FieldFacts* field = find(group.fields, name);
      if (!field || !is_described(variable, *field))
        throw FormatError(
            fmt::format("{}: /{}/{} is described otherwise than in this version of hone; go on with the "
                        "version that wrote it",
                        file.origin, group.name, name));
    }
  }
}

std::string as_markdown() {
  std::string text;
  for (const GroupFacts& group : all_groups()) {
    text += fmt::format("### /{}\n\n{}\n\n| name | type | axes | unit | meaning |\n|---|---|---|---|---|\n", group.name,
                        group.about);
    for (const FieldFacts& f : group.fields) {
      const bool is_coordinate = f.rank() == 1 && std::string_view(f.dims[0]) == f.name;
      text += fmt::format("| {}{} | {} | {} | {}{} |\n", f.name, is_coordinate ? "*" : "", type_and_dims(f), f.unit,
                          f.meaning, f.since > 1 ? fmt::format(" (since version {})", f.since) : "");
    }
    text += "\n";
  }
  return text;
}

}  // namespace hone::schema
