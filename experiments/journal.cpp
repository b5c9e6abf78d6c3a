#include "experiments/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"

namespace hone::experiments {
namespace {

constexpr std::size_t hash_bytes = 64;  // hexadecimal digits

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw IoError(fmt::format("{}: cannot {} the journal of products: {}; free space or choose another folder",
                            path.string(), what, std::strerror(errno)));
}

/// Reads `bytes` at `position`; false when the file ends before.
bool read_at(int file, void* data, std::size_t bytes, std::int64_t position) {
  char* out = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = ::pread(file, out, bytes, position);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    out += got, bytes -= std::size_t(got), position += got;
  }
  return true;
}

bool write_at(int file, const void* data, std::size_t bytes, std::int64_t position) {
  const char* in = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t put = ::pwrite(file, in, bytes, position);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    in += put, bytes -= std::size_t(put), position += put;
  }
  return true;
}

std::string hash_of(const Vector<double>& v) { return sha256(v.data(), std::size_t(v.size()) * sizeof(double)); }

}  // namespace

ProductJournal::ProductJournal(std::filesystem::path path, const std::string& identity, Index size)
    : path_(std::move(path)), size_(size) {
  const std::string header = fmt::format("hone.products 1 {} {}\n", sha256(identity), size);
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) fail(path_, "open");
  std::string found(header.size(), '\0');
  if (!read_at(file_, found.data(), found.size(), 0) || found != header) begin_anew(header);
  position_ = std::int64_t(header.size());
}

ProductJournal::~ProductJournal() {
  if (file_ >= 0) ::close(file_);
}

void ProductJournal::begin_anew(const std::string& header) {
  if (::ftruncate(file_, 0) != 0 || !write_at(file_, header.data(), header.size(), 0)) fail(path_, "begin");
}

LinearOperator ProductJournal::keep(LinearOperator op) {
  EXPECTS(op.size == size_, "journal of products: operator of {}, expected {}", op.size, size_);
  return {op.size, [this, inner = std::move(op.apply)](const Vector<double>& v, Vector<double>& result) {
            if (replaying_ && replay(v, result)) return;
            inner(v, result);
            append(v, result);
          }};
}

bool ProductJournal::replay(const Vector<double>& v, Vector<double>& result) {
  std::vector<char> hashes(2 * hash_bytes);
  result.resize(size_);
  const std::size_t bytes = std::size_t(size_) * sizeof(double);
  const bool is_there = read_at(file_, hashes.data(), hashes.size(), position_) &&
                        read_at(file_, result.data(), bytes, position_ + std::int64_t(hashes.size()));
  const std::string input(hashes.data(), hash_bytes), output(hashes.data() + hash_bytes, hash_bytes);
  if (is_there && input == hash_of(v) && output == hash_of(result)) {
    position_ += std::int64_t(hashes.size() + bytes);
    ++replayed_;
    return true;
  }
  replaying_ = false;
  if (::ftruncate(file_, position_) != 0) fail(path_, "truncate");
  return false;
}

void ProductJournal::append(const Vector<double>& v, const Vector<double>& result) {
  const std::string hashes = hash_of(v) + hash_of(result);
  const std::size_t bytes = std::size_t(size_) * sizeof(double);
  if (!write_at(file_, hashes.data(), hashes.size(), position_) ||
      !write_at(file_, result.data(), bytes, position_ + std::int64_t(hashes.size())))
    fail(path_, "append to");
  position_ += std::int64_t(hashes.size() + bytes);
}

}  // namespace hone::experiments
