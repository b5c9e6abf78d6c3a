#include <doctest/doctest.h>
#include <zlib.h>

#include <cstdint>

#include "sim/base/error.hpp"
#include "sim/data/extract.hpp"
#include "sim/data/markup.hpp"
#include "tests/support/temporary_folder.hpp"

namespace fs = std::filesystem;
using namespace hone;
using hone::test::mentions;
using hone::test::message_of;
using hone::test::TemporaryFolder;

namespace {

std::string packed(std::string_view text) {
  uLongf length = compressBound(text.size());
  std::string out(length, '\0');
  REQUIRE(compress(reinterpret_cast<Bytef*>(out.data()), &length, reinterpret_cast<const Bytef*>(text.data()),
                   text.size()) == Z_OK);
  out.resize(length);
  return out;
}

std::string record(std::uint32_t offset, std::uint32_t packed_bytes, std::uint32_t unpacked_bytes) {
  std::string out;
  for (const std::uint32_t value : {offset, packed_bytes, unpacked_bytes})
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(value >> shift & 0xff);
  return out;
}

void write_gzip(const fs::path& file, std::string_view text, const char* mode) {
  gzFile out = gzopen(file.c_str(), mode);
  REQUIRE(gzwrite(out, text.data(), static_cast<unsigned>(text.size())) == static_cast<int>(text.size()));
  REQUIRE(gzclose(out) == Z_OK);
}

/// Documents of a module with the given index and data.
std::vector<std::string> module_of(std::string_view index, std::string_view data) {
  const TemporaryFolder folder;
  folder.write("ot.czz", data);
  return extract_documents(folder.write("ot.czs", index));
}

}  // namespace

TEST_CASE("sword: the blocks of a module come out as text without markup") {
  const std::string first = "<div type=\"book\"/>In the  beginning<br/>was &amp; is <hi type=\"italic\">light</hi>.";
  const std::string second = "<p>5 < 6 &#8212; caf\xc3\xa9 &unknown; \xc2\xa0 end</p>";
  const std::string a = packed(first), b = packed(second);
  const std::string index =
      record(0, a.size(), first.size()) + record(0, 0, 0) + record(a.size() + 3, b.size(), second.size());
  const auto documents = module_of(index, a + "gap" + b);
  REQUIRE(documents.size() == 2);
  CHECK(documents[0] == "In the beginning\nwas & is light.");
  CHECK(documents[1] == "5 < 6 \xe2\x80\x94 caf\xc3\xa9 &unknown; end");
}

TEST_CASE("sword: an empty index is an empty testament") { CHECK(module_of("", "").empty()); }

TEST_CASE("sword: a hostile index is refused and the message names file and fix") {
  const std::string text = "some text of a block that is long enough to be packed";
  const std::string data = packed(text);
  const auto bytes = static_cast<std::uint32_t>(data.size());
  const auto length = static_cast<std::uint32_t>(text.size());
  const std::string bad[] = {
      record(0, bytes, length).substr(0, 11),               // not whole records
      record(0, bytes + 1, length),                         // beyond the data
      record(0xffffffffu, bytes, length),                   // far beyond the data
      record(0xfffffff0u, 0x20, length),                    // offset + size wraps in 32 bits
      record(0, bytes, 0xffffffffu),                        // unpacks to 4 GiB
      record(0, bytes, length - 1),                         // lies about the length
      record(0, bytes, length + 1),                         //
      record(1, bytes - 1, length),                         // not the begin of zlib data
      record(0, bytes, length) + record(0, bytes, length),  // overlap
      record(0, 0, 5),                                      // something from nothing
  };
  for (const std::string& index : bad) {
    CAPTURE(index.size());
    const std::string message = message_of<FormatError>([&] { module_of(index, data); });
    CHECK(mentions(message, "ot.cz"));
    CHECK(mentions(message, "fetch the module again"));
  }
  CHECK(module_of(record(0, bytes, length), data).size() == 1);
  // Refused before any memory is taken for it.
  const std::string greedy = message_of<FormatError>([&] { module_of(record(0, bytes, 0xffffffffu), data); });
  CHECK(mentions(greedy, "record 0"));
}

