// Attributes and arrays of an HDF5 file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>
#include "sim/record/dataset.hpp"
#include "sim/record/h5.hpp"

namespace hone::h5 {

/// An array as it lies in a file.
struct Array {
  std::vector<std::int64_t> shape;
  Values values;
};

/// A scalar attribute: float64, int64 or variable-length UTF-8.
/// expects  no such attribute yet
void write_attribute(const Object& object, const std::string& name, const Attribute& value);

bool has_attribute(const Object& object, const std::string& name);

/// errors  FormatError when missing, not scalar or of another type; fixed-length text is read as well
Attribute read_attribute(const Object& object, const std::string& name);
std::string read_text_attribute(const Object& object, const std::string& name);

/// Names of all attributes in alphabetical order.
std::vector<std::string> attribute_names(const Object& object);

/// Writes a whole array; numbers above 4 KiB in chunks of at most 1 MiB with shuffle, gzip 4 and
/// fletcher32.
/// expects  as many values as the shape has entries
void write_array(const Object& group, const std::string& name, const std::vector<std::int64_t>& shape,
                 const Values& values);

/// Reads a whole array and takes its entries off `entries_left`, which bounds what a file may make
/// us allocate; a text counts for 16000 numbers, as numbers can be packed and texts cannot.
/// errors  FormatError for another type, a damaged chunk, or more entries than are left
Array read_array(const Object& dataset, std::int64_t& entries_left);

}  // namespace hone::h5
