#include "experiments/instruments/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"
#include "sim/base/hash.hpp"

namespace hone::experiments {
namespace {

constexpr std::size_t hash_bytes = 64;  // hexadecimal digits

[[noreturn]] void fail(const std::filesystem::path& path, const char* what) {
  throw IoError(fmt::format("{}: cannot {} the journal of products {}", path.string(), what, cause_and_fix(errno)));
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

std::size_t bytes_of(const Vector<double>& v) { return std::size_t(v.size()) * sizeof(double); }

std::string hash_of(const Vector<double>& v) { return sha256(v.data(), bytes_of(v)); }

}  // namespace

ProductJournal::ProductJournal(std::filesystem::path path, const std::string& identity, Index size)
    : path_(std::move(path)), identity_(sha256(identity)), size_(size) {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) fail(path_, "open");
}

ProductJournal::~ProductJournal() {
  if (file_ >= 0) ::close(file_);
}

LinearOperator ProductJournal::keep(LinearOperator op, std::function<void()> on_replay) {
  EXPECTS(op.size == size_, "journal of products: operator of {}, expected {}", op.size, size_);
  return {op.size, [this, inner = std::move(op.apply), on_replay = std::move(on_replay)](const Vector<double>& v,
                                                                                         Vector<double>& result) {
            if (replaying_ && replay(v, result)) return on_replay();
            inner(v, result);
            append(v, result);
          }};
}

std::string ProductJournal::hash_of_input(const Vector<double>& v) const {
  Sha256 hash;
  hash.update(identity_.data(), identity_.size());
  hash.update(v.data(), bytes_of(v));
  return hash.finish();
}

bool ProductJournal::replay(const Vector<double>& v, Vector<double>& result) {
  std::string input(hash_bytes, '\0'), output(hash_bytes, '\0');
  result.resize(size_);
  const std::int64_t at_output = position_ + std::int64_t(hash_bytes), at_result = at_output + std::int64_t(hash_bytes);
  const bool is_there = read_at(file_, input.data(), hash_bytes, position_) &&
                        read_at(file_, output.data(), hash_bytes, at_output) &&
                        read_at(file_, result.data(), bytes_of(result), at_result);
  replaying_ = is_there && input == hash_of_input(v) && output == hash_of(result);
  if (!replaying_) return false;
  position_ = at_result + std::int64_t(bytes_of(result));
  ++replayed_;
  return true;
}

void ProductJournal::append(const Vector<double>& v, const Vector<double>& result) {
  const std::string hashes = hash_of_input(v) + hash_of(result);
  const std::int64_t at_result = position_ + std::int64_t(hashes.size());
  if (!write_at(file_, hashes.data(), hashes.size(), position_) ||
      !write_at(file_, result.data(), bytes_of(result), at_result))
    fail(path_, "append to");
  position_ = at_result + std::int64_t(bytes_of(result));
}

}  // namespace hone::experiments
