// gzip in memory.
#pragma once

#include <string>
#include <string_view>

namespace hone {

/// The unpacked content of a gzip file, all members one after the other.
/// errors  FormatError naming the source when it is damaged, ends early, or unpacks to more than 2 GiB
std::string gunzip(std::string_view packed, const std::string& source);

/// The text as a gzip file of one member, without name and time: equal texts give equal bytes with the same zlib.
std::string gzip(std::string_view text);

}  // namespace hone
