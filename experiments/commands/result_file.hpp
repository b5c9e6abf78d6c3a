// The result file of a command on one checkpoint. A result of another checkpoint is never overwritten.
#pragma once

#include <filesystem>
#include <string>

#include "sim/record/run_file.hpp"

namespace hone::experiments {

/// What the results of a checkpoint are named by: the whole last name of its path, without ".bin". A path that ends in
/// "/", "." or ".." is followed to the folder it means.
std::string checkpoint_name(const std::filesystem::path& checkpoint);

/// The run file of one command on one checkpoint.
class ResultFile {
 public:
  /// `out`, or outputs/COMMAND/NAME.h5 when it is empty; the folder is made.
  /// errors  OptionError naming --out when a file is there that is no result of this command on the checkpoint with this
  ///         hash; IoError when the folder cannot be written
  ResultFile(std::string command, const std::filesystem::path& checkpoint, std::string checkpoint_sha256,
             const std::filesystem::path& out);

  const std::filesystem::path& path() const { return path_; }
  const std::string& name() const { return name_; }

  /// Titles the file and writes it.
  /// errors  those of the constructor, for a file that came since; IoError
  void write(RunFile file) const;

 private:
  void expect_own() const;

  std::string command_, name_, sha256_;
  std::filesystem::path path_;
};

}  // namespace hone::experiments
