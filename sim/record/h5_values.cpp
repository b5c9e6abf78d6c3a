#include "sim/record/h5_values.hpp"

#include <hdf5.h>

#include <type_traits>
#include <utility>

#include "sim/base/error.hpp"

namespace hone::h5 {
namespace {

constexpr std::int64_t chunk_from_bytes = 4096;
constexpr std::int64_t chunk_max_bytes = 1 << 20;
constexpr std::size_t fixed_text_max = 4096;
// The address of a text takes 16 bytes of the file and is not packed; a byte of packed numbers can hold 1000 entries.
constexpr std::int64_t entries_per_text = 16'000;

Object text_type(const Object& of) {
  Object type = write_handle(H5Tcopy(H5T_C_S1), H5Tclose, of, "its text type cannot be made");
  expect_written(H5Tset_size(type.id(), H5T_VARIABLE) >= 0 && H5Tset_cset(type.id(), H5T_CSET_UTF8) >= 0, of,
                 "its text type cannot be made");
  return type;
}

// The types on disk, little-endian whatever the machine; HDF5 converts where they differ.
template <class T>
hid_t file_type() {
  if constexpr (std::is_same_v<T, double>) return H5T_IEEE_F64LE;
  if constexpr (std::is_same_v<T, float>) return H5T_IEEE_F32LE;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_STD_I64LE;
}

template <class T>
hid_t memory_type() {
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
}

Object simple_space(const Object& of, const std::vector<std::int64_t>& shape) {
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  const hid_t space =
      shape.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(shape.size()), extents.data(), nullptr);
  return write_handle(space, H5Sclose, of, "its shape cannot be made");
}

std::vector<hsize_t> chunk_shape(const std::vector<std::int64_t>& shape, std::int64_t entry_bytes) {
  std::vector<hsize_t> chunk(shape.begin(), shape.end());
  const auto bytes = [&] {
    hsize_t product = entry_bytes;
    for (const hsize_t extent : chunk) product *= extent;
    return product;
  };
  for (hsize_t& extent : chunk)
    while (extent > 1 && bytes() > static_cast<hsize_t>(chunk_max_bytes)) extent = (extent + 1) / 2;
  return chunk;
}

// Object times stay untracked: they would make equal content differ in bytes.
Object creation_list(const Object& of, const std::vector<std::int64_t>& shape, std::int64_t count,
                     std::int64_t entry_bytes) {
  Object list = write_handle(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, of, "its layout cannot be made");
  bool is_made = H5Pset_obj_track_times(list.id(), false) >= 0;
  if (!shape.empty() && count * entry_bytes > chunk_from_bytes) {
    const std::vector<hsize_t> chunk = chunk_shape(shape, entry_bytes);
    is_made = is_made && H5Pset_chunk(list.id(), static_cast<int>(chunk.size()), chunk.data()) >= 0 &&
              H5Pset_shuffle(list.id()) >= 0 && H5Pset_deflate(list.id(), 4) >= 0 && H5Pset_fletcher32(list.id()) >= 0;
  }
  expect_written(is_made, of, "its layout cannot be made");
  return list;
}

template <class T>
void write_numbers(const Object& group, const std::string& name, const std::vector<std::int64_t>& shape,
                   const std::vector<T>& values) {
  const Object space = simple_space(group, shape);
  const Object list = creation_list(group, shape, std::ssize(values), sizeof(T));
  const Object data(
      H5Dcreate2(group.id(), name.c_str(), file_type<T>(), space.id(), H5P_DEFAULT, list.id(), H5P_DEFAULT), H5Dclose,
      group.name() + "/" + name);
  expect_written(data.id() >= 0, data, "cannot be created");
  if (!values.empty())
    expect_written(H5Dwrite(data.id(), memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0, data,
                   "its values cannot be written");
}

// Texts are not chunked: filters would see only their addresses in the heap.
void write_texts(const Object& group, const std::string& name, const std::vector<std::int64_t>& shape,
                 const std::vector<std::string>& values) {
  const Object space = simple_space(group, shape);
  const Object list = creation_list(group, shape, 0, 0);
  const Object type = text_type(group);
  const Object data(H5Dcreate2(group.id(), name.c_str(), type.id(), space.id(), H5P_DEFAULT, list.id(), H5P_DEFAULT),
                    H5Dclose, group.name() + "/" + name);
  expect_written(data.id() >= 0, data, "cannot be created");
  std::vector<const char*> pointers;
  for (const std::string& value : values) pointers.push_back(value.c_str());
  if (!values.empty())
    expect_written(H5Dwrite(data.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()) >= 0, data,
                   "its texts cannot be written");
}

template <class T>
Values read_numbers(const Object& dataset, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  if (count > 0)
    expect_read(H5Dread(dataset.id(), memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0, dataset,
                "its values cannot be read");
  return values;
}

// Texts that HDF5 allocated; given back even when copying them throws.
struct HeapTexts {
  Id type, space;
  std::vector<char*> pointers;
  ~HeapTexts() { H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data()); }
};

Values read_texts(const Object& dataset, const Object& space, std::int64_t count) {
  std::vector<std::string> values;
  if (count == 0) return values;
  const Object type = text_type(dataset);
  HeapTexts texts{type.id(), space.id(), std::vector<char*>(static_cast<std::size_t>(count), nullptr)};
  expect_read(H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.pointers.data()) >= 0, dataset,
              "its texts cannot be read");
  for (const char* text : texts.pointers) values.emplace_back(text ? text : "");
  return values;
}

std::string read_text(const Object& attribute, const Object& type, const Object& space) {
  if (H5Tis_variable_str(type.id()) > 0) {
    const Object memory = text_type(attribute);
    HeapTexts texts{memory.id(), space.id(), {nullptr}};
    expect_read(H5Aread(attribute.id(), memory.id(), texts.pointers.data()) >= 0, attribute, "cannot be read");
    return texts.pointers[0] ? texts.pointers[0] : "";
  }
  const std::size_t size = H5Tget_size(type.id());
  expect_read(size <= fixed_text_max, attribute, "is a fixed-length text above 4096 bytes");
  std::string text(size, '\0');
  expect_read(H5Aread(attribute.id(), type.id(), text.data()) >= 0, attribute, "cannot be read");
  return text.substr(0, text.find('\0'));
}

}  // namespace

