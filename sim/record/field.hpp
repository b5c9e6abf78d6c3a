// A quantity of the schema: where it stands in a run file, over which dimensions, in which unit, and what it means. What
// writes it and what reads it name the same object, so that a misspelt or mistyped field does not compile.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <type_traits>
#include <utility>

#include "sim/record/dataset.hpp"

namespace hone {

/// One line of the schema, whatever its type.
struct FieldFacts {
  enum class Type { float64, int64, text };

  const char* group;  ///< of the run file, without its slash
  const char* name;
  std::array<const char*, 3> dims;  ///< in storage order; null beyond the last
  const char* unit;                 ///< "1" for a pure number or text
  const char* meaning;
  Type type;
  bool is_attribute;  ///< of the group, without dims
  int since;          ///< version of the schema that brought it

  int rank() const;
  std::vector<std::string> dim_names() const;
};

/// What a Dataset calls the type.
std::string_view name_of(FieldFacts::Type type);

namespace detail {
template <class T>
constexpr FieldFacts::Type type_of = std::is_same_v<T, double>
                                         ? FieldFacts::Type::float64
                                         : (std::is_same_v<T, std::int64_t> ? FieldFacts::Type::int64
                                                                            : FieldFacts::Type::text);
}

/// A variable with values of type T: double, std::int64_t or std::string.
template <class T>
struct Field : FieldFacts {
  constexpr Field(const char* in, const char* called, std::array<const char*, 3> over, const char* in_unit,
                  const char* means, int from_version = 1)
      : FieldFacts{in, called, over, in_unit, means, detail::type_of<T>, false, from_version} {}
};

/// An attribute of a group.
template <class T>
struct Fact : FieldFacts {
  constexpr Fact(const char* in, const char* called, const char* in_unit, const char* means, int from_version = 1)
      : FieldFacts{in, called, {}, in_unit, means, detail::type_of<T>, true, from_version} {}
};

/// The name of an option in another section: model.tokens and branch1 give branch1.tokens.
std::string in_section(const FieldFacts& option, const std::string& section);

/// A variable of that field, with its dims, unit and meaning.
/// shapes  leading holds the lengths of all dims but the last; the last follows from the number of values
/// errors  ContractError when the values do not fill the shape
Variable variable_of(const FieldFacts& field, Values values, const std::vector<std::int64_t>& leading);

/// Sets the field in the rows of its group.
/// shapes  as variable_of
/// errors  as variable_of and Dataset::set
template <class T>
void set(Dataset& group, const Field<T>& field, std::type_identity_t<std::vector<T>> values,
         const std::vector<std::int64_t>& leading = {}) {
  group.set(field.name, variable_of(field, std::move(values), leading));
}

/// Sets the attribute of its group.
template <class T>
void set(Dataset& group, const Fact<T>& fact, std::type_identity_t<T> value) {
  group.set_attribute(fact.name, std::move(value));
}

/// The values of the field.
/// errors  FormatError when the group lacks it or holds another type
template <class T>
const std::vector<T>& values_of(const Dataset& group, const Field<T>& field) {
  if constexpr (std::is_same_v<T, double>)
    return group.doubles(field.name);
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return group.ints(field.name);
  else
    return group.strings(field.name);
}

/// The attribute.
/// errors  FormatError when the group lacks it or it is of another type
template <class T>
const T& value_of(const Dataset& group, const Fact<T>& fact);

extern template const double& value_of(const Dataset&, const Fact<double>&);
extern template const std::int64_t& value_of(const Dataset&, const Fact<std::int64_t>&);
extern template const std::string& value_of(const Dataset&, const Fact<std::string>&);

}  // namespace hone
