#include "protocol/signed_content.hpp"

#include "protocol/base64.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

using namespace celeriac;

namespace {

std::string data_file(const char* name) {
  std::ifstream file(std::string(CELERIAC_TEST_DATA) + "/security/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

const EVP_MD* sha256() { return find_digest("sha256").value(); }

Certificate certificate() { return Certificate::from_pem(data_file("cert.pem")).value(); }

Signer signer() { return Signer::create(data_file("key.pem"), "", certificate(), sha256()).value(); }

Verifier verifier() {
  Verifier store(sha256());
  REQUIRE(store.add(certificate()).has_value());
  return store;
}

// The separator's two bytes within the body do not end it.
const SignedContent content{"application/json", "utf-8", std::string("[[2, 3], {}, {}]\x00\x01tail", 22)};

}  // namespace

TEST_SUITE("signed content") {
  TEST_CASE("a certificate is named by its issuer and its serial number") {
    CHECK(certificate().id().starts_with("celeriac tests signer "));
    CHECK(certificate().signature_bytes() == 256);
  }

  TEST_CASE("what is signed in either layout is read") {
    for (const auto layout : {SignedLayout::celery_5_2, SignedLayout::celery_5_6}) {
      const auto text = signer().sign(content, layout);
      REQUIRE(text.has_value());
      const auto opened = verifier().open(*text);
      REQUIRE(opened.has_value());
      CHECK(opened->content_type == content.content_type);
      CHECK(opened->content_encoding == content.content_encoding);
      CHECK(opened->body == content.body);
    }
  }

  TEST_CASE("a changed body, a cut text and foreign bytes are refused") {
    for (const auto layout : {SignedLayout::celery_5_2, SignedLayout::celery_5_6}) {
      const auto fields = base64_decode(signer().sign(content, layout).value()).value();
      auto changed = fields;
      changed.back() ^= 1;
      const auto refused = verifier().open(base64_encode(changed));
      REQUIRE(!refused.has_value());
      CHECK(refused.error().what.find("bad signature of 'celeriac tests signer ") != std::string::npos);
      // Whatever is missing at the end, the signed body is not whole.
      for (std::size_t size = 0; size < fields.size(); ++size)
        CHECK(!verifier().open(base64_encode(fields.substr(0, size))).has_value());
    }
    CHECK(verifier().open("*").error().what.starts_with("signed body: "));
  }

  TEST_CASE("a signer without a certificate here is not believed") {
    const Verifier empty(sha256());
    const auto refused = empty.open(signer().sign(content, SignedLayout::celery_5_6).value());
    CHECK(refused.error().what == "signed body: the signer's certificate is not in the store");
  }

  TEST_CASE("another digest is another signature") {
    Verifier other(find_digest("sha512").value());
    REQUIRE(other.add(certificate()).has_value());
    CHECK(!other.open(signer().sign(content, SignedLayout::celery_5_6).value()).has_value());
    CHECK(find_digest("crc32").error().what.starts_with("unknown digest 'crc32'"));
  }

  TEST_CASE("bad files are named for what they are, and a certificate comes once") {
    CHECK(Certificate::from_pem("hello").error().what.starts_with("no certificate in PEM form"));
    CHECK(Signer::create("hello", "", certificate(), sha256())
              .error()
              .what.starts_with("no private key in PEM form"));
    auto store = verifier();
    CHECK(store.add(certificate()).error().what.ends_with("is there twice"));
  }
}
