#include "sim/record/dataset.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "sim/base/error.hpp"

namespace hone {
namespace {

constexpr const char* value_names[] = {"float64", "int64", "strings", "float32"};
constexpr std::size_t max_rank = 32;  // HDF5's own bound

template <class Map>
std::string names_of(const Map& map) {
  std::string names;
  for (const auto& [name, ignored] : map) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "none" : names;
}

template <class T>
bool same_array(const std::vector<T>& a, const std::vector<T>& b) {
  if constexpr (std::is_arithmetic_v<T>)
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
  else
    return a == b;
}

void expect_no_nul(const std::string& where, const std::string& text) {
  EXPECTS(text.find('\0') == std::string::npos, "{}: text holds a NUL byte, which a run file cannot store; remove it",
          where);
}

std::int64_t expect_valid_shape(const std::string& name, const Variable& variable) {
  EXPECTS(variable.dims.size() == variable.shape.size() && variable.dims.size() <= max_rank,
          "variable '{}' has {} dims and {} extents; give one extent for each dim, at most {}", name,
          variable.dims.size(), variable.shape.size(), max_rank);
  std::int64_t product = 1;
  for (std::size_t i = 0; i < variable.dims.size(); ++i) {
    expect_recordable_name(fmt::format("dimension of variable '{}'", name), variable.dims[i]);
    EXPECTS(variable.shape[i] >= 0 && !__builtin_mul_overflow(product, variable.shape[i], &product),
            "variable '{}' has extent {} along '{}'; extents are ≥ 0 and their product below 2^63", name,
            variable.shape[i], variable.dims[i]);
    EXPECTS(std::count(variable.dims.begin(), variable.dims.end(), variable.dims[i]) == 1,
            "variable '{}' names dimension '{}' twice; rename one of them", name, variable.dims[i]);
    EXPECTS(variable.dims[i] != name || variable.dims.size() == 1,
            "variable '{}' is named like one of its {} dimensions; rename it", name, variable.dims.size());
  }
  return product;
}

// One length for each dimension, and a name that is both variable and dimension is a coordinate.
void expect_compatible(const std::string& name, const Variable& variable, const std::string& other_name,
                       const Variable& other) {
  const auto expect_coordinate = [](const std::string& owner, const Variable& candidate) {
    EXPECTS(candidate.dims == std::vector{owner},
            "variable '{}' is named like a dimension and has {} dims; give it that one dimension "
            "or rename it",
            owner, candidate.dims.size());
  };
  for (std::size_t i = 0; i < variable.dims.size(); ++i) {
    if (variable.dims[i] == other_name) expect_coordinate(other_name, other);
    for (std::size_t j = 0; j < other.dims.size(); ++j)
      EXPECTS(variable.dims[i] != other.dims[j] || variable.shape[i] == other.shape[j],
              "dimension '{}' has length {} in variable '{}' and {} in '{}'; make them equal", variable.dims[i],
              variable.shape[i], name, other.shape[j], other_name);
  }
  for (const std::string& dim : other.dims)
    if (dim == name) expect_coordinate(name, variable);
}

template <class T>
const std::vector<T>& typed(const Dataset& data, const std::string& name) {
  const Values& values = data.at(name).values;
  const auto* found = std::get_if<std::vector<T>>(&values);
  if (!found)
    throw FormatError(fmt::format("{}: variable '{}' holds {}, not {}; read it as what it is", data.label(), name,
                                  value_names[values.index()], value_names[Values(std::vector<T>{}).index()]));
  return *found;
}

}  // namespace

Variable scalar_variable(const Attribute& value, std::string unit, std::string meaning) {
  Values values = std::visit([](const auto& v) { return Values(std::vector<std::decay_t<decltype(v)>>{v}); }, value);
  return {{}, {}, std::move(values), std::move(unit), std::move(meaning)};
}

Variable vector_variable(std::string dim, Values values, std::string unit, std::string meaning) {
  const std::int64_t count = count_of(values);
  return {{std::move(dim)}, {count}, std::move(values), std::move(unit), std::move(meaning)};
}

Variable matrix_variable(std::array<std::string, 2> dims, std::array<std::int64_t, 2> shape, Values values,
                         std::string unit, std::string meaning) {
  return {
      {dims.begin(), dims.end()}, {shape.begin(), shape.end()}, std::move(values), std::move(unit), std::move(meaning)};
}

std::int64_t count_of(const Values& values) {
  return std::visit([](const auto& v) { return static_cast<std::int64_t>(v.size()); }, values);
}

bool same_bits(const Values& a, const Values& b) {
  return a.index() == b.index() &&
         std::visit([&](const auto& v) { return same_array(v, std::get<std::decay_t<decltype(v)>>(b)); }, a);
}

bool same_bits(const Attribute& a, const Attribute& b) {
  return same_bits(scalar_variable(a, "", "").values, scalar_variable(b, "", "").values);
}

bool same_bits(const Variable& a, const Variable& b) {
  return a.dims == b.dims && a.shape == b.shape && a.unit == b.unit && a.meaning == b.meaning &&
         same_bits(a.values, b.values);
}

bool same_bits(const std::map<std::string, Attribute>& a, const std::map<std::string, Attribute>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && same_bits(x.second, y.second); });
}

void expect_recordable_name(const std::string& what, const std::string& name) {
  const bool is_good =
      !name.empty() && name != "." && name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
  EXPECTS(is_good, "{} is named '{}'; use a name that is not empty or '.' and holds no '/' or NUL", what, name);
}

void expect_recordable_attribute(const std::string& name, const Attribute& value) {
  expect_recordable_name("attribute", name);
  if (const auto* text = std::get_if<std::string>(&value)) expect_no_nul(fmt::format("attribute '{}'", name), *text);
}

