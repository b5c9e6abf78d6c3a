#include "experiments/commands/result_file.hpp"

#include <fmt/format.h>

#include "sim/base/atomic_file.hpp"
#include "sim/base/error.hpp"

namespace fs = std::filesystem;

namespace hone::experiments {
namespace {

/// A text attribute; "" where there is none.
std::string text_of(const std::map<std::string, Attribute>& attributes, const std::string& name) {
  const auto found = attributes.find(name);
  const auto* text = found == attributes.end() ? nullptr : std::get_if<std::string>(&found->second);
  return text ? *text : "";
}

}  // namespace

std::string checkpoint_name(const fs::path& checkpoint) {
  fs::path path = checkpoint;
  if (!path.has_filename()) path = path.parent_path();  // "folder/"
  if (path.filename() == "." || path.filename() == "..") path = fs::canonical(path);
  const std::string name = path.filename().string();
  if (name.empty()) return "checkpoint";  // the root of the file system
  return name.size() > 4 && name.ends_with(".bin") ? name.substr(0, name.size() - 4) : name;
}

ResultFile::ResultFile(std::string command, const fs::path& checkpoint, std::string checkpoint_sha256,
                       const fs::path& out)
    : command_(std::move(command)),
      name_(checkpoint_name(checkpoint)),
      sha256_(std::move(checkpoint_sha256)),
      path_(out.empty() ? fs::path("outputs") / command_ / (name_ + ".h5") : out) {
  expect_own();
  ensure_writable_folder(path_.has_parent_path() ? path_.parent_path() : fs::path("."));
}

void ResultFile::expect_own() const {
  if (!fs::exists(path_)) return;
  const auto refuse = [&](const std::string& what) {
    throw OptionError(fmt::format("{}: {}; name another file with --out, or move this one away", path_.string(), what));
  };
  RunFile there;
  try {
    there = read_run_file(path_);
  } catch (const FormatError&) {
    refuse("is there and is no whole run file of hone");
  }
  const std::string title = text_of(there.attributes, "title"), start = "hone " + command_ + " ";
  if (!title.starts_with(start)) refuse(fmt::format("holds \"{}\", not a result of hone {}", title, command_));
  const auto& manifest = there.group("manifest").attributes();
  if (text_of(manifest, "input_sha256.checkpoint") != sha256_)
    refuse(fmt::format("holds the result of another checkpoint, {}", text_of(manifest, "checkpoint")));
}

void ResultFile::write(RunFile file) const {
  expect_own();
  file.attributes["title"] = "hone " + command_ + " " + name_;
  write_run_file(path_, file);
}

}  // namespace hone::experiments
