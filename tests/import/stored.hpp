// The stored reference checkpoints (tests/golden/import, written by make_reference.py) and files made up by a test.
#pragma once

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "sim/data/batch.hpp"
#include "tests/support/near.hpp"
#include "tests/support/temporary_folder.hpp"

namespace hone::test {

inline std::filesystem::path stored_folder(const std::string& name) {
  return std::filesystem::path(HONE_GOLDEN) / "import" / name;
}

/// A tokenizer.json of tests/golden/tokenizers, written by make_tokenizers.py.
inline std::filesystem::path stored_layout(const std::string& name) {
  return std::filesystem::path(HONE_GOLDEN) / "tokenizers" / (name + ".json");
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
