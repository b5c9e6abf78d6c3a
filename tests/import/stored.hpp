// The stored reference checkpoints (tests/data/import, written by make_reference.py) and files made up by a test.
#pragma once

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/data/batch.hpp"
#include "tests/data/temporary_folder.hpp"
#include "tests/support/near.hpp"

namespace hone::test {

inline std::filesystem::path stored_folder(const std::string& name) {
  return std::filesystem::path(HONE_TEST_DATA) / "import" / name;
}

/// A tokenizer.json of tests/data/tokenizers, written by make_tokenizers.py.
inline std::filesystem::path stored_layout(const std::string& name) {
  return std::filesystem::path(HONE_TEST_DATA) / "tokenizers" / (name + ".json");
}

inline nlohmann::json stored_answers(const std::string& name) {
  return nlohmann::json::parse(read_text(stored_folder(name) / "expected.json"));
}

inline TokenBatch stored_tokens(const nlohmann::json& answers) {
  const Index positions = answers["positions"];
  const std::vector<std::uint16_t> tokens = answers["tokens"];
  return {Index(tokens.size()) / (positions + 1), positions, tokens};
}

/// The bytes of a number, little-endian as every format here has it.
template <class T>
std::string bytes_of(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

/// A safetensors file of this header, with `data` behind it.
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  return bytes_of(std::uint64_t(header.size())) + header + data;
}

}  // namespace hone::test