void write_attribute(const Object& object, const std::string& name, const Attribute& value) {
  const Object space = simple_space(object, {});
  const Object text = text_type(object);
  const auto write = [&](Id file, Id memory, const void* data) {
    const Object attribute =
        write_handle(H5Acreate2(object.id(), name.c_str(), file, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                     object, fmt::format("attribute '{}' cannot be created", name));
    expect_written(H5Awrite(attribute.id(), memory, data) >= 0, object,
                   fmt::format("attribute '{}' cannot be written", name));
  };
  std::visit(
      [&](const auto& v) {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>) {
          const char* characters = v.c_str();
          write(text.id(), text.id(), &characters);
        } else {
          write(file_type<T>(), memory_type<T>(), &v);
        }
      },
      value);
}

bool has_attribute(const Object& object, const std::string& name) { return H5Aexists(object.id(), name.c_str()) > 0; }

Attribute read_attribute(const Object& object, const std::string& name) {
  const Object attribute(H5Aopen(object.id(), name.c_str(), H5P_DEFAULT), H5Aclose,
                         fmt::format("{}: attribute '{}'", object.name(), name));
  expect_read(attribute.id() >= 0, attribute, "is missing");
  const Object type = read_handle(H5Aget_type(attribute.id()), H5Tclose, attribute, "has no type");
  const Object space = read_handle(H5Aget_space(attribute.id()), H5Sclose, attribute, "has no shape");
  expect_read(H5Sget_simple_extent_type(space.id()) == H5S_SCALAR, attribute, "is not a scalar");
  if (H5Tget_class(type.id()) == H5T_STRING) return read_text(attribute, type, space);
  const auto read = [&](auto value) -> Attribute {
    expect_read(H5Aread(attribute.id(), memory_type<decltype(value)>(), &value) >= 0, attribute, "cannot be read");
    return value;
  };
  if (H5Tequal(type.id(), H5T_IEEE_F64LE) > 0) return read(double{});
  expect_read(H5Tequal(type.id(), H5T_STD_I64LE) > 0, attribute, "is not float64, int64 or text");
  return read(std::int64_t{});
}

std::string read_text_attribute(const Object& object, const std::string& name) {
  const Attribute value = read_attribute(object, name);
  const auto* text = std::get_if<std::string>(&value);
  expect_read(text != nullptr, object, fmt::format("attribute '{}' is not a text", name));
  return *text;
}

