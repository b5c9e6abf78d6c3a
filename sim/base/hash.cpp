#include "sim/base/hash.hpp"

#include <openssl/evp.h>

#include <fstream>
#include <vector>

#include "sim/base/error.hpp"

namespace hone {

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  EXPECTS(EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1, "sha256: OpenSSL has no SHA-256");
}
Sha256::~Sha256() = default;

void Sha256::update(const void* data, std::size_t bytes) {
  EXPECTS(EVP_DigestUpdate(context_->evp, data, bytes) == 1, "sha256: update failed");
}

std::string Sha256::finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EXPECTS(EVP_DigestFinal_ex(context_->evp, digest, &length) == 1, "sha256: finish failed");
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

std::string sha256(const void* data, std::size_t bytes) {
  Sha256 hash;
  hash.update(data, bytes);
  return hash.finish();
}

std::string sha256(std::string_view text) { return sha256(text.data(), text.size()); }

std::string sha256_of_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw IoError(fmt::format("{}: cannot be read; check the path and its permissions", path.string()));
  Sha256 hash;
  std::vector<char> block(1 << 20);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0)
    hash.update(block.data(), static_cast<std::size_t>(in.gcount()));
  return hash.finish();
}

}  // namespace hone
