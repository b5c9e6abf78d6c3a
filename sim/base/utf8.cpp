#include "sim/base/utf8.hpp"

#include <array>
#include <fstream>

#include "sim/base/error.hpp"

namespace hone {
namespace {

struct Mark {
  std::string_view bytes, encoding;
};
/// UTF-32 first: its mark begins with that of UTF-16.
constexpr std::array byte_order_marks = {Mark{std::string_view("\xff\xfe\0\0", 4), "UTF-32LE"},
                                         Mark{std::string_view("\0\0\xfe\xff", 4), "UTF-32BE"},
                                         Mark{"\xff\xfe", "UTF-16LE"}, Mark{"\xfe\xff", "UTF-16BE"}};

/// The encoding whose places hold zero bytes as Latin text in it does; "" for none. The zero bytes are valid UTF-8, and
/// no text holds them.
std::string_view encoding_by_zeros(std::string_view text) {
  std::array<size_t, 4> zeros{};
  const std::string_view start = text.substr(0, 4096 & ~size_t(3));
  for (size_t i = 0; i < start.size(); ++i) zeros[i % 4] += start[i] == '\0';
  const size_t most = start.size() / 4;
  const auto full = [&](size_t place) { return most > 0 && 2 * zeros[place] > most; };
  if (full(1) && full(2) && full(3) && !full(0)) return "UTF-32LE";
  if (full(0) && full(1) && full(2) && !full(3)) return "UTF-32BE";
  if (full(1) && full(3) && !full(0) && !full(2)) return "UTF-16LE";
  if (full(0) && full(2) && !full(1) && !full(3)) return "UTF-16BE";
  return "";
}

constexpr std::string_view lfs_version = "version https://git-lfs.github.com/spec/";

}  // namespace

std::size_t first_invalid_utf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  for (size_t i = 0; i < text.size();) {
    const unsigned char lead = byte(i);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || i + length > text.size()) return i;
    // The second byte excludes overlong forms, surrogates and codes above U+10FFFF.
    const unsigned char least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (byte(i + 1) < least || byte(i + 1) > most) return i;
    for (size_t k = 2; k < length; ++k)
      if ((byte(i + k) & 0xc0) != 0x80) return i;
    i += length;
  }
  return text.npos;
}

void require_utf8(std::string_view text, const std::string& origin, std::string_view otherwise) {
  const auto refuse = [&](std::string_view what, std::string_view encoding) {
    throw FormatError(fmt::format("{}: {}; convert it with iconv -f {} -t UTF-8{}", origin, what, encoding, otherwise));
  };
  for (const Mark& mark : byte_order_marks)
    if (text.starts_with(mark.bytes))
      refuse(fmt::format("not UTF-8 at byte 0: the byte order mark of {}", mark.encoding), mark.encoding);
  const size_t at = first_invalid_utf8(text);
  const std::string_view encoding = encoding_by_zeros(text);
  if (!encoding.empty())
    refuse(fmt::format("zero byte at byte {}: {} without a byte order mark", text.find('\0'), encoding), encoding);
  if (at != text.npos)
    refuse(fmt::format("not UTF-8 at byte {} (value 0x{:02x})", at, static_cast<unsigned char>(text[at])),
           "ENCODING (that of the file, such as LATIN1)");
}

void refuse_lfs_pointer(std::string_view bytes, const std::filesystem::path& file) {
  if (!bytes.starts_with(lfs_version)) return;
  const size_t at = bytes.find("\nsize ");
  const std::string_view rest = at == bytes.npos ? "" : bytes.substr(at + 6);
  const std::string size(rest.substr(0, rest.find_first_not_of("0123456789")));
  throw FormatError(
      fmt::format("{}: a Git LFS pointer in place of the file of {} bytes; fetch it with git lfs pull in that folder",
                  file.string(), size.empty() ? "unknown" : size));
}

void refuse_lfs_pointer(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string start(256, '\0');
  in.read(start.data(), std::streamsize(start.size()));
  start.resize(size_t(in.gcount()));
  refuse_lfs_pointer(start, file);
}

}  // namespace hone