TEST_CASE("sword: an index without its data file is refused") {
  const TemporaryFolder folder;
  const fs::path index = folder.write("nt.czs", record(0, 1, 1));
  const std::string message = message_of<IoError>([&] { extract_documents(index); });
  CHECK(mentions(message, "nt.czs"));
  CHECK(mentions(message, "nt.czz"));
}

TEST_CASE("html: prose stays, menus, scripts and tables go") {
  const std::string prose =
      "This paragraph has <b>many</b> words\nin it, so that it is taken for prose "
      "&quot;indeed&quot;.";
  const std::string html = "<html><head><title>" + prose + "</title></head><body><p>menu</p><script>if (a<b) '" +
                           prose + "'</script><p>" + prose + "</p><!-- <p>" + prose + "</p> --><table><tr><td>" +
                           prose + "</td></tr></table><pre/><P class='x'>" + prose + "</body>";
  const std::string line = "This paragraph has many words in it, so that it is taken for prose \"indeed\".";
  CHECK(text_of_html(html) == line + "\n" + line);
}

TEST_CASE("html: a short line is dropped, however many words it has") {
  CHECK(text_of_html("<p>a b c d e f g h i j k l</p>") == "");
}

TEST_CASE("markup: a break wins over the blanks around it") {
  CHECK(text_of_sword_markup(" one <br/> two\n\n \nthree<p/> ") == "one\ntwo\nthree");
}

TEST_CASE("markup: what is not markup is text") {
  CHECK(text_of_sword_markup("a < b & c &#xD800; &#0; <unclosed") == "a < b & c &#xD800; &#0; <unclosed");
  CHECK(text_of_sword_markup("") == "");
  CHECK(text_of_sword_markup("<>") == "<>");
  CHECK(text_of_sword_markup("&") == "&");
}

TEST_CASE("plain text: byte order mark and CR LF are normalized, gzip is unpacked") {
  const TemporaryFolder folder;
  CHECK(extract_documents(folder.write("a.txt", "\xef\xbb\xbfone\r\ntwo\rthree")) ==
        std::vector<std::string>{"one\ntwo\rthree"});
  const fs::path file = folder.path() / "b.txt.gz";
  write_gzip(file, "first ", "wb");
  write_gzip(file, "", "ab");
  write_gzip(file, "second", "ab");
  CHECK(read_gzip(file) == "first second");
  CHECK(extract_documents(file) == std::vector<std::string>{"first second"});
}

TEST_CASE("gzip: damaged files are refused, a text of exactly one buffer is whole") {
  const TemporaryFolder folder;
  const std::string text(1 << 20, 'x');
  const fs::path file = folder.path() / "x.gz";
  write_gzip(file, text, "wb");
  CHECK(read_gzip(file) == text);
  std::string damaged = read_text(file);
  for (const std::size_t kept : {1u, 9u, 20u, static_cast<unsigned>(damaged.size() - 1)}) {
    const fs::path cut = folder.write("cut.gz", damaged.substr(0, kept));
    CHECK(mentions(message_of<FormatError>([&] { read_gzip(cut); }), "cut.gz"));
  }
  damaged[damaged.size() - 6] ^= 1;  // its checksum
  const fs::path flipped = folder.write("flipped.gz", damaged);
  CHECK(mentions(message_of<FormatError>([&] { read_gzip(flipped); }), "again"));
}

TEST_CASE("extract: each error names the file, the fact and the fix") {
  const TemporaryFolder folder;
  const fs::path latin = folder.write("latin.txt", "caf\xe9");
  const std::string not_utf8 = message_of<FormatError>([&] { extract_documents(latin); });
  CHECK(mentions(not_utf8, "latin.txt"));
  CHECK(mentions(not_utf8, "byte 3"));
  CHECK(mentions(not_utf8, "iconv"));
  const fs::path empty = folder.write("empty.txt", "");
  const std::string none = message_of<FormatError>([&] { extract_documents(empty); });
  CHECK(mentions(none, "empty.txt"));
  CHECK(mentions(none, "give a file with text"));
  const std::string missing = message_of<IoError>([&] { extract_documents(folder.path() / "absent.txt"); });
  CHECK(mentions(missing, "absent.txt"));
  CHECK(mentions(missing, "fetch_corpus"));
}
