// The safetensors reader on good files, and on files made to harm it: every fault has a FormatError of its own.
#include "sim/import/safetensors.hpp"

#include "sim/base/error.hpp"
#include "sim/import/json_file.hpp"
#include "tests/import/stored.hpp"
#include "tests/support/draws.hpp"

namespace fs = std::filesystem;

namespace hone::test {
namespace {

const std::string two_tensors =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
    R"("b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]}})";

std::string data_of_two() {
  return bytes_of(1.5f) + bytes_of(-2.0f) + bytes_of(std::uint16_t(0x3C00)) + bytes_of(std::uint16_t(0xC000)) +
         bytes_of(std::uint16_t(0x0001));
}

/// What listing a file of these bytes says: the message of its FormatError, which must name the file, or "readable".
std::string answer_to(const std::string& bytes) {
  const TemporaryFolder folder;
  const fs::path file = folder.write("hostile.safetensors", bytes);
  try {
    for (const StoredTensor& tensor : list_safetensors(file)) read_tensor(file, tensor);
  } catch (const FormatError& error) {
    return mentions(error.what(), file.string()) ? error.what() : std::string("names no file: ") + error.what();
  }
  return "readable";
}

std::string answer_to_header(const std::string& header, size_t data_bytes) {
  return answer_to(safetensors_bytes(header, std::string(data_bytes, '\0')));
}

/// A file of one tensor with this entry and this many bytes.
std::string answer_to_entry(const std::string& entry, size_t data_bytes) {
  return answer_to_header("{\"t\":" + entry + "}", data_bytes);
}

TEST_SUITE_BEGIN("import");

TEST_CASE("safetensors: names, shapes and values are those written [F16, BF16, F32, F64]") {
  const TemporaryFolder folder;
  const fs::path file = folder.write("two.safetensors", safetensors_bytes(two_tensors, data_of_two()));
  const auto tensors = list_safetensors(file);
  REQUIRE(tensors.size() == 2);
  CHECK(tensors[0].name == "a");
  CHECK(tensors[0].shape == std::vector<Index>{2, 1});
  CHECK(read_tensor(file, tensors[0]) == std::vector<double>{1.5, -2});
  CHECK(read_tensor(file, tensors[1]) == std::vector<double>{1, -2, std::ldexp(1.0, -24)});
  const std::string wide = R"({"w":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
                           R"("x":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]},)"
                           R"("empty":{"dtype":"F32","shape":[0,5],"data_offsets":[12,12]}})";
  const fs::path other = folder.write(
      "wide.safetensors",
      safetensors_bytes(wide, bytes_of(0.1) + bytes_of(std::uint16_t(0x3FC0)) + bytes_of(std::uint16_t(0xBF80))));
  const auto more = list_safetensors(other);
  REQUIRE(more.size() == 3);
  CHECK(read_tensor(other, more[0]) == std::vector<double>{0.1});
  CHECK(read_tensor(other, more[1]) == std::vector<double>{1.5, -1});
  CHECK(read_tensor(other, more[2]).empty());
}

TEST_CASE("safetensors: half precision is exact for every bit pattern") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double sign = bits >> 15 ? -1 : 1, value = from_float16(std::uint16_t(bits));
    if (exponent == 31)
      CHECK((fraction ? std::isnan(value) : value == sign * HUGE_VAL));
    else
      CHECK(value == sign * (exponent ? (1 + fraction / 1024.0) * std::pow(2.0, exponent - 15)
                                      : fraction / 1024.0 * std::pow(2.0, -14)));
  }
  CHECK(from_bfloat16(0x7F7F) ==
        double(std::numeric_limits<float>::max()) * (255.0 / 256) / (1 - std::ldexp(1.0, -24)));
}

TEST_CASE("safetensors: a file cut at any byte, or longer than its tensors -> FormatError") {
  const std::string whole = safetensors_bytes(two_tensors, data_of_two());
  CHECK(answer_to(whole) == "readable");
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    const std::string answer = answer_to(whole.substr(0, size));
    CHECK_MESSAGE(answer != "readable", answer);
    CHECK_FALSE(answer.starts_with("names no file"));
  }
  CHECK(mentions(answer_to(whole + "x"), "1 bytes after the last tensor"));
}

TEST_CASE("safetensors: a header length that the file cannot have -> FormatError, and nothing is allocated for it") {
  for (const std::uint64_t length :
       {std::uint64_t(0), std::uint64_t(1), std::uint64_t(50'000'000), std::uint64_t(1) << 40, std::uint64_t(1) << 63,
        ~std::uint64_t(0), safetensors_header_limit + 1}) {
    const std::string answer = answer_to(bytes_of(length) + two_tensors + data_of_two());
    CHECK_MESSAGE(mentions(answer, fmt::format("the header claims {} bytes", length)), answer);
  }
}

