#include "sim/record/field.hpp"

#include "sim/base/error.hpp"

namespace hone {

int FieldFacts::rank() const {
  int count = 0;
  for (const char* dim : dims) count += dim != nullptr;
  return count;
}

std::vector<std::string> FieldFacts::dim_names() const { return {dims.begin(), dims.begin() + rank()}; }

std::string_view name_of(FieldFacts::Type type) {
  switch (type) {
    case FieldFacts::Type::float64: return "float64";
    case FieldFacts::Type::int64: return "int64";
    case FieldFacts::Type::text: return "text";
  }
  return "";
}

std::string in_section(const FieldFacts& option, const std::string& section) {
  const std::string_view name = option.name;
  return section + std::string(name.substr(name.find('.')));
}

Variable variable_of(const FieldFacts& field, Values values, const std::vector<std::int64_t>& leading) {
  EXPECTS(std::int64_t(leading.size()) == field.rank() - 1,
          "field /{}/{} has {} dims and {} leading lengths; give those of all dims but the last", field.group,
          field.name, field.rank(), leading.size());
  std::int64_t rows = 1;
  for (const std::int64_t length : leading) rows *= length;
  const std::int64_t count = count_of(values);
  EXPECTS(rows > 0 && count % rows == 0, "field /{}/{}: {} values do not fill {} rows", field.group, field.name, count,
          rows);
  std::vector<std::int64_t> shape = leading;
  shape.push_back(count / rows);
  return {field.dim_names(), std::move(shape), std::move(values), field.unit, field.meaning};
}

template <class T>
const T& value_of(const Dataset& group, const Fact<T>& fact) {
  if (const auto* value = std::get_if<T>(&group.attribute(fact.name))) return *value;
  throw FormatError(fmt::format("{}: attribute {} of /{} is not {}; run the study again", group.label(), fact.name,
                                fact.group, fact.type == FieldFacts::Type::text ? "text" : name_of(fact.type)));
}

template const double& value_of(const Dataset&, const Fact<double>&);
template const std::int64_t& value_of(const Dataset&, const Fact<std::int64_t>&);
template const std::string& value_of(const Dataset&, const Fact<std::string>&);

}  // namespace hone