Dataset::Dataset(std::string label) : label_(std::move(label)) {}

void Dataset::set(const std::string& name, Variable variable) {
  expect_recordable_name("variable", name);
  const std::int64_t product = expect_valid_shape(name, variable);
  EXPECTS(product == count_of(variable.values),
          "variable '{}' holds {} values and its shape asks for {}; mend the shape or the values", name,
          count_of(variable.values), product);
  expect_no_nul("unit of '" + name + "'", variable.unit);
  expect_no_nul("meaning of '" + name + "'", variable.meaning);
  if (const auto* texts = std::get_if<std::vector<std::string>>(&variable.values))
    for (const std::string& text : *texts) expect_no_nul("variable '" + name + "'", text);

  for (const auto& [other_name, other] : variables_)
    if (other_name != name) expect_compatible(name, variable, other_name, other);
  variables_.insert_or_assign(name, std::move(variable));
}

void Dataset::set_attribute(const std::string& name, Attribute value) {
  expect_recordable_attribute(name, value);
  attributes_.insert_or_assign(name, std::move(value));
}

bool Dataset::has(const std::string& name) const { return variables_.contains(name); }

const Variable& Dataset::at(const std::string& name) const {
  const auto found = variables_.find(name);
  if (found == variables_.end())
    throw FormatError(fmt::format("{} has no variable '{}'; it has: {}", label_, name, names_of(variables_)));
  return found->second;
}

const std::vector<double>& Dataset::doubles(const std::string& name) const { return typed<double>(*this, name); }

const std::vector<std::int64_t>& Dataset::ints(const std::string& name) const {
  return typed<std::int64_t>(*this, name);
}

const std::vector<std::string>& Dataset::strings(const std::string& name) const {
  return typed<std::string>(*this, name);
}

const std::vector<float>& Dataset::floats(const std::string& name) const { return typed<float>(*this, name); }

const Attribute& Dataset::attribute(const std::string& name) const {
  const auto found = attributes_.find(name);
  if (found == attributes_.end())
    throw FormatError(fmt::format("{} has no attribute '{}'; it has: {}", label_, name, names_of(attributes_)));
  return found->second;
}

std::int64_t Dataset::length(const std::string& dim) const {
  const auto all = dims();
  const auto found = all.find(dim);
  if (found == all.end())
    throw FormatError(fmt::format("{} has no dimension '{}'; it has: {}", label_, dim, names_of(all)));
  return found->second;
}

std::map<std::string, std::int64_t> Dataset::dims() const {
  std::map<std::string, std::int64_t> lengths;
  for (const auto& [name, variable] : variables_)
    for (std::size_t i = 0; i < variable.dims.size(); ++i) lengths.emplace(variable.dims[i], variable.shape[i]);
  return lengths;
}

void Dataset::check_appendable(const Dataset& row, const std::string& dim) const {
  const auto refuse = [&](const std::string& name, const std::string& what) {
    throw FormatError(fmt::format("{}: cannot append {} along '{}': '{}' {}; append rows of one layout only", label_,
                                  row.label_, dim, name, what));
  };
  for (const auto& [name, value] : row.attributes_) {
    const auto known = attributes_.find(name);
    if (known != attributes_.end() && !same_bits(known->second, value))
      refuse(name, "is an attribute with another value");
  }
  for (const auto& [name, added] : row.variables_)
    for (std::size_t i = 1; i < added.dims.size(); ++i)
      if (added.dims[i] == dim) refuse(name, "has that dimension, but not first");
  if (variables_.empty()) return;
  for (const auto& [name, here] : variables_)
    if (!row.has(name)) refuse(name, "is missing in the row");
  for (const auto& [name, added] : row.variables_) {
    if (!has(name)) refuse(name, "is new in the row");
    const Variable& here = at(name);
    if (added.dims.empty() || added.dims[0] != dim) {
      if (!same_bits(here, added)) refuse(name, "lacks that dimension and differs");
    } else if (here.dims != added.dims || here.unit != added.unit || here.meaning != added.meaning ||
               here.values.index() != added.values.index() ||
               !std::equal(here.shape.begin() + 1, here.shape.end(), added.shape.begin() + 1)) {
      refuse(name, "differs in dims, other extents, type, unit or meaning");
    }
  }
}

void Dataset::append(const Dataset& row, const std::string& dim) {
  EXPECTS(&row != this, "{} is appended to itself; copy it first", label_);
  const bool row_has_dim = row.dims().contains(dim);
  EXPECTS(row_has_dim, "the appended rows have no dimension '{}'; they have: {}", dim, names_of(row.dims()));
  check_appendable(row, dim);
  attributes_.insert(row.attributes_.begin(), row.attributes_.end());
  if (variables_.empty()) {
    variables_ = row.variables_;
    return;
  }
  for (const auto& [name, variable] : row.variables_) {
    const Variable& added = variable;
    if (added.dims.empty() || added.dims[0] != dim) continue;
    Variable& here = variables_.at(name);
    here.shape[0] += added.shape[0];
    std::visit(
        [&](auto& values) {
          const auto& more = std::get<std::decay_t<decltype(values)>>(added.values);
          values.insert(values.end(), more.begin(), more.end());
        },
        here.values);
  }
}

bool Dataset::operator==(const Dataset& other) const {
  return same_bits(attributes_, other.attributes_) &&
         std::equal(variables_.begin(), variables_.end(), other.variables_.begin(), other.variables_.end(),
                    [](const auto& a, const auto& b) { return a.first == b.first && same_bits(a.second, b.second); });
}

}  // namespace hone
