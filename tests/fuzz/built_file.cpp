#include "tests/fuzz/built_file.hpp"

#include <fuzzer/FuzzedDataProvider.h>
#include <hdf5.h>
#include <hdf5_hl.h>

#include <array>
#include <vector>

#include "sim/record/h5.hpp"

namespace hone::fuzz {
namespace {

constexpr int most_steps = 24;
const std::array<const char*, 10> names = {"g",     "x",         "checkpoint", "bits",           "schema",
                                           "units", "long_name", "CLASS",      "DIMENSION_LIST", "schema_version"};
const std::array<const char*, 6> texts = {"hone.run", "1", "", "DIMENSION_SCALE", "trunk", "\xFF\x80"};

/// Builds one file. HDF5 refuses many of the steps; a refused one changes nothing.
class Builder {
 public:
  Builder(FuzzedDataProvider& steps, const h5::Object& file) : steps_(steps), file_(file.id()), place_(file.id()) {}

  void build() {
    for (int i = 0; i < most_steps && steps_.remaining_bytes() > 0; ++i) step();
    if (group_ >= 0) H5Gclose(group_);
  }

 private:
  void step() {
    switch (steps_.ConsumeIntegralInRange(0, 8)) {
      case 0: write_root(); break;
      case 1: enter_group(); break;
      case 2: write_dataset(); break;
      case 3: write_attribute(place_); break;
      case 4: write_member_attribute(); break;
      case 5: link(); break;
      case 6: scale(); break;
      case 7: attach(); break;
      default: write_good_dataset();
    }
  }

  const char* name() { return steps_.PickValueInArray(names); }
  const char* text() { return steps_.PickValueInArray(texts); }

  void write_root() {
    place_ = file_;
    text_attribute(file_, "schema", "hone.run");
    const std::int64_t version = 1;
    attribute(file_, "schema_version", H5T_STD_I64LE, {}, &version);
  }

