// Raw files of a corpus -> UTF-8 text: SWORD modules, HTML pages, plain text, each also gzipped.
// Files are untrusted input: every length and offset in them is checked before use.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace hone {

/// The format of the text made here; it changes whenever the same raw file would give other text.
inline constexpr int extractor_version = 1;

/// Content of a gzip file (all members).
/// errors   IoError when it cannot be read; FormatError when damaged, truncated or above 2 GiB
///          unpacked
std::string read_gzip(const std::filesystem::path& file);

/// Documents of one file, by its extension: .?zs = SWORD index (its data is the .?zz file beside
/// it, one document per block; an empty index is an empty testament and gives none), .html/.htm,
/// otherwise plain text without its byte order mark and with LF line ends; .gz is unpacked first.
/// Empty documents are left out.
/// errors   IoError when missing; FormatError when empty, damaged, a Git LFS pointer, or not UTF-8
///          (with the byte offset)
std::vector<std::string> extract_documents(const std::filesystem::path& file);

/// All bytes of one file as they are, of any encoding or none: byte order marks, CR and markup stay. .gz
/// is unpacked first.
/// errors   IoError when missing; FormatError when empty, damaged or a Git LFS pointer
std::string extract_bytes(const std::filesystem::path& file);

/// Files whose bytes extract_documents(file) reads: the file, and the data of a SWORD index.
std::vector<std::filesystem::path> files_read_for(const std::filesystem::path& file);

/// True for a name that a folder given as a corpus contributes: .?zs, .html, .htm, .txt, or the
/// last three with .gz.
bool is_corpus_file(const std::filesystem::path& file);

}  // namespace hone
