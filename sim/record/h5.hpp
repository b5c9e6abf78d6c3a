// HDF5 as far as run files need it: objects that close themselves, scalar attributes and whole
// arrays. Files live in memory only (the core driver, nothing behind it), because HDF5 recovers
// poorly from failed writes on a full disk or a locked network folder. This header includes no HDF5 header.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/record/dataset.hpp"

namespace hone::h5 {

using Id = std::int64_t;  ///< HDF5's hid_t

/// An open HDF5 thing and the words that name it in messages; closed by the function of its kind.
class Object {
 public:
  Object(Id id, int (*close)(Id), std::string name);
  Object(Object&& other) noexcept;
  Object& operator=(Object&&) = delete;
  ~Object();
  Id id() const { return id_; }
  const std::string& name() const { return name_; }

 private:
  Id id_;
  int (*close_)(Id);
  std::string name_;
};

/// What a group holds.
enum class Kind { group, dataset };

/// Throws when an HDF5 call on `object` failed while it was read or written.
/// errors  FormatError (read), IoError (write), naming the object and what was tried
void expect_read(bool succeeded, const Object& object, const std::string& what);
void expect_written(bool succeeded, const Object& object, const std::string& what);

/// Takes over a handle that belongs to `of` and bears its name.
/// errors  as expect_read and expect_written when the handle is negative
Object read_handle(Id id, int (*close)(Id), const Object& of, const std::string& what);
Object write_handle(Id id, int (*close)(Id), const Object& of, const std::string& what);

/// A new empty file in memory.
/// ensures  HDF5 prints nothing in this thread from now on
Object create_image(const std::string& name);

/// The bytes that the file would have on disk.
/// ensures  equal content written in equal order gives equal bytes
std::string bytes_of(const Object& file);

/// Opens bytes of a file, read-only and without a copy.
/// expects  `bytes` stays alive, in place and unchanged while the result lives
/// errors   FormatError when they are no HDF5 file
Object open_image(std::string& bytes, const std::string& name);

/// A new group or an existing member of a group.
/// errors  IoError or FormatError naming both
Object create_group(const Object& parent, const std::string& name);
Object open_member(const Object& parent, const std::string& name);

/// Names of the members of a group in alphabetical order.
/// errors  FormatError when a member is of another kind, or is a link that leads elsewhere
std::vector<std::string> members(const Object& group, Kind kind);

}  // namespace hone::h5