  void enter_group() {
    const hid_t made = H5Gcreate2(steps_.ConsumeBool() ? file_ : place_, name(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (made < 0) return;
    if (group_ >= 0) H5Gclose(group_);
    place_ = group_ = made;
  }

  hid_t type() {
    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, steps_.ConsumeBool() ? H5T_VARIABLE : steps_.ConsumeIntegralInRange<size_t>(1, 5000));
    const std::array<hid_t, 8> types = {H5T_IEEE_F64LE, H5T_IEEE_F32LE, H5T_STD_I64LE,   H5T_IEEE_F64BE,
                                        H5T_STD_I32LE,  H5T_STD_U8LE,   H5T_STD_REF_OBJ, text};
    const size_t chosen = steps_.ConsumeIntegralInRange<size_t>(0, types.size() - 1);
    const hid_t copy = H5Tcopy(types[chosen]);
    H5Tclose(text);
    return copy;
  }

  enum class Extents { small, any };

  hid_t space(Extents allowed) {
    const int rank = steps_.ConsumeIntegralInRange(-2, 4);
    if (rank < 0) return H5Screate(rank == -1 ? H5S_SCALAR : H5S_NULL);
    std::array<hsize_t, 4> extents{};
    const bool is_large = steps_.ConsumeIntegralInRange(0, 15) == 15 && allowed == Extents::any;
    for (int i = 0; i < rank; ++i)
      extents[size_t(i)] =
          is_large ? steps_.ConsumeIntegral<hsize_t>() >> 1 : steps_.ConsumeIntegralInRange<hsize_t>(0, 4);
    return H5Screate_simple(rank, extents.data(), nullptr);
  }

  /// The number of entries where no extent is a large one; otherwise 0, as HDF5's own product runs over and may be small.
  static hsize_t small_count(hid_t shape) {
    std::array<hsize_t, 4> extents{};
    hsize_t count = H5Sget_simple_extent_type(shape) == H5S_NULL ? 0 : 1;
    const int rank = H5Sget_simple_extent_dims(shape, extents.data(), nullptr);
    for (int i = 0; i < rank; ++i) count *= extents[size_t(i)] <= 4 ? extents[size_t(i)] : 0;
    return count;
  }

  void write_dataset() {
    const hid_t stored = type(), shape = space(Extents::any), list = H5Pcreate(H5P_DATASET_CREATE);
    if (steps_.ConsumeBool()) {
      const std::array<hsize_t, 4> chunk = {2, 2, 2, 2};
      H5Pset_chunk(list, std::max(1, H5Sget_simple_extent_ndims(shape)), chunk.data());
      H5Pset_deflate(list, 4);
    } else {
      H5Pset_alloc_time(list, H5D_ALLOC_TIME_LATE);
    }
    const hid_t made = H5Dcreate2(place_, name(), stored, shape, H5P_DEFAULT, list, H5P_DEFAULT);
    const hsize_t count = small_count(shape);
    if (made >= 0 && count > 0 && H5Tequal(stored, H5T_IEEE_F64LE) > 0) {
      const std::vector<double> values(count, steps_.ConsumeFloatingPoint<double>());
      H5Dwrite(made, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    }
    if (made >= 0) H5Dclose(made);
    H5Pclose(list), H5Sclose(shape), H5Tclose(stored);
  }

  /// As the schema has it: a number, or a coordinate of its own.
  void write_good_dataset() {
    const char* chosen = name();
    const hsize_t length = steps_.ConsumeIntegralInRange<hsize_t>(0, 3);
    const bool is_number = steps_.ConsumeBool();
    const hid_t shape = is_number ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &length, nullptr);
    const hid_t made = H5Dcreate2(place_, chosen, H5T_IEEE_F64LE, shape, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Sclose(shape);
    if (made < 0) return;
    if (!is_number) H5DSset_scale(made, chosen);
    text_attribute(made, "units", "1");
    text_attribute(made, "long_name", text());
    H5Dclose(made);
  }

  void attribute(hid_t object, const char* called, hid_t stored, const std::vector<hsize_t>& extents,
                 const void* data) {
    const hid_t shape =
        extents.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(int(extents.size()), extents.data(), nullptr);
    const hid_t made = H5Acreate2(object, called, stored, shape, H5P_DEFAULT, H5P_DEFAULT);
    if (made >= 0) H5Awrite(made, stored, data), H5Aclose(made);
    H5Sclose(shape);
  }

  void text_attribute(hid_t object, const char* called, const char* value) {
    const hid_t stored = H5Tcopy(H5T_C_S1);
    H5Tset_size(stored, H5T_VARIABLE);
    H5Tset_cset(stored, H5T_CSET_UTF8);
    attribute(object, called, stored, {}, &value);
    H5Tclose(stored);
  }

  void write_attribute(hid_t object) {
    const char* called = name();
    const auto number = steps_.ConsumeIntegral<std::int64_t>();
    switch (steps_.ConsumeIntegralInRange(0, 4)) {
      case 0: return text_attribute(object, called, text());
      case 1: return attribute(object, called, H5T_STD_I64LE, {}, &number);
      case 2: return attribute(object, called, H5T_IEEE_F64LE, {}, &number);
      case 3: return attribute(object, called, H5T_STD_I64LE, {1}, &number);
      default: break;
    }
    const hid_t stored = type();
    // HDF5 1.10 writes beyond an object header when an attribute needs more than that holds.
    const hid_t shape = H5Tget_class(stored) == H5T_STRING ? H5Screate(H5S_SCALAR) : space(Extents::small);
    const hid_t made = H5Acreate2(object, called, stored, shape, H5P_DEFAULT, H5P_DEFAULT);
    if (made >= 0) H5Aclose(made);
    H5Sclose(shape), H5Tclose(stored);
  }

  void write_member_attribute() {
    const hid_t member = H5Oopen(place_, name(), H5P_DEFAULT);
    if (member < 0) return;
    write_attribute(member);
    H5Oclose(member);
  }

  void link() {
    switch (steps_.ConsumeIntegralInRange(0, 2)) {
      case 0: H5Lcreate_soft(name(), place_, name(), H5P_DEFAULT, H5P_DEFAULT); break;
      case 1: H5Lcreate_external("/etc/hostname", "/", place_, name(), H5P_DEFAULT, H5P_DEFAULT); break;
      default: H5Lcreate_hard(place_, ".", place_, name(), H5P_DEFAULT, H5P_DEFAULT);
    }
  }

  void scale() {
    const hid_t dataset = H5Dopen2(place_, name(), H5P_DEFAULT);
    if (dataset < 0) return;
    H5DSset_scale(dataset, text());
    H5Dclose(dataset);
  }

  void attach() {
    const hid_t variable = H5Dopen2(place_, name(), H5P_DEFAULT), scale = H5Dopen2(place_, name(), H5P_DEFAULT);
    const auto axis = steps_.ConsumeIntegralInRange(0u, 3u);
    // HDF5 takes an attribute of these names for its own and reads beyond it.
    if (variable >= 0 && scale >= 0 && H5Aexists(variable, "DIMENSION_LIST") == 0 && H5Aexists(scale, "CLASS") > 0)
      H5DSattach_scale(variable, scale, axis);
    if (variable >= 0) H5Dclose(variable);
    if (scale >= 0) H5Dclose(scale);
  }

  FuzzedDataProvider& steps_;
  hid_t file_, place_, group_ = -1;
};

}  // namespace

std::string built_file(std::string_view steps) {
  FuzzedDataProvider provider(reinterpret_cast<const std::uint8_t*>(steps.data()), steps.size());
  const h5::Object file = h5::create_image("built by the target");
  Builder(provider, file).build();
  return h5::bytes_of(file);
}

}  // namespace hone::fuzz
