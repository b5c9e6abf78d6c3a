// What the fuzz targets share: an input as a file, and what a reader may do with it. A reader may accept the input or
// throw an error for the user that names the file. Anything else is a finding: another exception, a broken precondition,
// a sanitizer's report, a time or memory limit.
#pragma once

#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "sim/base/error.hpp"

namespace hone::fuzz {

/// Ends the program with a message, which libFuzzer counts as a finding.
[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "finding: %s\n", what.c_str());
  std::abort();
}

/// Gives an input 5 s of processor time from here on. libFuzzer's own limit is of the clock on the wall, which a busy
/// machine passes without any fault.
inline void limit_time() {
  static const auto once = std::signal(SIGPROF, [](int) { std::abort(); });
  (void)once;
  const itimerval limit = {{0, 0}, {5, 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// A file in memory, written anew for each input.
class InputFile {
 public:
  InputFile() : descriptor_(::memfd_create("input", 0)), path_("/proc/self/fd/" + std::to_string(descriptor_)) {
    if (descriptor_ < 0) fail("no file in memory can be made");
  }
  ~InputFile() { ::close(descriptor_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// The file's path, after its content became `bytes`.
  const std::filesystem::path& holding(std::string_view bytes) {
    if (::ftruncate(descriptor_, off_t(bytes.size())) != 0 ||
        ::pwrite(descriptor_, bytes.data(), bytes.size(), 0) != ssize_t(bytes.size()))
      fail("the file in memory cannot be written");
    return path_;
  }

 private:
  int descriptor_;
  std::filesystem::path path_;
};

/// Whether read() accepts the input; false when it throws an error whose message holds `name`.
template <class Read>
bool is_read(const std::string& name, Read&& read) {
  try {
    read();
    return true;
  } catch (const ContractError& error) {
    fail(fmt::format("a precondition does not hold: {}", error.what()));
  } catch (const Error& error) {
    if (std::string_view(error.what()).find(name) == std::string_view::npos)
      fail(fmt::format("the message does not name {}: {}", name, error.what()));
    return false;
  }
}

}  // namespace hone::fuzz
