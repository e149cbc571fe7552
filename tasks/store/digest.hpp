// SHA-256, whole or in pieces, as 64 lower-case hexadecimal digits; and HMAC over it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace celeriac {

class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  std::string hex();  // ends the digest; call once

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const noexcept;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

std::string sha256_hex(std::string_view bytes);

std::string hmac_sha256(std::string_view key, std::string_view text);  // 32 bytes
// Whether `mac` is that; compares in a time that tells nothing of how much of it is right.
bool is_hmac_sha256(std::string_view key, std::string_view text, std::string_view mac);
std::string hexadecimal(std::string_view bytes);  // lower case

}  // namespace celeriac
