// Runs the program `hone` as a user does, kills it as a machine does, and compares what two calls
// left on disk. Every study here starts from experiments/studies/quick.toml.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/study/study.hpp"
#include "sim/record/run_file.hpp"
#include "tests/support/temporary_folder.hpp"

namespace hone::test {

/// What a call of the program came to.
struct Said {
  int code = 0;  ///< exit code; -N when signal N ended it
  std::string out, err;
};

/// The program under way, started by the words `before` where there are any (such as prlimit with its options). Its
/// corpora lie in a cache of the test's own.
class Process {
 public:
  explicit Process(const std::vector<std::string>& arguments, const std::vector<std::string>& before = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const;
  bool is_running();
  Said wait();

 private:
  void reap(int options);

  TemporaryFolder said_;
  pid_t id_ = 0;
  int status_ = 0;
  bool is_running_ = true;
};

/// Runs the program to its end.
Said hone_says(const std::vector<std::string>& arguments, const std::vector<std::string>& before = {});

/// Number of lines; the last one counts with or without its line feed.
int count_lines(const std::string& text);

/// 1 + line feeds before the only place where `part` stands.
int line_of(const std::string& text, const std::string& part);

/// `text` with the only place where `from` stands replaced.
std::string replaced(const std::string& text, const std::string& from, const std::string& to);

/// The text of experiments/studies/quick.toml, and a variant with one short model and few
/// instruments, which runs in about 0.1 s.
std::string quick_text();
std::string tiny_text();

/// A study file in a folder of its own, and the folder where its runs go.
class Workplace {
 public:
  explicit Workplace(const std::string& text) : file_(folder_.write("study.toml", text)) {}
  std::string file() const { return file_.string(); }
  std::filesystem::path out() const { return folder_.path() / "out"; }
  std::filesystem::path path(const std::string& name) const { return folder_.path() / name; }
  std::filesystem::path write(const std::string& name, const std::string& content) const {
    return folder_.write(name, content);
  }
  /// hone COMMAND STUDY --out OUT MORE…
  std::vector<std::string> arguments(const std::string& command, const std::vector<std::string>& more = {}) const;
  Said says(const std::string& command, const std::vector<std::string>& more = {}) const;
  std::vector<experiments::RunSpec> runs() const;
  /// Finished file of the run number `i`.
  std::filesystem::path finished(size_t i) const;
  /// The furthest state that the run number `i` saved; where one of no progress would lie when there is none.
  std::filesystem::path partial(size_t i) const;
  RunFile read(size_t i) const { return read_run_file(finished(i)); }

 private:
  TemporaryFolder folder_;
  std::filesystem::path file_;
};

/// One job, one thread.
inline const std::vector<std::string> alone = {"--jobs", "1", "--threads", "1"};

/// The quick study, run once for all tests that only look at it.
const Workplace& quick();

/// The first thing in which the finished runs of two workplaces of one study differ, "" when every
/// bit is equal. Of /manifest, the number of threads and the command may differ.
std::string difference(const Workplace& a, const Workplace& b);

}  // namespace hone::test
