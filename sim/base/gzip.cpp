#include "sim/base/gzip.hpp"

#include <zlib.h>

#include <limits>
#include <vector>

#include "sim/base/error.hpp"

namespace hone {
namespace {

constexpr int gzip_window = 15 + 16;
constexpr std::size_t largest_unpacked = std::size_t(2) << 30;

class Inflater {
 public:
  explicit Inflater(std::string_view packed) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    EXPECTS(inflateInit2(&stream_, gzip_window) == Z_OK, "zlib: no memory for an inflater");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream* get() { return &stream_; }

 private:
  z_stream stream_ = {};
};

}  // namespace

std::string gunzip(std::string_view packed, const std::string& source) {
  const auto damaged = [&](std::string_view fact) {
    return FormatError(fmt::format("{}: {}; fetch or pack the file again", source, fact));
  };
  if (packed.size() > std::numeric_limits<uInt>::max()) throw damaged("larger than 4 GiB");
  Inflater inflater(packed);
  z_stream* z = inflater.get();
  std::string text;
  std::vector<char> block(1 << 20);
  bool member_ended = packed.empty();
  while (z->avail_in > 0 || !member_ended) {
    if (member_ended) inflateReset(z);
    z->next_out = reinterpret_cast<Bytef*>(block.data());
    z->avail_out = static_cast<uInt>(block.size());
    const int status = inflate(z, Z_NO_FLUSH);
    if (status == Z_BUF_ERROR) throw damaged("ends in the middle of the packed data");
    if (status != Z_OK && status != Z_STREAM_END)
      throw damaged(fmt::format("not a sound gzip file (zlib: {})", z->msg ? z->msg : "bad data"));
    text.append(block.data(), block.size() - z->avail_out);
    if (text.size() > largest_unpacked) throw damaged("unpacks to more than 2 GiB");
    member_ended = status == Z_STREAM_END;
  }
  return text;
}

std::string gzip(std::string_view text) {
  EXPECTS(text.size() <= std::numeric_limits<uInt>::max() / 2, "gzip of {} bytes", text.size());
  z_stream z = {};
  EXPECTS(deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) == Z_OK,
          "zlib: no memory for a deflater");
  std::string packed(deflateBound(&z, static_cast<uLong>(text.size())), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(packed.data());
  z.avail_out = static_cast<uInt>(packed.size());
  const int status = deflate(&z, Z_FINISH);
  packed.resize(packed.size() - z.avail_out);
  deflateEnd(&z);
  EXPECTS(status == Z_STREAM_END, "zlib: deflate ended with status {}", status);
  return packed;
}

}  // namespace hone
