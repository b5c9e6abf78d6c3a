// Imported tokenizers against the library `tokenizers` (stored encodings), and refusals of what is not supported.
#include "sim/base/error.hpp"
#include "sim/import/tokenizers/text_tokenizer.hpp"
#include "tests/import/stored.hpp"

namespace fs = std::filesystem;

namespace hone::test {
namespace {

using nlohmann::json;

/// Every stored text is encoded as stored and comes back.
void check_encodings(const TextTokenizer& tokenizer, const json& stored) {
  for (size_t i = 0; i < stored["texts"].size(); ++i) {
    const std::string text = stored["texts"][i];
    CAPTURE(text);
    const auto tokens = tokenizer.encode(text);
    CHECK(tokens == stored["ids"][i].get<std::vector<std::uint16_t>>());
    CHECK(tokenizer.decode(tokens) == text);
  }
  std::optional<std::uint16_t> begin;
  if (!stored["begin"].is_null()) begin = stored["begin"].get<std::uint16_t>();
  CHECK(tokenizer.begin_of_text() == begin);
}

/// A small tokenizer.json that is supported, to be broken piece by piece.
json good_tokenizer() {
  return json::parse(R"({"version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 4, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    "post_processor": {"type": "ByteLevel"}, "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
              "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false,
              "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": ["a b"]}})");
}

std::unique_ptr<TextTokenizer> read(const TemporaryFolder& folder, const json& tokenizer) {
  return import_tokenizer(folder.write("tokenizer.json", tokenizer.dump()));
}

/// What reading good_tokenizer with `value` at `pointer` says.
template <class E>
std::string answer_to(const char* pointer, const json& value) {
  const TemporaryFolder folder;
  json tokenizer = good_tokenizer();
  tokenizer[json::json_pointer(pointer)] = value;
  return message_of<E>([&] { read(folder, tokenizer); });
}

TEST_SUITE_BEGIN("import");

TEST_CASE("tokenizer.json: encodings are those of the library, and decode to the text [GPT-2, NeoX, Llama 3, digits]") {
  for (const char* name : {"gpt2", "neox", "llama", "llama_tied_gqa"}) {
    CAPTURE(name);
    const auto tokenizer = import_tokenizer(stored_folder(name));
    check_encodings(*tokenizer, stored_answers(name)["encodings"]);
    CHECK(mentions(tokenizer->name(), fmt::format("byte-level BPE {} ", tokenizer->vocabulary())));
  }
}

TEST_CASE("tokenizer.bin: encodings are those of a scan for the best score, and decode to the text") {
  const auto tokenizer = import_tokenizer(stored_folder("llama2c"));
  check_encodings(*tokenizer, stored_answers("llama2c")["encodings"]);
}

TEST_CASE("tokenizer.bin: begin and end are no text, and one blank goes after begin") {
  const auto tokenizer = import_tokenizer(stored_folder("llama2c"));
  std::vector<std::uint16_t> tokens = tokenizer->encode("it was");
  tokens.insert(tokens.begin(), 1);
  tokens.push_back(2);
  CHECK(tokenizer->decode(tokens) == "it was");
}

TEST_CASE("tokenizer.json: added tokens are cut out whole, the longest first, others never cross them") {
  const TemporaryFolder folder;
  json file = good_tokenizer();
  file["added_tokens"].push_back({{"id", 5}, {"content", "<end>>"}, {"normalized", false}});
  const auto tokenizer = read(folder, file);
  CHECK(tokenizer->vocabulary() == 6);
  CHECK(tokenizer->encode("ab<end>a<end>>b") == std::vector<std::uint16_t>{2, 4, 0, 5, 1});
  CHECK(tokenizer->decode(std::vector<std::uint16_t>{2, 4, 3}) == "ab<end> ");
}

