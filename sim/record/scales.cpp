#include "sim/record/scales.hpp"

#include <hdf5.h>

#include <cstddef>
#include <cstring>

#include "sim/base/error.hpp"

namespace hone::h5 {
namespace {

// netCDF's mark of a dimension without coordinate; xarray and netCDF then show no variable for it.
constexpr std::string_view index_mark = "This is a netCDF dimension but not a netCDF variable.";

/// One entry of REFERENCE_LIST: an axis to which the scale is attached.
struct Attachment {
  hobj_ref_t variable;
  int axis;
};

hobj_ref_t reference_to(const Object& group, const std::string& name) {
  hobj_ref_t reference;
  expect_written(H5Rcreate(&reference, group.id(), name.c_str(), H5R_OBJECT, -1) >= 0,
                 group,
                 fmt::format("dataset '{}' cannot be referred to", name));
  return reference;
}

void write_raw_attribute(const Object& object,
                         const std::string& name,
                         const Object& type,
                         const Object& space,
                         const void* data) {
  const Object attribute = write_handle(
      H5Acreate2(object.id(), name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT),
      H5Aclose,
      object,
      name + " cannot be created");
  expect_written(
      H5Awrite(attribute.id(), type.id(), data) >= 0, object, name + " cannot be written");
}

Object list_space(const Object& of, std::size_t count) {
  const hsize_t extent = count;
  return write_handle(
      H5Screate_simple(1, &extent, nullptr), H5Sclose, of, "its scales cannot be listed");
}

// The specification asks for fixed-length text here, and h5netcdf compares it as bytes.
void write_fixed_text(const Object& object, const std::string& name, const std::string& text) {
  const Object type =
      write_handle(H5Tcopy(H5T_C_S1), H5Tclose, object, name + " cannot be created");
  expect_written(H5Tset_size(type.id(), text.size() + 1) >= 0, object, name + " cannot be created");
  const Object space =
      write_handle(H5Screate(H5S_SCALAR), H5Sclose, object, name + " cannot be created");
  write_raw_attribute(object, name, type, space, text.c_str());
}

Object reference_vector_type(const Object& of) {
  return write_handle(H5Tvlen_create(H5T_STD_REF_OBJ), H5Tclose, of, "its scales cannot be listed");
}

void write_dimension_list(const Object& group,
                          const Object& variable,
                          const std::vector<std::string>& dims) {
  std::vector<hobj_ref_t> references;
  for (const std::string& dim : dims) references.push_back(reference_to(group, dim));
  std::vector<hvl_t> lists;
  for (hobj_ref_t& reference : references) lists.push_back({1, &reference});
  write_raw_attribute(variable,
                      "DIMENSION_LIST",
                      reference_vector_type(variable),
                      list_space(variable, lists.size()),
                      lists.data());
}

void write_reference_list(const Object& scale, const std::vector<Attachment>& attachments) {
  const Object type = write_handle(H5Tcreate(H5T_COMPOUND, sizeof(Attachment)),
                                   H5Tclose,
                                   scale,
                                   "REFERENCE_LIST cannot be created");
  expect_written(
      H5Tinsert(type.id(), "dataset", offsetof(Attachment, variable), H5T_STD_REF_OBJ) >= 0 &&
          H5Tinsert(type.id(), "dimension", offsetof(Attachment, axis), H5T_NATIVE_INT) >= 0,
      scale,
      "REFERENCE_LIST cannot be created");
  std::string bytes(attachments.size() * sizeof(Attachment), '\0');  // its padding is zero
  for (std::size_t i = 0; i < attachments.size(); ++i) {
    char* entry = bytes.data() + i * sizeof(Attachment);
    std::memcpy(
        entry + offsetof(Attachment, variable), &attachments[i].variable, sizeof(hobj_ref_t));
    std::memcpy(entry + offsetof(Attachment, axis), &attachments[i].axis, sizeof(int));
  }
  write_raw_attribute(
      scale, "REFERENCE_LIST", type, list_space(scale, attachments.size()), bytes.data());
}

// Lists of references that HDF5 allocated; given back even when reading them throws.
struct HeapLists {
  Id type, space;
  std::vector<hvl_t> lists;
  ~HeapLists() { H5Dvlen_reclaim(type, space, H5P_DEFAULT, lists.data()); }
};

std::vector<std::string> read_dimension_list(const Object& variable,
                                             const std::map<hobj_ref_t, std::string>& scales) {
  const Object attribute = read_handle(H5Aopen(variable.id(), "DIMENSION_LIST", H5P_DEFAULT),
                                       H5Aclose,
                                       variable,
                                       "has axes without dimension scales");
  const Object space =
      read_handle(H5Aget_space(attribute.id()), H5Sclose, variable, "has no scales");
  const hssize_t rank = H5Sget_simple_extent_npoints(space.id());
  expect_read(
      rank >= 1 && rank <= H5S_MAX_RANK, variable, "its DIMENSION_LIST has no valid length");
  const Object stored =
      read_handle(H5Aget_type(attribute.id()), H5Tclose, variable, "has no scales");
  const Object type = reference_vector_type(variable);
  expect_read(
      H5Tequal(stored.id(), type.id()) > 0, variable, "its DIMENSION_LIST holds no references");
  HeapLists heap{
      type.id(), space.id(), std::vector<hvl_t>(static_cast<std::size_t>(rank), hvl_t{0, nullptr})};
  expect_read(H5Aread(attribute.id(), type.id(), heap.lists.data()) >= 0,
              variable,
              "its DIMENSION_LIST cannot be read");
  std::vector<std::string> dims;
  for (const hvl_t& list : heap.lists) {
    expect_read(list.len == 1, variable, "has an axis without exactly one dimension scale");
    const auto found = scales.find(*static_cast<const hobj_ref_t*>(list.p));
    expect_read(found != scales.end(), variable, "has a dimension scale outside its group");
    dims.push_back(found->second);
  }
  return dims;
}

}  // namespace

void write_scales(const Object& group, const Axes& axes) {
  std::map<std::string, std::vector<Attachment>> attached;
  for (const auto& [name, dims] : axes) {
    for (std::size_t i = 0; i < dims.size(); ++i) {
      std::vector<Attachment>& attachments = attached[dims[i]];
      if (dims[i] != name) attachments.push_back({reference_to(group, name), static_cast<int>(i)});
    }
    const bool is_coordinate = dims.size() == 1 && dims[0] == name;
    if (!dims.empty() && !is_coordinate)
      write_dimension_list(group, open_member(group, name), dims);
  }
  for (const auto& [dim, attachments] : attached) {
    const Object scale = open_member(group, dim);
    write_fixed_text(scale, "CLASS", "DIMENSION_SCALE");
    write_fixed_text(scale, "NAME", axes.contains(dim) ? dim : std::string(index_mark));
    if (!attachments.empty()) write_reference_list(scale, attachments);
  }
}

Axes read_scales(const Object& group, const std::vector<std::string>& datasets) {
  std::map<hobj_ref_t, std::string> scales;
  Axes axes;
  for (const std::string& name : datasets) {
    const Object dataset = open_member(group, name);
    if (!has_attribute(dataset, "CLASS")) continue;
    expect_read(read_text_attribute(dataset, "CLASS") == "DIMENSION_SCALE",
                dataset,
                "is of a class that is not a dimension scale");
    scales.emplace(reference_to(group, name), name);
    if (!read_text_attribute(dataset, "NAME").starts_with(index_mark)) axes[name] = {name};
  }
  std::map<std::string, bool> is_scale;
  for (const auto& [reference, name] : scales) is_scale[name] = true;
  for (const std::string& name : datasets) {
    if (is_scale.contains(name)) continue;
    const Object dataset = open_member(group, name);
    const Object space = read_handle(H5Dget_space(dataset.id()), H5Sclose, dataset, "has no shape");
    const bool is_scalar = H5Sget_simple_extent_type(space.id()) == H5S_SCALAR;
    axes[name] = is_scalar ? std::vector<std::string>{} : read_dimension_list(dataset, scales);
  }
  return axes;
}

}  // namespace hone::h5
