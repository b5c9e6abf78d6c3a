#include "sim/base/gzip.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/base/error.hpp"
#include "tests/support/messages.hpp"

TEST_SUITE_BEGIN("base");

namespace hone {

using test::mentions;
using test::message_of;

TEST_CASE("gzip: texts come back, damaged ones are refused") {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += fmt::format("{} ", (i % 977) * (i % 977) % 977);
  for (const std::string& t : {std::string(), std::string("x"), text}) CHECK(gunzip(gzip(t), "x.gz") == t);
  CHECK(gunzip(gzip("ab") + gzip("cd"), "x.gz") == "abcd");
  const std::string packed = gzip(text);
  CHECK(mentions(message_of<FormatError>([&] { (void)gunzip(packed.substr(0, packed.size() / 2), "x.gz"); }),
                 "x.gz: ends"));
  std::string spoiled = packed;
  spoiled[packed.size() / 2] ^= 1;
  CHECK(mentions(message_of<FormatError>([&] { (void)gunzip(spoiled, "x.gz"); }), "x.gz: not a sound gzip file"));
}

}  // namespace hone
