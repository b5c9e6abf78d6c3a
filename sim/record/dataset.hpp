// The table of all recorded measurements: named arrays over named dimensions, each with its unit and meaning, and scalar
// attributes. One Dataset becomes one group of a run file and one xarray.Dataset in Python. run_file.hpp writes it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace hone {

/// Row-major array data; float32 exists for parameters and optimizer state.
using Values =
    std::variant<std::vector<double>, std::vector<std::int64_t>, std::vector<std::string>, std::vector<float>>;

/// A scalar fact about a whole group or file.
using Attribute = std::variant<double, std::int64_t, std::string>;

/// One recorded quantity.
/// shapes  dims[i] has shape[i] entries; no dims is a scalar with one value
struct Variable {
  std::vector<std::string> dims;
  std::vector<std::int64_t> shape;
  Values values;
  std::string unit;     ///< "nats", "tokens", "1" for a pure number
  std::string meaning;  ///< one line for a reader who has only the file
};

/// A variable without dimensions.
Variable scalar_variable(const Attribute& value, std::string unit, std::string meaning);

/// A variable over one dimension, as long as its values.
Variable vector_variable(std::string dim, Values values, std::string unit, std::string meaning);

/// A row-major variable over two dimensions.
/// shapes  values (shape[0], shape[1])
Variable matrix_variable(std::array<std::string, 2> dims, std::array<std::int64_t, 2> shape, Values values,
                         std::string unit, std::string meaning);

/// Number of entries, whatever their type.
std::int64_t count_of(const Values& values);

/// Equality of every bit: NaN equals a NaN of the same bits, -0 differs from +0.
bool same_bits(const Values& a, const Values& b);
bool same_bits(const Attribute& a, const Attribute& b);
bool same_bits(const Variable& a, const Variable& b);
bool same_bits(const std::map<std::string, Attribute>& a, const std::map<std::string, Attribute>& b);

/// Throws unless `name` can name a group, variable, dimension or attribute: not empty, no '/', no
/// NUL, not ".".
/// errors  ContractError naming `what` and the name
void expect_recordable_name(const std::string& what, const std::string& name);

/// Throws unless the attribute can be stored.
/// errors  ContractError when the name is not recordable or a text holds a NUL byte
void expect_recordable_attribute(const std::string& name, const Attribute& value);

/// Variables and attributes in name order. Invariants: every array fills its shape, a dimension has
/// one length in the whole Dataset, and a variable named like a dimension is its one-dimensional
/// coordinate.
class Dataset {
 public:
  Dataset() = default;
  /// `label` names the Dataset in messages, such as "run.h5: group /ptq"; it is no part of the
  /// content.
  explicit Dataset(std::string label);

  /// Adds or replaces a variable.
  /// errors  ContractError naming the variable and the sizes when an invariant would break
  void set(const std::string& name, Variable variable);

  /// Adds or replaces an attribute.
  /// errors  ContractError as expect_recordable_attribute
  void set_attribute(const std::string& name, Attribute value);

  /// True when there is such a variable.
  bool has(const std::string& name) const;

  /// The variable.
  /// errors  FormatError listing what there is
  const Variable& at(const std::string& name) const;

  /// The values of a variable of one type.
  /// errors  FormatError when missing or of another type
  const std::vector<double>& doubles(const std::string& name) const;
  const std::vector<std::int64_t>& ints(const std::string& name) const;
  const std::vector<std::string>& strings(const std::string& name) const;
  const std::vector<float>& floats(const std::string& name) const;

  /// The attribute.
  /// errors  FormatError listing what there is
  const Attribute& attribute(const std::string& name) const;

  /// Length of a dimension.
  /// errors  FormatError listing what there is
  std::int64_t length(const std::string& dim) const;

  /// All dimensions with their lengths.
  std::map<std::string, std::int64_t> dims() const;

  const std::map<std::string, Variable>& variables() const { return variables_; }
  const std::map<std::string, Attribute>& attributes() const { return attributes_; }
  const std::string& label() const { return label_; }

  /// Concatenates along `dim` every variable of `row` that has it as first dimension. All other
  /// variables must have the same bits on both sides; attributes new here are added, known ones
  /// must have the same bits. A Dataset without variables takes all variables of `row`.
  /// expects  some variable of `row` has `dim`; `row` is another Dataset
  /// ensures  unchanged when it throws
  /// errors   FormatError naming the variable and what differs
  /// cost     linear in `row`, amortized
  void append(const Dataset& row, const std::string& dim);

  /// Same variables and attributes, bit for bit; labels do not count.
  bool operator==(const Dataset& other) const;

 private:
  void check_appendable(const Dataset& row, const std::string& dim) const;

  std::string label_ = "dataset";
  std::map<std::string, Variable> variables_;
  std::map<std::string, Attribute> attributes_;
};

}  // namespace hone