TEST_CASE("tokenizer.json: added tokens of the raw text go before those of the normalized text") {
  const TemporaryFolder folder;
  json file = good_tokenizer();
  file["added_tokens"].push_back({{"id", 5}, {"content", "a<"}, {"normalized", true}});
  const auto tokenizer = read(folder, file);
  CHECK(tokenizer->encode("a<end>") == std::vector<std::uint16_t>{0, 4});
  CHECK(tokenizer->encode("a<b") == std::vector<std::uint16_t>{5, 1});
}

TEST_CASE("tokenizer.json: merges as pairs, a blank put before a text, whole words taken first") {
  const TemporaryFolder folder;
  json file = good_tokenizer();
  file["model"]["merges"] = json::array({json::array({"a", "b"})});
  file["pre_tokenizer"]["add_prefix_space"] = true;
  CHECK(read(folder, file)->encode("ab") == std::vector<std::uint16_t>{3, 2});
  file = good_tokenizer();
  file["model"]["vocab"]["aab"] = 4;
  file["added_tokens"][0]["id"] = 5;
  CHECK(read(folder, file)->encode("aab") == std::vector<std::uint16_t>{0, 2});
  file["model"]["ignore_merges"] = true;
  CHECK(read(folder, file)->encode("aab") == std::vector<std::uint16_t>{4});
}

TEST_CASE("tokenizer.json: Metaspace puts its sign before a text unless prepend_scheme or add_prefix_space says no") {
  const TemporaryFolder folder;
  json file = good_tokenizer();
  file["model"]["vocab"] = {{"a", 0}, {"b", 1}, {"ab", 2}, {"▁", 3}};
  const json step = {{"type", "Metaspace"}, {"replacement", "▁"}};
  file["decoder"] = step;
  const auto ids = [&](const char* field, const json& value) {
    file["pre_tokenizer"] = step;
    file["pre_tokenizer"][field] = value;
    return read(folder, file)->encode("a ab");
  };
  const std::vector<std::uint16_t> with = {3, 0, 3, 2}, without = {0, 3, 2};
  CHECK(ids("prepend_scheme", "always") == with);
  CHECK(ids("prepend_scheme", "first") == with);
  CHECK(ids("prepend_scheme", "never") == without);
  CHECK(ids("add_prefix_space", true) == with);
  CHECK(ids("add_prefix_space", false) == without);
}

TEST_CASE("tokenizer.json: every step that is not supported is refused by name") {
  const auto refused = [](const char* pointer, const json& value, const char* part) {
    CAPTURE(pointer);
    const std::string message = answer_to<OptionError>(pointer, value);
    CHECK_MESSAGE(mentions(message, part), message);
    CHECK(mentions(message, "tokenizer.json"));
    CHECK(mentions(message, "supported: "));
  };
  refused("/normalizer", {{"type", "Lowercase"}}, "normalizer: type = \"Lowercase\"");
  refused("/pre_tokenizer", {{"type", "BertPreTokenizer"}}, "pre_tokenizer: type = \"BertPreTokenizer\"");
  refused("/pre_tokenizer", {{"type", "Digits"}}, "decoder: type = \"ByteLevel\"");
  refused("/pre_tokenizer", nullptr, "decoder: type = \"ByteLevel\"");
  refused("/pre_tokenizer", {{"type", "Metaspace"}, {"prepend_scheme", "last"}}, "prepend_scheme = \"last\"");
  refused("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"String", ""}}}, {"behavior", "Isolated"}},
          "pattern = {\"String\":\"\"}");
  refused("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"String", "a"}}}, {"behavior", "Contiguous"}},
          "behavior = \"Contiguous\"");
  refused("/pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "__"}}, "replacement = \"__\"");
  refused("/normalizer", {{"type", "Prepend"}, {"prepend", std::string(65, 'a')}}, "supported: at most 64 bytes");
  refused("/normalizer", {{"type", "Replace"}, {"pattern", {{"Regex", "a+"}}}, {"content", ""}},
          "pattern = {\"Regex\":\"a+\"}");
  refused("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "\\s+"}}}, {"behavior", "Isolated"}},
          "pattern = {\"Regex\":\"\\\\s+\"}");
  refused("/decoder", {{"type", "Metaspace"}}, "decoder: type = \"Metaspace\"");
  refused("/post_processor", {{"type", "BertProcessing"}}, "type = \"BertProcessing\"");
  refused("/post_processor", {{"type", "TemplateProcessing"}, {"single", json::array({1, 2, 3})}}, "single = [1,2,3]");
  refused("/model/type", "Unigram", "type = \"Unigram\"");
  refused("/model/dropout", 0.1, "dropout = 0.1");
  refused("/model/continuing_subword_prefix", "##", "continuing_subword_prefix = \"##\"");
  refused("/model/vocab/b", 65536, "token 'b' has id = 65536");
}

