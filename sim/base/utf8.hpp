// Validation of UTF-8, and a description of bytes that are not UTF-8.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace hone {

/// Offset of the first byte that is not UTF-8 (RFC 3629: no overlong forms, no surrogates), or npos.
std::size_t first_invalid_utf8(std::string_view text);

/// Accepts a text that is UTF-8; `origin` names it in messages, `otherwise` is what else can be done than converting.
/// errors  FormatError naming the offset and value of the first wrong byte and the command that converts; UTF-16 and
///         UTF-32 are named as such, with a byte order mark or by the zero bytes of every second or fourth place
void require_utf8(std::string_view text, const std::string& origin, std::string_view otherwise = "");

/// Accepts all but the small text file that Git LFS leaves in place of a file that was not fetched.
/// errors  FormatError naming the size of the real file and the command that fetches it
void refuse_lfs_pointer(std::string_view bytes, const std::filesystem::path& file);

/// refuse_lfs_pointer of the beginning of a file; a file that cannot be read is accepted, its reader complains.
void refuse_lfs_pointer(const std::filesystem::path& file);

}  // namespace hone
