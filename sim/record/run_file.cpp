#include "sim/record/run_file.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"
#include "sim/record/h5.hpp"
#include "sim/record/h5_values.hpp"
#include "sim/record/scales.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

constexpr std::string_view schema_name = "hone.run";
constexpr std::string_view default_title = "hone run";
constexpr std::string_view seal_prefix = "\nhone.sha256=";
constexpr std::size_t digest_digits = 64;
constexpr std::int64_t entries_per_byte = 1000;  // gzip packs at most 1032 to 1
const std::set<std::string> owned_attributes{"Conventions", "schema", "schema_version"};

// HDF5 ignores what follows its own end of file, so a sealed file is still an ordinary HDF5 file.
void add_seal(std::string& bytes) {
  const std::string digest = sha256(bytes);
  bytes.append(seal_prefix).append(digest);
}

void remove_seal(std::string& bytes, const std::string& path) {
  const std::size_t seal_size = seal_prefix.size() + digest_digits;
  const std::string_view all = bytes;
  const std::size_t content = all.size() < seal_size ? 0 : all.size() - seal_size;
  if (content == 0 || all.substr(content, seal_prefix.size()) != seal_prefix)
    throw FormatError(
        fmt::format("{}: has no hone seal at its end: it was truncated or written by another "
                    "program; restore it or measure it again",
                    path));
  if (sha256(all.substr(0, content)) != all.substr(content + seal_prefix.size()))
    throw FormatError(
        fmt::format("{}: its SHA-256 differs from its seal: bytes were changed after it was "
                    "written; restore it or measure it again",
                    path));
  bytes.resize(content);
}

void write_root(const h5::Object& file, const std::map<std::string, Attribute>& attributes) {
  h5::write_attribute(file, "schema", std::string(schema_name));
  h5::write_attribute(file, "schema_version", run_schema_version);
  h5::write_attribute(file, "Conventions", fmt::format("{}-{}", schema_name, run_schema_version));
  if (!attributes.contains("title")) h5::write_attribute(file, "title", std::string(default_title));
  for (const auto& [name, value] : attributes) {
    expect_recordable_attribute(name, value);
    EXPECTS(!owned_attributes.contains(name), "attribute '{}' belongs to the run file; rename yours", name);
    h5::write_attribute(file, name, value);
  }
}

void write_group(const h5::Object& file, const std::string& name, const Dataset& data) {
  expect_recordable_name("group", name);
  const h5::Object group = h5::create_group(file, name);
  for (const auto& [attribute, value] : data.attributes()) h5::write_attribute(group, attribute, value);
  for (const auto& [dim, length] : data.dims()) {
    if (data.has(dim)) continue;
    std::vector<std::int64_t> index(static_cast<std::size_t>(length));
    std::iota(index.begin(), index.end(), 0);
    h5::write_array(group, dim, {length}, index);
  }
  h5::Axes axes;
  for (const auto& [variable_name, variable] : data.variables()) {
    h5::write_array(group, variable_name, variable.shape, variable.values);
    const h5::Object dataset = h5::open_member(group, variable_name);
    h5::write_attribute(dataset, "units", variable.unit);
    h5::write_attribute(dataset, "long_name", variable.meaning);
    axes[variable_name] = variable.dims;
  }
  h5::write_scales(group, axes);
}

void check_schema(const h5::Object& file) {
  const std::string schema = h5::has_attribute(file, "schema") ? h5::read_text_attribute(file, "schema") : "";
  if (schema != schema_name)
    throw FormatError(
        fmt::format("{}: attribute 'schema' is '{}', not '{}': it is not a run file; give a file "
                    "that hone wrote",
                    file.name(), schema, schema_name));
  const Attribute attribute = h5::read_attribute(file, "schema_version");
  const auto* version = std::get_if<std::int64_t>(&attribute);
  if (!version || *version < 1)
    throw FormatError(
        fmt::format("{}: attribute 'schema_version' is no positive int64; measure it again", file.name()));
  if (*version > run_schema_version)
    throw FormatError(
        fmt::format("{}: attribute 'schema_version' is {} and this hone reads up to {}; use the "
                    "newer hone that wrote it",
                    file.name(), *version, run_schema_version));
}

std::map<std::string, Attribute> read_attributes(const h5::Object& object) {
  std::map<std::string, Attribute> attributes;
  for (const std::string& name : h5::attribute_names(object))
    attributes.emplace(name, h5::read_attribute(object, name));
  return attributes;
}

Dataset read_group(const h5::Object& group, std::int64_t& entries_left) {
  Dataset data(group.name());
  try {
    for (const auto& [name, value] : read_attributes(group)) data.set_attribute(name, value);
    const h5::Axes axes = h5::read_scales(group, h5::members(group, h5::Kind::dataset));
    for (const auto& [name, dims] : axes) {
      const h5::Object dataset = h5::open_member(group, name);
      h5::Array array = h5::read_array(dataset, entries_left);
      data.set(name, {dims, std::move(array.shape), std::move(array.values), h5::read_text_attribute(dataset, "units"),
                      h5::read_text_attribute(dataset, "long_name")});
    }
  } catch (const ContractError& error) {
    throw FormatError(fmt::format("{}: breaks the schema ({}); measure it again", group.name(), error.what()));
  }
  return data;
}

}  // namespace

const Dataset& RunFile::group(const std::string& name) const& {
  const auto found = groups.find(name);
  if (found != groups.end()) return found->second;
  std::string known;
  for (const auto& [key, data] : groups) known += (known.empty() ? "/" : ", /") + key;
  throw FormatError(fmt::format("{} has no group /{}; it has: {}", origin.empty() ? "run file" : origin, name,
                                known.empty() ? "none" : known));
}

Dataset RunFile::group(const std::string& name) && { return std::as_const(*this).group(name); }

void write_run_file(const fs::path& path, const RunFile& run) {
  std::string bytes;
  {
    const h5::Object file = h5::create_image(path.string());
    write_root(file, run.attributes);
    for (const auto& [name, data] : run.groups) write_group(file, name, data);
    bytes = h5::bytes_of(file);
  }
  add_seal(bytes);
  write_text_atomically(path, bytes);
}

RunFile read_run_file(const fs::path& path) {
  std::string bytes = read_text(path);
  remove_seal(bytes, path.string());
  std::int64_t entries_left = entries_per_byte * static_cast<std::int64_t>(bytes.size());
  const h5::Object file = h5::open_image(bytes, path.string());
  check_schema(file);
  RunFile run{read_attributes(file), {}, path.string()};
  for (const std::string& name : owned_attributes) run.attributes.erase(name);
  const auto title = run.attributes.find("title");
  if (title != run.attributes.end() && same_bits(title->second, Attribute(std::string(default_title))))
    run.attributes.erase(title);
  for (const std::string& name : h5::members(file, h5::Kind::group))
    run.groups.emplace(name, read_group(h5::open_member(file, name), entries_left));
  return run;
}

}  // namespace hone
