#include "sim/import/tokenizers/normalizer.hpp"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uniset.h>

#include <limits>

#include "sim/base/error.hpp"
#include "sim/base/utf8.hpp"

namespace hone {
namespace {

void check(UErrorCode status, const char* what) {
  EXPECTS(U_SUCCESS(status), "ICU: {}: {}; reinstall its data", what, u_errorName(status));
}

const icu::Normalizer2& whole_form(NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* found = form == NormalForm::nfc    ? icu::Normalizer2::getNFCInstance(status)
                                  : form == NormalForm::nfd  ? icu::Normalizer2::getNFDInstance(status)
                                  : form == NormalForm::nfkc ? icu::Normalizer2::getNFKCInstance(status)
                                                             : icu::Normalizer2::getNFKDInstance(status);
  check(status, "normal form");
  return *found;
}

/// The code points that a normalizer of Unicode 9 knows.
const icu::UnicodeSet& assigned() {
  static const icu::UnicodeSet set = [] {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeSet made(icu::UnicodeString::fromUTF8("[:age=9.0:]"), status);
    check(status, "set of code points");
    made.freeze();
    return made;
  }();
  return set;
}

}  // namespace

std::string normalized(std::string_view text, NormalForm form) {
  EXPECTS(text.size() < size_t(std::numeric_limits<std::int32_t>::max()), "normalized: a text of {} bytes",
          text.size());
  const icu::FilteredNormalizer2 normalizer(whole_form(form), assigned());
  std::string out;
  out.reserve(text.size());
  icu::StringByteSink<std::string> sink(&out);
  while (!text.empty()) {
    const size_t valid = std::min(first_invalid_utf8(text), text.size());
    UErrorCode status = U_ZERO_ERROR;
    normalizer.normalizeUTF8(0, icu::StringPiece(text.data(), std::int32_t(valid)), sink, nullptr, status);
    check(status, "normalization");
    if (valid < text.size()) out += text[valid];
    text.remove_prefix(std::min(valid + 1, text.size()));
  }
  return out;
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  EXPECTS(!from.empty(), "replaced: nothing to look for");
  std::string out;
  size_t begin = 0;
  for (size_t at; (at = text.find(from, begin)) != text.npos; begin = at + from.size()) {
    out += text.substr(begin, at - begin);
    out += to;
  }
  return out += text.substr(begin);
}

std::string normalized_by(const std::vector<NormalizerStep>& steps, std::string_view text, const std::string& origin) {
  constexpr size_t growth_limit = 64;  // NFKD reaches 11
  const size_t most_bytes = growth_limit * (text.size() + largest_insertion);
  std::string out(text);
  for (const NormalizerStep& step : steps) {
    if (out.empty()) break;
    out = step(out);
    if (out.size() > most_bytes)
      throw OptionError(fmt::format("{}: its normalizer makes more than {} bytes of {}; fetch the file again", origin,
                                    most_bytes, text.size()));
  }
  return out;
}

}  // namespace hone
