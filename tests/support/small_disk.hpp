// A file system of a few KiB to fill up, to grow and to make read-only. It needs root; elsewhere the test says that it
// is skipped.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>

namespace hone::test {

/// A tmpfs over `folder`, unmounted at the end of the test.
class SmallDisk {
 public:
  SmallDisk(const std::filesystem::path& folder, int kib) : folder_(folder) {
    std::filesystem::create_directories(folder);
    is_mounted_ = mount(0, kib);
    if (!is_mounted_) MESSAGE("SKIPPED: mounting a small file system needs root");
  }
  ~SmallDisk() {
    if (is_mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool is_mounted() const { return is_mounted_; }
  void resize(int kib) { REQUIRE(mount(MS_REMOUNT, kib)); }
  void set_read_only(bool read_only) { REQUIRE(mount(MS_REMOUNT | (read_only ? MS_RDONLY : 0), kib_)); }

 private:
  bool mount(unsigned long flags, int kib) {
    kib_ = kib;
    return ::mount("tmpfs", folder_.c_str(), "tmpfs", flags, fmt::format("size={}k", kib).c_str()) == 0;
  }

  std::filesystem::path folder_;
  int kib_ = 0;
  bool is_mounted_ = false;
};

}  // namespace hone::test
