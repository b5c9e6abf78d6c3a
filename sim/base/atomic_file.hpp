// Whole files or none: write under a temporary name, sync, rename, sync the folder.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace hone {

/// "(CAUSE); FIX or choose another --out" for a file that could not be written; `cause` is an errno.
std::string cause_and_fix(int cause);

/// A name beside `path` that no other process or thread uses: NAME.tmp.HOST.PID.N
std::filesystem::path temporary_name(const std::filesystem::path& path);

/// Calls write(temporary), syncs the temporary file, renames it to `path` and syncs the folder. A reader sees
/// the old file or the new one, whole. On any exception the temporary file is removed and `path` is untouched.
/// errors  IoError naming the path, the cause (full disk, permissions) and the fix; whatever `write` throws
void write_atomically(const std::filesystem::path& path,
                      const std::function<void(const std::filesystem::path& temporary)>& write);

/// write_atomically for a text that is already in memory.
/// errors  IoError as write_atomically
void write_text_atomically(const std::filesystem::path& path, std::string_view text);

/// The content of a file.
/// errors  IoError when missing or unreadable
std::string read_text(const std::filesystem::path& path);

/// Creates `folder` and checks that files can be written in it.
/// errors  IoError with the fix
void ensure_writable_folder(const std::filesystem::path& folder);

}  // namespace hone
