// kombu's `auth` serializer: a serialized body with an RSA-PSS signature and the name of the certificate it
// was made with, in one base64 text of content type application/data. The body is verified before anything
// looks into it.
//
// Celery 5.6 writes signer and signature as base64 within the text, Celery 5.2 as raw bytes; they cannot read
// one another's. Both are read here, and either can be written.
#pragma once

#include "protocol/error.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

typedef struct evp_pkey_st EVP_PKEY;
typedef struct x509_st X509;
typedef struct evp_md_st EVP_MD;

namespace celeriac {

constexpr std::string_view signed_content_type = "application/data";

struct SignedContent {
  std::string content_type, content_encoding, body;  // what was signed is the body
};

enum class SignedLayout : std::uint8_t { celery_5_2, celery_5_6 };

// A digest by OpenSSL's name for it, e.g. "sha256".
Expected<const EVP_MD*> find_digest(const std::string& name);

// An X.509 certificate with an RSA key.
class Certificate {
 public:
  // The Error says what is wrong with the text, or that the certificate has expired.
  static Expected<Certificate> from_pem(std::string_view pem);

  // "<values of the issuer's attributes> <serial number in decimal>": how messages name their signer.
  const std::string& id() const { return id_; }
  std::size_t signature_bytes() const;
  bool verify(std::string_view body, std::string_view signature, const EVP_MD* digest) const;

 private:
  std::shared_ptr<X509> x509_;
  std::shared_ptr<EVP_PKEY> key_;
  std::string id_;
};

// Makes signatures. Immutable; may be used by several threads.
class Signer {
 public:
  // `password` may be empty. The Error never holds key material.
  static Expected<Signer> create(std::string_view key_pem, std::string_view password,
                                 const Certificate& certificate, const EVP_MD* digest);

  Expected<std::string> sign(const SignedContent& content, SignedLayout layout) const;

 private:
  std::shared_ptr<EVP_PKEY> key_;
  std::string signer_;
  const EVP_MD* digest_ = nullptr;
};

// The certificates whose messages are believed. Immutable once filled.
class Verifier {
 public:
  explicit Verifier(const EVP_MD* digest) : digest_(digest) {}

  // Fails when there is one of that id already.
  Expected<bool> add(Certificate certificate);
  std::size_t size() const { return certificates_.size(); }

  // The Error names what is wrong: not base64, cut short, an unknown signer, a bad signature.
  Expected<SignedContent> open(std::string_view text) const;

 private:
  const EVP_MD* digest_;
  std::map<std::string, Certificate, std::less<>> certificates_;  // by id
};

}  // namespace celeriac
