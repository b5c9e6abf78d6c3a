// encode_texts TOKENIZER < texts.json > ids.json: the ids of each text of an array, for fuzz_tokenizers.py.
#include <iostream>
#include <nlohmann/json.hpp>

#include "sim/import/tokenizers/text_tokenizer.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: encode_texts TOKENIZER < texts.json > ids.json\n";
    return 2;
  }
  try {
    const auto tokenizer = hone::import_tokenizer(argv[1]);
    nlohmann::json ids = nlohmann::json::array();
    for (const nlohmann::json& text : nlohmann::json::parse(std::cin))
      ids.push_back(tokenizer->encode(text.get<std::string>()));
    std::cout << ids << "\n";
  } catch (const std::exception& error) {
    std::cerr << "encode_texts: " << error.what() << "\n";
    return 1;
  }
}
