#include "sim/record/h5.hpp"

#include <hdf5.h>

#include <atomic>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include "sim/base/error.hpp"

static_assert(std::is_same_v<hid_t, std::int64_t>);
static_assert(std::is_same_v<herr_t, int>);

namespace hone::h5 {
namespace {

// HDF5 keeps the printing of its errors per thread; ours carry the same news in exceptions.
void silence() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

std::string child_name(const Object& parent, const std::string& name) {
  const bool is_file = H5Iget_type(parent.id()) == H5I_FILE;
  return parent.name() + (is_file ? ": /" : "/") + name;
}

// HDF5 tells two files in memory apart by their names alone.
std::string unique_image_name() {
  static std::atomic<unsigned> serial{0};
  return fmt::format("hone-image-in-memory-{}", serial++);
}

Id memory_access() {
  const Id access = H5Pcreate(H5P_FILE_ACCESS);
  if (access < 0 ||
      (H5Pset_fapl_core(access, 1 << 16, false) >= 0 && H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0))
    return access;
  H5Pclose(access);
  return -1;
}

// HDF5 copies an image three times while it opens it. These callbacks lend it the reader's own
// bytes instead: every allocation is that string, every copy is one onto itself, and nothing is
// freed. (H5LTopen_file_image does the same, but leaks.)
void* lend_malloc(size_t, H5FD_file_image_op_t, void* udata) { return static_cast<std::string*>(udata)->data(); }
void* lend_memcpy(void* to, const void*, size_t, H5FD_file_image_op_t, void*) { return to; }
void* lend_realloc(void*, size_t, H5FD_file_image_op_t, void*) { return nullptr; }
herr_t lend_free(void*, H5FD_file_image_op_t, void*) { return 0; }
void* lend_udata_copy(void* udata) { return udata; }
herr_t lend_udata_free(void*) { return 0; }

}  // namespace

Object::Object(Id id, int (*close)(Id), std::string name) : id_(id), close_(close), name_(std::move(name)) {}

Object::Object(Object&& other) noexcept
    : id_(std::exchange(other.id_, -1)), close_(other.close_), name_(std::move(other.name_)) {}

Object::~Object() {
  if (id_ >= 0) close_(id_);
}

void expect_read(bool succeeded, const Object& object, const std::string& what) {
  if (!succeeded)
    throw FormatError(
        fmt::format("{}: {}; the file is damaged or not of hone: restore it or measure it again", object.name(), what));
}

void expect_written(bool succeeded, const Object& object, const std::string& what) {
  if (!succeeded)
    throw IoError(
        fmt::format("{}: {}; HDF5 refused it: free some memory or record less in one file", object.name(), what));
}

Object read_handle(Id id, int (*close)(Id), const Object& of, const std::string& what) {
  expect_read(id >= 0, of, what);
  return Object(id, close, of.name());
}

Object write_handle(Id id, int (*close)(Id), const Object& of, const std::string& what) {
  expect_written(id >= 0, of, what);
  return Object(id, close, of.name());
}

Object create_image(const std::string& name) {
  silence();
  const Object named(-1, nullptr, name);
  const Object access = write_handle(memory_access(), H5Pclose, named, "cannot be made in memory");
  return write_handle(H5Fcreate(unique_image_name().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose, named,
                      "cannot be made in memory");
}

std::string bytes_of(const Object& file) {
  expect_written(H5Fflush(file.id(), H5F_SCOPE_LOCAL) >= 0, file, "cannot be flushed in memory");
  const ssize_t size = H5Fget_file_image(file.id(), nullptr, 0);
  expect_written(size > 0, file, "its size cannot be found");
  std::string bytes(static_cast<std::size_t>(size), '\0');
  expect_written(H5Fget_file_image(file.id(), bytes.data(), bytes.size()) == size, file, "its bytes cannot be copied");
  return bytes;
}

namespace {

/// Walks every heap of texts in the bytes of a file, as HDF5 will.
/// errors  FormatError where an object of a heap has no length or more than is left: HDF5 1.10 would go on for ever
void expect_heaps_end(std::string_view bytes, const Object& file) {
  constexpr std::string_view signature("GCOL\1", 5);
  constexpr std::uint64_t header = 16;  // of a heap, and of each object in it
  const auto number_at = [&](std::uint64_t at) {
    std::uint64_t number = 0;
    std::memcpy(&number, bytes.data() + at, sizeof number);
    return number;
  };
  for (std::size_t heap = bytes.find(signature); heap != bytes.npos; heap = bytes.find(signature, heap + 1)) {
    if (bytes.size() - heap < header) return;
    const std::uint64_t size = number_at(heap + 8);
    if (size < header || size > bytes.size() - heap) continue;  // HDF5 refuses it
    std::uint64_t at = heap + header, left = size - header;
    while (left >= header) {
      const bool is_free = bytes[at] == 0 && bytes[at + 1] == 0;
      const std::uint64_t length = number_at(at + 8);
      const std::uint64_t step = length > left ? 0 : is_free ? length : header + (length + 7) / 8 * 8;
      expect_read(step >= header && step <= left, file, fmt::format("the heap of texts at byte {} is broken", heap));
      at += step, left -= step;
    }
  }
}

}  // namespace

Object open_image(std::string& bytes, const std::string& name) {
  silence();
  const Object named(-1, nullptr, name);
  expect_heaps_end(bytes, named);
  const Object access = read_handle(memory_access(), H5Pclose, named, "cannot be opened in memory");
  H5FD_file_image_callbacks_t lend = {lend_malloc,     lend_memcpy,     lend_realloc, lend_free,
                                      lend_udata_copy, lend_udata_free, &bytes};
  expect_read(H5Pset_file_image_callbacks(access.id(), &lend) >= 0 &&
                  H5Pset_file_image(access.id(), bytes.data(), bytes.size()) >= 0,
              named, "cannot be opened in memory");
  return read_handle(H5Fopen(unique_image_name().c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose, named,
                     "is no HDF5 file");
}

Object create_group(const Object& parent, const std::string& name) {
  Object group(H5Gcreate2(parent.id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose,
               child_name(parent, name));
  expect_written(group.id() >= 0, group, "cannot be created");
  return group;
}

Object open_member(const Object& parent, const std::string& name) {
  Object member(H5Oopen(parent.id(), name.c_str(), H5P_DEFAULT), H5Oclose, child_name(parent, name));
  expect_read(member.id() >= 0, member, "cannot be opened");
  return member;
}

std::vector<std::string> members(const Object& group, Kind kind) {
  H5G_info_t info;
  expect_read(H5Gget_info(group.id(), &info) >= 0, group, "its members cannot be listed");
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const auto name_at = [&](char* buffer, std::size_t size) {
      return H5Lget_name_by_idx(group.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, buffer, size, H5P_DEFAULT);
    };
    const ssize_t size = name_at(nullptr, 0);
    expect_read(size > 0, group, "its members cannot be listed");
    std::string name(static_cast<std::size_t>(size) + 1, '\0');
    expect_read(name_at(name.data(), name.size()) == size, group, "its members cannot be listed");
    name.resize(static_cast<std::size_t>(size));

    H5L_info_t link;
    const bool is_hard = H5Lget_info(group.id(), name.c_str(), &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_HARD;
    expect_read(is_hard, group, fmt::format("member '{}' is a link that leads elsewhere", name));
    const Object member = open_member(group, name);
    expect_read(H5Iget_type(member.id()) == (kind == Kind::group ? H5I_GROUP : H5I_DATASET), member,
                kind == Kind::group ? "is no group" : "is no dataset");
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace hone::h5
