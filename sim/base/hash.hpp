// SHA-256 of text and arrays: every recorded number names the bytes it came from.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace hone {

/// Incremental SHA-256 (FIPS 180-4, OpenSSL).
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(const void* data, std::size_t bytes);
  /// 64 hexadecimal digits; the object is spent afterwards.
  std::string finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

/// SHA-256 of a text or of bytes, as 64 hexadecimal digits.
std::string sha256(std::string_view text);
std::string sha256(const void* data, std::size_t bytes);
/// SHA-256 of a file.
/// errors  IoError when the file cannot be read
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace hone
