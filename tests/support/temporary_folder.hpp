// A folder of the test's own that goes away with it, and the message of an expected error.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "sim/base/atomic_file.hpp"
#include "tests/support/messages.hpp"

namespace hone::test {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_(temporary_name(std::filesystem::temp_directory_path() / "hone_test_data")) {
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path write(std::string_view name, std::string_view content) const {
    const std::filesystem::path file = path_ / name;
    std::ofstream(file, std::ios::binary) << content;
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace hone::test
