// Code points as bytes, for tests that go through all of them.
#pragma once

#include <string>

namespace hone::test {

/// UTF-8 of one code point.
/// expects  a code point up to U+10FFFF
inline std::string utf8_of(char32_t c) {
  if (c < 0x80) return {char(c)};
  if (c < 0x800) return {char(0xC0 | c >> 6), char(0x80 | (c & 63))};
  if (c < 0x10000) return {char(0xE0 | c >> 12), char(0x80 | (c >> 6 & 63)), char(0x80 | (c & 63))};
  return {char(0xF0 | c >> 18), char(0x80 | (c >> 12 & 63)), char(0x80 | (c >> 6 & 63)), char(0x80 | (c & 63))};
}

}  // namespace hone::test
