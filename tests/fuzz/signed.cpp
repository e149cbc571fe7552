// Whatever is opened was signed, and a fuzzer cannot sign.
#include "check.hpp"
#include "protocol/signed_content.hpp"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

using namespace celeriac;

namespace {

std::string pem() {
  std::ifstream file(CELERIAC_TEST_DATA "/security/cert.pem", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

const Verifier& store() {
  static const Verifier verifier = [] {
    Verifier made(find_digest("sha256").value());
    must(made.add(Certificate::from_pem(pem()).value()).has_value(), "the certificate is taken");
    return made;
  }();
  return verifier;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  must(!store().open(text).has_value(), "nothing unsigned is believed");
  return 0;
}
