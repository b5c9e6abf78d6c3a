#include "sim/record/scales.hpp"

#include <hdf5.h>
#include <hdf5_hl.h>

#include <set>
#include <string_view>

#include "sim/base/error.hpp"
#include "sim/record/h5_values.hpp"

namespace hone::h5 {
namespace {

// netCDF's mark of a dimension without coordinate; xarray and netCDF then show no variable for it.
constexpr std::string_view index_mark = "This is a netCDF dimension but not a netCDF variable.";

hobj_ref_t reference_to(const Object& group, const std::string& name) {
  hobj_ref_t reference;
  expect_read(H5Rcreate(&reference, group.id(), name.c_str(), H5R_OBJECT, -1) >= 0, group,
              fmt::format("dataset '{}' cannot be referred to", name));
  return reference;
}

// Lists of references that HDF5 allocated; given back even when reading them throws.
struct HeapLists {
  Id type, space;
  std::vector<hvl_t> lists;
  ~HeapLists() { H5Dvlen_reclaim(type, space, H5P_DEFAULT, lists.data()); }
};

std::vector<std::string> read_dimension_list(const Object& variable, const std::map<hobj_ref_t, std::string>& scales) {
  const Object attribute = read_handle(H5Aopen(variable.id(), "DIMENSION_LIST", H5P_DEFAULT), H5Aclose, variable,
                                       "has axes without dimension scales");
  const Object space = read_handle(H5Aget_space(attribute.id()), H5Sclose, variable, "has no scales");
  const hssize_t rank = H5Sget_simple_extent_npoints(space.id());
  expect_read(rank >= 1 && rank <= H5S_MAX_RANK, variable, "its DIMENSION_LIST has no valid length");
  const Object stored = read_handle(H5Aget_type(attribute.id()), H5Tclose, variable, "has no scales");
  const Object type = read_handle(H5Tvlen_create(H5T_STD_REF_OBJ), H5Tclose, variable, "its scales cannot be listed");
  expect_read(H5Tequal(stored.id(), type.id()) > 0, variable, "its DIMENSION_LIST holds no references");
  HeapLists heap{type.id(), space.id(), std::vector<hvl_t>(static_cast<std::size_t>(rank), hvl_t{0, nullptr})};
  expect_read(H5Aread(attribute.id(), type.id(), heap.lists.data()) >= 0, variable,
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
  std::set<std::string> scales;
  for (const auto& [name, dims] : axes) scales.insert(dims.begin(), dims.end());
  for (const std::string& dim : scales) {
    const Object scale = open_member(group, dim);
    const std::string label = axes.contains(dim) ? dim : std::string(index_mark);
    expect_written(H5DSset_scale(scale.id(), label.c_str()) >= 0, scale, "cannot become a scale");
  }
  for (const auto& [name, dims] : axes) {
    const Object variable = open_member(group, name);
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (dims[i] == name) continue;  // a coordinate is its own scale
      const Object scale = open_member(group, dims[i]);
      expect_written(H5DSattach_scale(variable.id(), scale.id(), static_cast<unsigned>(i)) >= 0, variable,
                     fmt::format("its axis {} cannot be attached to scale '{}'", i, dims[i]));
    }
  }
}

Axes read_scales(const Object& group, const std::vector<std::string>& datasets) {
  std::map<hobj_ref_t, std::string> scales;
  Axes axes;
  for (const std::string& name : datasets) {
    const Object dataset = open_member(group, name);
    if (!has_attribute(dataset, "CLASS")) continue;
    expect_read(read_text_attribute(dataset, "CLASS") == "DIMENSION_SCALE", dataset,
                "is of a class that is not a dimension scale");
    scales.emplace(reference_to(group, name), name);
    if (!read_text_attribute(dataset, "NAME").starts_with(index_mark)) axes[name] = {name};
  }
  for (const std::string& name : datasets) {
    const Object dataset = open_member(group, name);
    if (has_attribute(dataset, "CLASS")) continue;
    const Object space = read_handle(H5Dget_space(dataset.id()), H5Sclose, dataset, "has no shape");
    const bool is_scalar = H5Sget_simple_extent_type(space.id()) == H5S_SCALAR;
    axes[name] = is_scalar ? std::vector<std::string>{} : read_dimension_list(dataset, scales);
  }
  return axes;
}

}  // namespace hone::h5
