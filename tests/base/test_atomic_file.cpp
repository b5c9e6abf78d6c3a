#include "sim/base/atomic_file.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "tests/support/messages.hpp"
#include "tests/support/small_disk.hpp"

namespace fs = std::filesystem;

namespace hone::test {
namespace {

/// A fresh folder that is removed at the end of the test.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "hone_test_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const fs::path& path() const { return path_; }
  /// Names of what the folder holds.
  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(path_)) names.insert(entry.path().filename().string());
    return names;
  }

 private:
  fs::path path_;
};

TEST_CASE("atomic_file: text comes back byte for byte and replaces what was there") {
  const ScratchFolder folder;
  const fs::path file = folder.path() / "a.txt";
  for (const std::string& text : {std::string("first\n\0\r\n", 9), std::string(), std::string(100000, 'x')}) {
    write_text_atomically(file, text);
    CHECK(read_text(file) == text);
  }
  CHECK(folder.names() == std::set<std::string>{"a.txt"});
}

TEST_CASE("atomic_file: a writer that throws leaves the old content and no temporary file") {
  const ScratchFolder folder;
  const fs::path file = folder.path() / "a.txt";
  write_text_atomically(file, "old");
  const auto fail = [](const fs::path& temporary) {
    std::ofstream(temporary) << "half of the new con";
    throw std::runtime_error("the writer's own error");
  };
  CHECK_THROWS_WITH_AS(write_atomically(file, fail), "the writer's own error", std::runtime_error);
  CHECK(read_text(file) == "old");
  CHECK(folder.names() == std::set<std::string>{"a.txt"});
}

TEST_CASE("atomic_file: the old content is visible until the writer returns") {
  const ScratchFolder folder;
  const fs::path file = folder.path() / "a.txt";
  write_text_atomically(file, "old");
  write_atomically(file, [&](const fs::path& temporary) {
    std::ofstream(temporary) << "new";
    CHECK(temporary.parent_path() == folder.path());
    CHECK(read_text(file) == "old");
  });
  CHECK(read_text(file) == "new");
}

TEST_CASE("atomic_file: a writer that writes nothing is an IoError") {
  const ScratchFolder folder;
  const auto message = message_of<IoError>([&] { write_atomically(folder.path() / "a.txt", [](const fs::path&) {}); });
  CHECK(mentions(message, "a.txt"));
  CHECK(folder.names().empty());
}

TEST_CASE("atomic_file: a missing folder is an IoError that names the path, the cause and the fix") {
  const ScratchFolder folder;
  const fs::path file = folder.path() / "missing" / "a.txt";
  const auto message = message_of<IoError>([&] { write_text_atomically(file, "text"); });
  CHECK(mentions(message, file.string()));
  CHECK(mentions(message, "No such file or directory"));
  CHECK(mentions(message, "--out"));
}

TEST_CASE("atomic_file: a folder in place of the file is an IoError and leaves no temporary file") {
  const ScratchFolder folder;
  fs::create_directories(folder.path() / "a.txt" / "inside");
  const auto message = message_of<IoError>([&] { write_text_atomically(folder.path() / "a.txt", "text"); });
  CHECK(mentions(message, (folder.path() / "a.txt").string()));
  CHECK(folder.names() == std::set<std::string>{"a.txt"});
}

TEST_CASE("atomic_file: reading a missing file or a folder is an IoError that names it") {
  const ScratchFolder folder;
  CHECK(mentions(message_of<IoError>([&] { read_text(folder.path() / "none"); }), "none: cannot be read"));
  CHECK(mentions(message_of<IoError>([&] { read_text(folder.path()); }), folder.path().string()));
}

TEST_CASE("atomic_file: a writable folder is made with its parents and left empty") {
  const ScratchFolder folder;
  ensure_writable_folder(folder.path() / "a" / "b");
  CHECK(fs::is_directory(folder.path() / "a" / "b"));
  CHECK(fs::is_empty(folder.path() / "a" / "b"));
  CHECK_NOTHROW(ensure_writable_folder(folder.path() / "a" / "b"));
}

TEST_CASE("atomic_file: a folder that cannot be made or written is an IoError with cause and fix") {
  const ScratchFolder folder;
  write_text_atomically(folder.path() / "file", "text");
  const std::pair<fs::path, std::string> cases[] = {{folder.path() / "file", "cannot be made a folder"},
                                                    {folder.path() / "file" / "below", "cannot be made a folder"},
                                                    {"/proc", "files cannot be written there"}};
  for (const auto& [bad, cause] : cases) {
    CAPTURE(bad.string());
    const auto message = message_of<IoError>([&] { ensure_writable_folder(bad); });
    CHECK(mentions(message, bad.string() + ": " + cause));
    CHECK(mentions(message, "choose another --out"));
  }
}

TEST_CASE("atomic_file: temporary names never repeat, across threads as well, and lie beside the file") {
  std::vector<std::vector<std::string>> made(3);
  std::vector<std::thread> threads;
  for (auto& names : made)
    threads.emplace_back([&names] {
      for (int i = 0; i < 200; ++i) names.push_back(temporary_name("folder/file").string());
    });
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> distinct;
  for (const auto& names : made) distinct.insert(names.begin(), names.end());
  CHECK(distinct.size() == 600);
  for (const std::string& name : distinct) CHECK(name.rfind("folder/file.tmp.", 0) == 0);
}

TEST_CASE("atomic_file: a full disk is an IoError with the cause, and the old content survives") {
  const ScratchFolder folder;
  const fs::path disk = folder.path() / "disk";
  SmallDisk small_disk(disk, 64);
  if (!small_disk.is_mounted()) return;
  const fs::path file = disk / "a.txt";
  write_text_atomically(file, "old");
  const auto message = message_of<IoError>([&] { write_text_atomically(file, std::string(1 << 20, 'x')); });
  CHECK(mentions(message, "No space left on device"));
  CHECK(mentions(message, "free some space"));
  CHECK(read_text(file) == "old");
  CHECK(std::distance(fs::directory_iterator(disk), fs::directory_iterator()) == 1);
  small_disk.set_read_only(true);
  for (const auto& read_only : {message_of<IoError>([&] { write_text_atomically(file, "new"); }),
                                message_of<IoError>([&] { ensure_writable_folder(disk); })}) {
    CHECK(mentions(read_only, disk.string()));
    CHECK(mentions(read_only, "Read-only file system"));
    CHECK(mentions(read_only, "make it writable"));
  }
  CHECK(read_text(file) == "old");
}

}  // namespace
}  // namespace hone::test
