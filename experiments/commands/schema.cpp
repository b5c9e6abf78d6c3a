#include "experiments/commands/schema.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "sim/record/run_file.hpp"
#include "sim/record/schema.hpp"
#include "theory/rows/study_table.hpp"

namespace hone::experiments {
namespace {

struct SchemaOptions {
  std::string command_line;
  bool is_json = false;
};

nlohmann::ordered_json field_json(const FieldFacts& f) {
  nlohmann::ordered_json field{{"type", name_of(f.type)}};
  if (f.is_attribute)
    field["attribute"] = true;
  else
    field["dims"] = f.dim_names();
  field["unit"] = f.unit;
  field["meaning"] = f.meaning;
  field["since"] = f.since;
  return field;
}

int print_schema(const SchemaOptions& options) {
  fmt::print("{}", options.is_json ? schema_json() : schema_markdown());
  return 0;
}

void add_schema_options(CLI::App& command, SchemaOptions& o) {
  command.add_flag("--json", o.is_json, "for programs");
  command.footer(
      "  hone schema                     the tables of sim/record/SCHEMA.md\n"
      "  hone schema --json > schema.json names, dimensions and types for other programs");
}

}  // namespace

std::string schema_markdown() {
  return fmt::format("{}## The table of a study\n\n{}", schema::as_markdown(), theory::table_as_markdown());
}

std::string schema_json() {
  std::string text = fmt::format("{{\"schema_version\": {},\n \"groups\": {{", run_schema_version);
  const char* between_groups = "";
  for (const schema::GroupFacts& group : schema::all_groups()) {
    text += fmt::format("{}\n  \"{}\": {{\"about\": {},\n   \"fields\": {{", between_groups, group.name,
                        nlohmann::json(group.about).dump());
    const char* between_fields = "";
    for (const FieldFacts& f : group.fields) {
      text += fmt::format("{}\n    \"{}\": {}", between_fields, f.name, field_json(f).dump());
      between_fields = ",";
    }
    text += "}}";
    between_groups = ",";
  }
  return text + "}}\n";
}

Action schema_options(CLI::App& command, const std::string& line) {
  return action_of<SchemaOptions>(command, line, add_schema_options, print_schema);
}

}  // namespace hone::experiments
