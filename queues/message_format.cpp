#include "queues/message_format.hpp"

#include "protocol/json.hpp"
#include "protocol/serializer.hpp"

#include <glob.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace celeriac {
namespace {

bool is_auth(const std::string& name) { return name == "auth" || name == signed_content_type; }

Expected<std::string> read_file(const std::string& setting, const std::string& path) {
  if (path.empty()) return unexpected("the serializer 'auth' needs the setting " + setting);
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return unexpected(setting + ": cannot read '" + path + "'");
  return text;
}

// security_cert_store: a folder, or a pattern of file names.
Expected<Verifier> load_store(const std::string& store, const EVP_MD* digest) {
  if (store.empty()) return unexpected("the serializer 'auth' needs the setting security_cert_store");
  const std::string pattern = std::filesystem::is_directory(store) ? store + "/*" : store;
  glob_t found{};
  ::glob(pattern.c_str(), 0, nullptr, &found);
  const std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  Verifier verifier(digest);
  for (const auto& path : paths) {
    const auto text = read_file("security_cert_store", path);
    if (!text) return tl::unexpected(text.error());
    auto certificate = Certificate::from_pem(*text);
    if (!certificate) return unexpected("security_cert_store: " + path + ": " + certificate.error().what);
    if (auto added = verifier.add(std::move(*certificate)); !added)
      return unexpected("security_cert_store: " + path + ": " + added.error().what);
  }
  if (verifier.size() == 0) return unexpected("security_cert_store: no certificate at '" + pattern + "'");
  return verifier;
}

Expected<Signer> load_signer(const Settings& settings, const EVP_MD* digest) {
  const auto key = read_file("security_key", settings.security_key);
  if (!key) return tl::unexpected(key.error());
  const auto pem = read_file("security_certificate", settings.security_certificate);
  if (!pem) return tl::unexpected(pem.error());
  const auto certificate = Certificate::from_pem(*pem);
  if (!certificate) return unexpected("security_certificate: " + certificate.error().what);
  auto signer = Signer::create(*key, settings.security_key_password, *certificate, digest);
  if (!signer) return unexpected("security_key: " + signer.error().what);
  return signer;
}

// The headers with the compression named or, for an empty name, not named any more.
Expected<std::string> with_compression(const std::string& headers, std::string_view type) {
  auto value = parse_json(headers);
  if (!value || !value->is_object()) return unexpected("headers are no JSON object");
  value->erase("compression");
  if (!type.empty()) (*value)["compression"] = type;
  return dump_json(*value);
}

std::string compression_of(const std::string& headers) {
  const auto value = parse_json(headers);
  if (!value || !value->is_object()) return {};
  const auto found = value->find("compression");
  return found != value->end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Undoes the compression, if there is one.
Expected<bool> unpack(Message& message) {
  const std::string name = compression_of(message.headers);
  if (name.empty()) return false;
  const auto compression = find_compression(name);
  if (!compression) return tl::unexpected(compression.error());
  auto body = decompress(*compression, message.body);
  if (!body) return tl::unexpected(body.error());
  auto headers = with_compression(message.headers, {});
  if (!headers) return tl::unexpected(headers.error());
  message.body = std::move(*body);
  message.headers = std::move(*headers);
  return true;
}

bool is_task(const std::string& headers) {
  const auto value = parse_json(headers);
  return value && value->is_object() && value->contains("task");
}

}  // namespace

Expected<MessageFormat> MessageFormat::create(const Settings& settings) {
  MessageFormat format;
  const bool sign = is_auth(settings.task_serializer);
  const auto& accept = settings.accept_content;
  const bool verify = std::any_of(accept.begin(), accept.end(), is_auth);
  if (is_auth(settings.result_serializer))
    return unexpected("result_serializer: results are not signed; use json");
  if (!sign) {
    const auto serializer = find_serializer(settings.task_serializer);
    if (!serializer) return unexpected("task_serializer: " + serializer.error().what);
    if (*serializer != Serializer::json) format.serializer_ = *serializer;
  }
  if (!settings.task_compression.empty()) {
    const auto compression = find_compression(settings.task_compression);
    if (!compression) return unexpected("task_compression: " + compression.error().what);
    format.compression_ = *compression;
  }
  if (!sign && !verify) return format;

  const auto digest = find_digest(settings.security_digest);
  if (!digest) return unexpected("security_digest: " + digest.error().what);
  if (settings.security_layout == "5.2") {
    format.layout_ = SignedLayout::celery_5_2;
  } else if (settings.security_layout != "5.6") {
    return unexpected("security_layout: '" + settings.security_layout + "' is neither 5.2 nor 5.6");
  }
  if (sign) {
    auto signer = load_signer(settings, *digest);
    if (!signer) return tl::unexpected(signer.error());
    format.signer_ = std::move(*signer);
  }
  if (verify) {
    auto store = load_store(settings.security_cert_store, *digest);
    if (!store) return tl::unexpected(store.error());
    format.verifier_ = std::move(*store);
    format.only_signed_ = std::all_of(accept.begin(), accept.end(), is_auth);
  }
  return format;
}

Expected<Message> MessageFormat::seal(Message message) const {
  const bool task = is_task(message.headers);
  // A retry keeps the body it came with, packed as its producer packed it. A signature goes inside.
  if (task && signer_) {
    if (auto done = unpack(message); !done) return tl::unexpected(done.error());
  }
  const bool packed = task && !compression_of(message.headers).empty();
  if (task && serializer_ && !packed && message.content_type == content_type(Serializer::json)) {
    const auto value = parse_json(message.body);
    if (!value) return unexpected("body: " + value.error().what);
    auto bytes = serialize(*serializer_, *value);
    if (!bytes) return unexpected("task_serializer: " + bytes.error().what);
    message.body = std::move(*bytes);
    message.content_type = content_type(*serializer_);
    message.content_encoding = content_encoding(*serializer_);
  }
  if (signer_) {
    auto text = signer_->sign({message.content_type, message.content_encoding, message.body}, layout_);
    if (!text) return tl::unexpected(text.error());
    message.body = std::move(*text);
    message.content_type = signed_content_type;
    message.content_encoding = "utf-8";
  }
  if (task && compression_ && !packed) {
    auto headers = with_compression(message.headers, compression_type(*compression_));
    if (!headers) return tl::unexpected(headers.error());
    message.headers = std::move(*headers);
    message.body = compress(*compression_, message.body);
  }
  return message;
}

Expected<Message> MessageFormat::open(Message message) const {
  if (message.content_type != signed_content_type) {
    if (!only_signed_) return message;
    return unexpected("content type '" + message.content_type.substr(0, 100) +
                      "' is not signed, and accept_content takes signed messages only");
  }
  if (!verifier_) return unexpected("a signed message, and accept_content does not hold auth");
  if (auto done = unpack(message); !done) return tl::unexpected(done.error());
  auto content = verifier_->open(message.body);
  if (!content) return tl::unexpected(content.error());
  message.body = std::move(content->body);
  message.content_type = std::move(content->content_type);
  message.content_encoding = std::move(content->content_encoding);
  return message;
}

}  // namespace celeriac
