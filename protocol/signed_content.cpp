#include "protocol/signed_content.hpp"

#include "protocol/base64.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <optional>
#include <vector>

namespace celeriac {
namespace {

constexpr std::string_view separator("\x00\x01", 2);

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Bio read_only(std::string_view text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

const unsigned char* octets(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason ? reason : "unknown reason";
}

std::string issuer_values(const X509* certificate) {
  std::string text;
  const X509_NAME* issuer = X509_get_issuer_name(certificate);
  for (int i = 0; i < X509_NAME_entry_count(issuer); ++i) {
    unsigned char* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(issuer, i)));
    if (size < 0) continue;
    if (!text.empty()) text += ' ';
    text.append(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
    OPENSSL_free(utf8);
  }
  return text;
}

std::string decimal_serial(const X509* certificate) {
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr), &BN_free);
  char* digits = number ? BN_bn2dec(number.get()) : nullptr;
  const std::string text = digits ? digits : "";
  OPENSSL_free(digits);
  return text;
}

// PSS with MGF1 of the same digest and the longest salt, as Celery signs.
bool use_pss(EVP_PKEY_CTX* key) {
  return EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(key, RSA_PSS_SALTLEN_MAX) > 0;
}

// Takes what stands before the next separator off `rest`.
std::optional<std::string_view> next_field(std::string_view& rest) {
  const auto end = rest.find(separator);
  if (end == std::string_view::npos) return {};
  const auto field = rest.substr(0, end);
  rest.remove_prefix(end + separator.size());
  return field;
}

}  // namespace

Expected<const EVP_MD*> find_digest(const std::string& name) {
  if (const EVP_MD* digest = EVP_get_digestbyname(name.c_str())) return digest;
  return unexpected("unknown digest '" + name + "' (known: sha256, sha384, sha512, ...)");
}

Expected<Certificate> Certificate::from_pem(std::string_view pem) {
  Certificate certificate;
  const Bio bio = read_only(pem);
  certificate.x509_.reset(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
  if (!certificate.x509_) return unexpected("no certificate in PEM form: " + openssl_reason());
  certificate.key_.reset(X509_get_pubkey(certificate.x509_.get()), &EVP_PKEY_free);
  if (!certificate.key_ || EVP_PKEY_get_base_id(certificate.key_.get()) != EVP_PKEY_RSA)
    return unexpected("the certificate's key is no RSA key");
  certificate.id_ = issuer_values(certificate.x509_.get()) + ' ' + decimal_serial(certificate.x509_.get());
  if (X509_cmp_current_time(X509_get0_notAfter(certificate.x509_.get())) <= 0)
    return unexpected("certificate '" + certificate.id_ + "' has expired");
  return certificate;
}

std::size_t Certificate::signature_bytes() const {
  return static_cast<std::size_t>(EVP_PKEY_get_size(key_.get()));
}

bool Certificate::verify(std::string_view body, std::string_view signature, const EVP_MD* digest) const {
  const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_PKEY_CTX* key = nullptr;
  const bool good =
      context && EVP_DigestVerifyInit(context.get(), &key, digest, nullptr, key_.get()) > 0 && use_pss(key) &&
      EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(body), body.size()) == 1;
  ERR_clear_error();
  return good;
}

Expected<Signer> Signer::create(std::string_view key_pem, std::string_view password,
                                const Certificate& certificate, const EVP_MD* digest) {
  Signer signer;
  const Bio bio = read_only(key_pem);
  // Without a callback of its own OpenSSL would ask at the terminal.
  const auto give_password = [](char* out, int size, int, void* given) {
    const auto& text = *static_cast<const std::string_view*>(given);
    const auto count = std::min(text.size(), static_cast<std::size_t>(size));
    text.copy(out, count);
    return static_cast<int>(count);
  };
  signer.key_.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, give_password, &password), &EVP_PKEY_free);
  if (!signer.key_) return unexpected("no private key in PEM form, or another password: " + openssl_reason());
  if (EVP_PKEY_get_base_id(signer.key_.get()) != EVP_PKEY_RSA) return unexpected("it is no RSA key");
  signer.signer_ = certificate.id();
  signer.digest_ = digest;
  return signer;
}

Expected<std::string> Signer::sign(const SignedContent& content, SignedLayout layout) const {
  const Context context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  EVP_PKEY_CTX* key = nullptr;
  std::string signature(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())), '\0');
  std::size_t size = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), &key, digest_, nullptr, key_.get()) <= 0 ||
      !use_pss(key) ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     octets(content.body), content.body.size()) <= 0) {
    return unexpected("cannot sign: " + openssl_reason());
  }
  signature.resize(size);
  const bool raw = layout == SignedLayout::celery_5_2;
  std::string fields = raw ? signer_ : base64_encode(signer_);
  fields.append(separator).append(raw ? signature : base64_encode(signature));
  fields.append(separator).append(content.content_type);
  fields.append(separator).append(content.content_encoding);
  fields.append(separator).append(content.body);
  return base64_encode(fields);
}

Expected<bool> Verifier::add(Certificate certificate) {
  std::string id = certificate.id();
  if (!certificates_.emplace(id, std::move(certificate)).second)
    return unexpected("certificate '" + id + "' is there twice");
  return true;
}

Expected<SignedContent> Verifier::open(std::string_view text) const {
  const auto fields = base64_decode(text);
  if (!fields) return unexpected("signed body: " + fields.error().what);
  std::string_view rest = *fields;
  const auto cut_short = [] { return unexpected("signed body: a field is missing"); };
  const auto name = next_field(rest);
  if (!name) return cut_short();

  std::string signature;
  auto certificate = certificates_.find(*name);
  if (certificate != certificates_.end()) {  // raw: the signature may hold the separator's bytes
    const std::size_t size = certificate->second.signature_bytes();
    if (rest.size() < size + separator.size() || rest.substr(size, separator.size()) != separator)
      return cut_short();
    signature = rest.substr(0, size);
    rest.remove_prefix(size + separator.size());
  } else {
    const auto signer = base64_decode(*name);
    if (signer) certificate = certificates_.find(*signer);
    if (certificate == certificates_.end())
      return unexpected("signed body: the signer's certificate is not in the store");
    const auto encoded = next_field(rest);
    if (!encoded) return cut_short();
    auto decoded = base64_decode(*encoded);
    if (!decoded) return unexpected("signed body: signature: " + decoded.error().what);
    signature = std::move(*decoded);
  }
  const auto type = next_field(rest);
  const auto encoding = type ? next_field(rest) : std::nullopt;
  if (!encoding) return cut_short();
  if (!certificate->second.verify(rest, signature, digest_))
    return unexpected("signed body: bad signature of '" + certificate->first + "'");
  return SignedContent{std::string(*type), std::string(*encoding), std::string(rest)};
}

}  // namespace celeriac