TEST_CASE("tokenizer.json: damaged content -> FormatError naming the field") {
  const auto wrong = [](const char* pointer, const json& value, const char* part) {
    CAPTURE(pointer);
    const std::string message = answer_to<FormatError>(pointer, value);
    CHECK_MESSAGE(mentions(message, part), message);
  };
  wrong("/model", 3, "holds 3 where an object is due");
  wrong("/model/vocab", json::array(), "model.vocab is no object");
  wrong("/model/vocab/b", -1, "token 'b' has the id -1");
  wrong("/model/vocab/b", 0, "id 0 belongs to 'a' and to 'b'");
  wrong("/model/vocab/<end>", 6, "the added token '<end>' has id 4, its id in model.vocab is 6");
  wrong("/added_tokens/0/id", 7, "the added token '<end>' has id 7, the next free id is 4");
  wrong("/model/vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"b b", 3}}, "token 'b b' is not spelled in bytes");
  wrong("/model/merges", "a b", "model.merges is no array");
  wrong("/model/merges/0", "ab", "merge \"ab\" is no pair");
  wrong("/model/merges/0", "a a", "merge \"a a\" joins or makes a token that the vocabulary lacks");
  wrong("/added_tokens/0/content", "", "an added token has no content or no id");
  wrong("/pre_tokenizer", {{"type", "Sequence"}}, "a Sequence has no pretokenizers");
}

TEST_CASE("tokenizer.json: a byte or character without token -> OptionError naming it") {
  const TemporaryFolder folder;
  CHECK(mentions(message_of<OptionError>([&] { read(folder, good_tokenizer())->encode("abc"); }),
                 "no token for the byte 0x63"));
  json file = good_tokenizer();
  file["pre_tokenizer"] = file["decoder"] = nullptr;
  CHECK(read(folder, file)->encode("abb") == std::vector<std::uint16_t>{2, 1});
  CHECK(mentions(message_of<OptionError>([&] { read(folder, file)->encode("ab\u4f60"); }),
                 "no token for the character U+4F60"));
  CHECK(mentions(message_of<OptionError>([&] { read(folder, file)->encode("ab\xff"); }), "no token for the byte 0xFF"));
}

TEST_CASE("tokenizer.json: truncation and padding that a caller saved change nothing") {
  const TemporaryFolder folder;
  json file = good_tokenizer();
  file["truncation"] = {{"direction", "Right"}, {"max_length", 1}, {"strategy", "LongestFirst"}, {"stride", 0}};
  file["padding"] = {{"strategy", {{"Fixed", 8}}}, {"direction", "Right"}, {"pad_id", 0}, {"pad_token", "a"}};
  file["model"]["dropout"] = 0.0;
  CHECK(read(folder, file)->encode("abab") == std::vector<std::uint16_t>{2, 2});
}

TEST_CASE("tokenizer.json: a normalizer that doubles a text forty times is refused before the memory is full") {
  const TemporaryFolder folder;
  json file = good_tokenizer();
  const json twice = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aa"}};
  file["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::vector<json>(40, twice)}};
  const auto tokenizer = read(folder, file);
  CHECK(tokenizer->encode("b").size() == 1);
  CHECK(mentions(message_of<OptionError>([&] { tokenizer->encode(std::string(1000, 'a')); }),
                 "its normalizer makes more than 68096 bytes of 1000"));
}

TEST_CASE("tokenizer.json: a merge that is listed twice has the rank of its last place") {
  const TemporaryFolder folder;
  json file = good_tokenizer();
  file["model"]["vocab"]["ba"] = 4;
  file["added_tokens"][0]["id"] = 5;
  file["model"]["merges"] = {"a b", "b a", "a b"};
  CHECK(read(folder, file)->encode("aba") == std::vector<std::uint16_t>{0, 4});
}

TEST_CASE(
    "tokenizer.json: bytes that are no UTF-8 have the tokens of these bytes [byte-level with NFC, byte fallback]") {
  for (const char* name : {"neox", "llama2"}) {
    const auto tokenizer = import_tokenizer(stored_layout(name));
    const std::string text = "ab\xff\xe9 c\xe2\x82";
    CHECK(tokenizer->decode(tokenizer->encode(text)) == text);
  }
}

TEST_CASE("tokenizer.bin: cut at any byte -> FormatError, or a shorter vocabulary at the border of a token") {
  const TemporaryFolder folder;
  const std::string whole = read_text(stored_folder("llama2c") / "tokenizer.bin");
  const Index vocabulary = import_tokenizer(stored_folder("llama2c"))->vocabulary();
  int readable = 0;
  for (size_t size = 0; size < whole.size(); size += size < 200 ? 1 : 13) {
    const fs::path file = folder.write("cut.bin", whole.substr(0, size));
    Index tokens = 0;
    const std::string message = message_of<FormatError>([&] { tokens = import_tokenizer(file)->vocabulary(); });
    CHECK((mentions(message, "cut.bin") || (tokens > 0 && tokens < vocabulary)));
    readable += tokens > 0;
  }
  CHECK(readable > 0);
}

TEST_CASE("tokenizer.bin: lengths and scores that cannot be -> FormatError naming the token") {
  const TemporaryFolder folder;
  const auto answer = [&](const std::string& bytes) {
    return message_of<FormatError>([&] { import_tokenizer(folder.write("wrong.bin", bytes)); });
  };
  const std::string token = bytes_of(0.0f) + bytes_of(std::int32_t(1)) + "a", longest = bytes_of(std::int32_t(4));
  CHECK(answer(longest + token + token + token).empty());
  CHECK(mentions(answer(longest + token + token), "no tokens beyond unknown, begin and end"));
  CHECK(
      mentions(answer(longest + token + bytes_of(0.0f) + bytes_of(std::int32_t(-1))), "token 1 at byte 21: it has -1"));
  CHECK(mentions(answer(longest + bytes_of(0.0f) + bytes_of(std::int32_t(1 << 30))), "it has 1073741824 bytes"));
  CHECK(mentions(answer(longest + bytes_of(NAN) + bytes_of(std::int32_t(1)) + "a"), "its score is nan"));
  CHECK(mentions(answer(longest + token + token + token + bytes_of(0.0f) + bytes_of(std::int32_t(3)) + "ab"),
                 "token 3 at byte 39: the file ends within it"));
  CHECK(mentions(answer(bytes_of(std::int32_t(-5)) + token), "the longest token is said to have -5 bytes"));
}

TEST_CASE("tokenizer: a folder without one -> IoError naming what is looked for") {
  const TemporaryFolder folder;
  CHECK(mentions(message_of<IoError>([&] { import_tokenizer(folder.path()); }),
                 "holds no tokenizer.json, tokenizer.bin"));
}

TEST_SUITE_END();

}  // namespace
}  // namespace hone::test
