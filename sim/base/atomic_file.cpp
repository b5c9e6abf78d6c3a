#include "sim/base/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <system_error>

#include "sim/base/error.hpp"

namespace fs = std::filesystem;

namespace hone {
namespace {

void sync_path(const fs::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags);
  const bool failed = descriptor < 0 || ::fsync(descriptor) != 0;
  const int cause = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (failed && cause != EINVAL)  // some file systems cannot sync a folder
    throw IoError(fmt::format("{}: cannot be synced to disk {}", path.string(), cause_and_fix(cause)));
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

}  // namespace

std::string cause_and_fix(int cause) {
  const char* fix = "check the disk";
  if (cause == ENOSPC || cause == EDQUOT) fix = "free some space";
  if (cause == EFBIG) fix = "raise the limit of file sizes (ulimit -f)";
  if (cause == EROFS || cause == EACCES || cause == EPERM) fix = "make it writable";
  if (cause == ENOENT || cause == ENOTDIR) fix = "make the folder";
  return fmt::format("({}); {} or choose another --out", std::strerror(cause), fix);
}

fs::path temporary_name(const fs::path& path) {
  static std::atomic<unsigned> serial{0};
  static const unsigned process = std::random_device{}();  // containers may share host name and process id
  char host[256] = "host";
  ::gethostname(host, sizeof(host) - 1);
  fs::path name = path;
  name += fmt::format(".tmp.{}.{}.{:08x}.{}", host, ::getpid(), process, serial++);
  return name;
}

void write_atomically(const fs::path& path, const std::function<void(const fs::path&)>& write) {
  const fs::path temporary = temporary_name(path);
  try {
    write(temporary);
    sync_path(temporary, O_RDONLY);
    std::error_code error;
    fs::rename(temporary, path, error);
    if (error)
      throw IoError(fmt::format("{}: cannot be renamed into place {}", path.string(), cause_and_fix(error.value())));
    sync_path(folder_of(path), O_RDONLY | O_DIRECTORY);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

void write_text_atomically(const fs::path& path, std::string_view text) {
  write_atomically(path, [&](const fs::path& temporary) {
    std::ofstream out(temporary, std::ios::binary);
    out.write(text.data(), static_cast<std::streamsize>(text.size()));
    out.close();
    if (!out) throw IoError(fmt::format("{}: cannot be written {}", path.string(), cause_and_fix(errno)));
  });
}

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in && in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
  if (!in.is_open() || fs::is_directory(path) || in.bad())
    throw IoError(fmt::format("{}: cannot be read; check the path and its permissions", path.string()));
  return text.str();
}

void ensure_writable_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error || !fs::is_directory(folder))
    throw IoError(fmt::format("{}: cannot be made a folder ({}); choose another --out", folder.string(),
                              error ? error.message() : "a file is in the way"));
  const fs::path probe = folder / "probe.tmp.hone";  // one name for all: what a killed process left goes with the next
  std::ofstream out(probe);
  out << "x";
  out.close();
  const bool written = static_cast<bool>(out);
  const int cause = errno;
  fs::remove(probe, error);
  if (!written)
    throw IoError(fmt::format("{}: files cannot be written there {}", folder.string(), cause_and_fix(cause)));
}

}  // namespace hone
