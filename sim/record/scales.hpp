// Dimension scales of one group, by the HDF5 Dimension Scales specification: they give xarray and
// netCDF named axes. Reading looks scales up inside the group only, so that an untrusted file cannot refer to other places.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/record/h5.hpp"

namespace hone::h5 {

/// The dims of each variable of a group.
using Axes = std::map<std::string, std::vector<std::string>>;

/// Makes each dim of `axes` a scale and attaches it to every axis that it names.
/// expects  each dim is a one-dimensional dataset of the group: its coordinate if `axes` has a
///          variable of that name, otherwise an index that readers leave out
/// errors   IoError
void write_scales(const Object& group, const Axes& axes);

/// The dims of the variables among `datasets`; those that are only the index of a dim are left out.
/// errors  FormatError when an axis of rank > 0 has no scale, several, or one outside the group
Axes read_scales(const Object& group, const std::vector<std::string>& datasets);

}  // namespace hone::h5
