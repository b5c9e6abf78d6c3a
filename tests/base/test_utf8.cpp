// UTF-8, what is not, and pointers of Git LFS.
#include "sim/base/utf8.hpp"

#include <doctest/doctest.h>

#include "sim/base/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace hone::test {
namespace {

std::string answer_to(std::string_view text) {
  return message_of<FormatError>([&] { require_utf8(text, "book.txt", ", or say --keep-bytes"); });
}

/// ASCII in units of `width` bytes.
std::string widened(std::string_view text, size_t width, bool is_little) {
  std::string out;
  for (const char c : text) {
    const std::string zeros(width - 1, '\0');
    out += is_little ? c + zeros : zeros + c;
  }
  return out;
}

TEST_SUITE_BEGIN("base");

TEST_CASE("utf8: the first wrong byte is found [cut off, overlong, surrogate, above U+10FFFF, single bytes]") {
  CHECK(first_invalid_utf8("plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") == std::string::npos);
  CHECK(first_invalid_utf8("ab\xff") == 2);
  CHECK(first_invalid_utf8("ab\xc3") == 2);             // cut off
  CHECK(first_invalid_utf8("a\xc0\xaf") == 1);          // overlong
  CHECK(first_invalid_utf8("a\xe0\x80\xaf") == 1);      // overlong
  CHECK(first_invalid_utf8("a\xed\xa0\x80") == 1);      // surrogate
  CHECK(first_invalid_utf8("a\xf4\x90\x80\x80") == 1);  // above U+10FFFF
  CHECK(first_invalid_utf8("a\xe2\x82x") == 1);
}

TEST_CASE("utf8: Latin-1 is refused with file, offset, byte and what to do; valid text is not, nor a zero byte in it") {
  CHECK(answer_to("caf\xe9 au lait") ==
        "book.txt: not UTF-8 at byte 3 (value 0xe9); convert it with iconv -f ENCODING (that of the file, such as "
        "LATIN1) -t UTF-8, or say --keep-bytes");
  CHECK(answer_to("").empty());
  CHECK(answer_to("\xef\xbb\xbf"
                  "caf\xc3\xa9")
            .empty());
  CHECK(answer_to(std::string_view("a\0b plain text, one zero byte", 30)).empty());
}

TEST_CASE("utf8: UTF-16 and UTF-32 are named, with a byte order mark and without one") {
  const std::string_view text = "A short text.";
  CHECK(mentions(answer_to("\xff\xfe" + widened(text, 2, true)),
                 "at byte 0: the byte order mark of UTF-16LE; convert it with iconv -f UTF-16LE -t UTF-8"));
  CHECK(mentions(answer_to("\xfe\xff" + widened(text, 2, false)), "byte order mark of UTF-16BE"));
  CHECK(mentions(answer_to(std::string("\xff\xfe\0\0", 4) + widened(text, 4, true)), "byte order mark of UTF-32LE"));
  CHECK(mentions(answer_to(std::string("\0\0\xfe\xff", 4) + widened(text, 4, false)), "byte order mark of UTF-32BE"));
  CHECK(mentions(answer_to(widened(text, 2, true)), "zero byte at byte 1: UTF-16LE without a byte order mark"));
  CHECK(mentions(answer_to(widened(text, 2, false)), "zero byte at byte 0: UTF-16BE without"));
  CHECK(mentions(answer_to(widened(text, 4, true)), "UTF-32LE without"));
  CHECK(mentions(answer_to(widened(text, 4, false)), "UTF-32BE without"));
}

TEST_CASE("Git LFS: a pointer is named with the size of its file, from bytes and from a file; other files pass") {
  const TemporaryFolder folder;
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 548105171\n";
  const auto file = folder.write("model.safetensors", pointer);
  const std::string message = message_of<FormatError>([&] { refuse_lfs_pointer(file); });
  CHECK(mentions(message, "model.safetensors: a Git LFS pointer in place of the file of 548105171 bytes"));
  CHECK(mentions(message, "git lfs pull"));
  CHECK(mentions(message_of<FormatError>([&] { refuse_lfs_pointer(pointer.substr(0, 50), file); }), "unknown bytes"));
  CHECK_NOTHROW(refuse_lfs_pointer(folder.write("text.txt", "version 2 of the text")));
  CHECK_NOTHROW(refuse_lfs_pointer(folder.path() / "none"));
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