std::vector<std::string> attribute_names(const Object& object) {
  H5O_info_t info;
  expect_read(H5Oget_info2(object.id(), &info, H5O_INFO_NUM_ATTRS) >= 0, object, "its attributes cannot be listed");
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    const Object attribute =
        read_handle(H5Aopen_by_idx(object.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                    object, "its attributes cannot be listed");
    const ssize_t size = H5Aget_name(attribute.id(), 0, nullptr);
    expect_read(size > 0, object, "its attributes cannot be listed");
    std::string name(static_cast<std::size_t>(size) + 1, '\0');
    H5Aget_name(attribute.id(), name.size(), name.data());
    name.resize(static_cast<std::size_t>(size));
    names.push_back(std::move(name));
  }
  return names;
}

void write_array(const Object& group, const std::string& name, const std::vector<std::int64_t>& shape,
                 const Values& values) {
  std::visit(
      [&](const auto& v) {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::vector<std::string>>)
          write_texts(group, name, shape, v);
        else
          write_numbers(group, name, shape, v);
      },
      values);
}

namespace {

/// HDF5 keeps some 150 bytes for each chunk that it reads, and hone writes chunks of 4 KiB and more: many small ones fill
/// the memory from a small file.
void expect_large_chunks(const Object& dataset, const std::vector<hsize_t>& extents, std::int64_t count) {
  const Object list = read_handle(H5Dget_create_plist(dataset.id()), H5Pclose, dataset, "has no layout");
  if (H5Pget_layout(list.id()) != H5D_CHUNKED) return;
  std::vector<hsize_t> chunk(extents.size());
  expect_read(H5Pget_chunk(list.id(), static_cast<int>(chunk.size()), chunk.data()) == static_cast<int>(chunk.size()),
              dataset, "has chunks without a shape");
  constexpr std::int64_t entries_least = 64, chunks_free = 16;
  std::int64_t chunks = 1;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    expect_read(chunk[i] > 0, dataset, "has chunks of no length");
    const auto along = static_cast<std::int64_t>(extents[i] / chunk[i] + (extents[i] % chunk[i] != 0));
    expect_read(!__builtin_mul_overflow(chunks, along, &chunks), dataset, "has more chunks than can be counted");
  }
  expect_read(chunks <= chunks_free + count / entries_least, dataset,
              fmt::format("holds {} entries in {} chunks, far smaller ones than hone writes", count, chunks));
}

}  // namespace

Array read_array(const Object& dataset, std::int64_t& entries_left) {
  const Object space = read_handle(H5Dget_space(dataset.id()), H5Sclose, dataset, "has no shape");
  const Object type = read_handle(H5Dget_type(dataset.id()), H5Tclose, dataset, "has no type");
  expect_read(H5Sget_simple_extent_type(space.id()) != H5S_NULL, dataset, "holds nothing");
  const int rank = H5Sget_simple_extent_ndims(space.id());
  expect_read(rank >= 0, dataset, "has no shape");
  std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
  if (rank > 0)
    expect_read(H5Sget_simple_extent_dims(space.id(), extents.data(), nullptr) == rank, dataset, "has no shape");
  std::int64_t count = 1;
  for (const hsize_t extent : extents)
    expect_read(extent <= static_cast<hsize_t>(INT64_MAX) &&
                    !__builtin_mul_overflow(count, static_cast<std::int64_t>(extent), &count),
                dataset, "claims more entries than can be counted");
  const bool is_text = H5Tis_variable_str(type.id()) > 0;
  const std::int64_t cost = is_text ? entries_per_text : 1;
  expect_read(count <= entries_left / cost, dataset,
              fmt::format("claims {} entries, far more than a file of this size holds", count));
  entries_left -= cost * count;
  expect_large_chunks(dataset, extents, count);

  Array array{{extents.begin(), extents.end()}, {}};
  if (is_text)
    array.values = read_texts(dataset, space, count);
  else if (H5Tequal(type.id(), H5T_IEEE_F64LE) > 0)
    array.values = read_numbers<double>(dataset, count);
  else if (H5Tequal(type.id(), H5T_IEEE_F32LE) > 0)
    array.values = read_numbers<float>(dataset, count);
  else
    expect_read(H5Tequal(type.id(), H5T_STD_I64LE) > 0, dataset,
                "is not float64, float32, int64 or variable-length text"),
        array.values = read_numbers<std::int64_t>(dataset, count);
  return array;
}

}  // namespace hone::h5
