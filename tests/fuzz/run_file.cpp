// A run file. The first byte says what the others are: 0 a whole file, otherwise steps that build a file of HDF5 with a
// seal that holds, within the schema and beyond it. What is read is written and read again. Bytes of HDF5's own structures
// are not changed behind the seal: HDF5 1.10 then reads beyond its heaps (H5HG_read), and no check of ours can know.
#include <hdf5.h>

#include <filesystem>

#include "sim/base/hash.hpp"
#include "sim/record/h5.hpp"
#include "sim/record/run_file.hpp"
#include "tests/fuzz/built_file.hpp"
#include "tests/fuzz/target.hpp"

namespace {

using namespace hone;

std::string sealed(const std::string& content) { return content + "\nhone.sha256=" + sha256(content); }

std::string file_of(std::string_view input) {
  const std::string rest(input.substr(1));
  return input[0] == 0 ? rest : sealed(fuzz::built_file(rest));
}

/// A run keeps every bit through a file. `origin` is no content.
void expect_kept(const RunFile& run) {
  static const std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("hone-fuzz-{}.h5", ::getpid());
  write_run_file(path, run);
  const RunFile again = read_run_file(path);
  std::filesystem::remove(path);
  if (!same_bits(run.attributes, again.attributes) || run.groups != again.groups)
    fuzz::fail("a run changed in its file");
}

}  // namespace

// HDF5 gives its cache of 600 KiB back to the system with each closed file, and the system clears it for the next one.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  constexpr int limit = 16 << 20;
  return H5set_free_list_limits(limit, limit, limit, limit, limit, limit) < 0;
}

// HDF5 1.10 loses memory of its own on some damaged files. Handles that hone forgets are counted for each input.
// NOLINTNEXTLINE(bugprone-reserved-identifier): the name is the sanitizer's.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5\n"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  fuzz::limit_time();
  static fuzz::InputFile input;
  const std::filesystem::path& file = input.holding(file_of(fuzz::text_of(data, size)));
  // HDF5's own dimension scales leave handles open where a step of the builder fails.
  const ssize_t left_by_builder = H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL);
  RunFile run;
  if (fuzz::is_read(file.string(), [&] { run = read_run_file(file); })) expect_kept(run);
  if (H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL) != left_by_builder) fuzz::fail("handles of HDF5 are left open");
  return 0;
}