TEST_CASE("safetensors: shapes that are negative, broken, huge or overflow -> FormatError") {
  const auto shape = [](const char* text) {
    return answer_to_entry(fmt::format(R"({{"dtype":"F32","shape":{},"data_offsets":[0,8]}})", text), 8);
  };
  CHECK(shape("[2]") == "readable");
  CHECK(mentions(shape("[-2]"), "shape holds -2, not a whole number from 0"));
  CHECK(mentions(shape("[2.0]"), "shape holds 2.0, not a whole number"));
  CHECK(mentions(shape("[\"2\"]"), "not a whole number"));
  CHECK(mentions(shape("[18446744073709551615]"), "not a whole number"));
  CHECK(mentions(shape("[1e999]"), "not JSON"));
  CHECK(mentions(shape("[3]"), "shape needs more bytes than the file has"));
  CHECK(mentions(shape("[4294967296,4294967296,4294967296]"), "shape needs more bytes than the file has"));
  CHECK(mentions(shape("[4611686018427387904]"), "shape needs more bytes than the file has"));
  CHECK(mentions(shape("[0,9223372036854775807]"), "8 bytes where dtype and shape need 0"));
  CHECK(mentions(shape("[1,1,1,1,1,1,1,1,2]"), "shape has 9 axes"));
  CHECK(mentions(shape("2"), "the entry is not dtype, shape and data_offsets"));
}

TEST_CASE("safetensors: ranges outside the file, upside down, overlapping or with gaps -> FormatError") {
  const auto range = [](const char* offsets) {
    return answer_to_entry(fmt::format(R"({{"dtype":"U8","shape":[4],"data_offsets":{}}})", offsets), 8);
  };
  CHECK(mentions(range("[0,9]"), "bytes 0 to 9 lie outside the 8 bytes of the file"));
  CHECK(mentions(range("[8,4]"), "bytes 8 to 4 lie outside"));
  CHECK(mentions(range("[-4,0]"), "data_offsets holds -4"));
  CHECK(mentions(range("[0,4,8]"), "data_offsets of two numbers"));
  CHECK(mentions(range("[9223372036854775807,9223372036854775807]"), "lie outside"));
  CHECK(mentions(range("[0,5]"), "5 bytes where dtype and shape need 4"));
  CHECK(mentions(range("[2,6]"), "begins at byte 2 where the one before it ends at 0"));
  const auto pair = [](int begin, int end) {
    return answer_to_header(fmt::format(R"({{"s":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},)"
                                        R"("t":{{"dtype":"F32","shape":[1],"data_offsets":[{},{}]}}}})",
                                        begin, end),
                            8);
  };
  CHECK(pair(4, 8) == "readable");
  CHECK(mentions(pair(0, 4), "begins at byte 0 where the one before it ends at 4"));
  CHECK(mentions(pair(2, 6), "begins at byte 2 where the one before it ends at 4"));
}

TEST_CASE("safetensors: wrong types and values that are not finite -> FormatError naming the tensor") {
  const auto type = [](const char* name, size_t bytes, char fill) {
    return answer_to(
        safetensors_bytes(fmt::format(R"({{"t":{{"dtype":"{}","shape":[2],"data_offsets":[0,{}]}}}})", name, bytes),
                          std::string(bytes, fill)));
  };
  CHECK(type("F32", 8, 0) == "readable");
  CHECK(mentions(type("I64", 16, 0), "tensor 't' is I64, not F16, BF16, F32 or F64"));
  CHECK(mentions(type("F12", 16, 0), "dtype 'F12' is unknown"));
  for (const auto& [name, bytes] : {std::pair{"F16", 4}, {"BF16", 4}, {"F32", 8}, {"F64", 16}})
    CHECK(mentions(type(name, size_t(bytes), '\xff'), "tensor 't' holds"));
}

TEST_CASE("safetensors: headers that are no JSON object of entries -> FormatError") {
  CHECK(mentions(answer_to_header("{}  garbage", 0), "not JSON"));
  CHECK(mentions(answer_to_header("[1,2]", 0), "the header is not a JSON object"));
  CHECK(mentions(answer_to_header("{\"t\":1}", 0), "the entry is not dtype"));
  CHECK(mentions(answer_to_header("{\"t\":{\"dtype\":1,\"shape\":[],\"data_offsets\":[0,0]}}", 0),
                 "the entry is not dtype"));
  CHECK(mentions(answer_to_header("\xff\xfe{}", 0), "not JSON"));
  CHECK(mentions(answer_to_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},"
                                  "\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
                                  0),
                 "the key \"a\" is there twice"));
  const std::string deep(1'000'000, '[');
  CHECK(mentions(answer_to_header("{\"a\":" + deep, 0), "nested deeper than 64 levels"));
  CHECK(answer_to_header("{}", 0) == "readable");
}

TEST_CASE("safetensors: random changes of a good file are read or refused with its name, never worse") {
  const std::string whole = safetensors_bytes(two_tensors, data_of_two());
  for (std::uint32_t number = 0; number < 2000; ++number) {
    std::string bytes = whole;
    const auto places = ids<std::uint16_t>(1 + number % 3, whole.size(), number);
    for (const std::uint16_t place : places) bytes[place] = char(ids<std::uint16_t>(1, 256, number + 5000 + place)[0]);
    const std::string answer = answer_to(bytes);
    CHECK_MESSAGE(!answer.starts_with("names no file"), answer);
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
