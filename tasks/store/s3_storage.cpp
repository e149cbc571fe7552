#include "tasks/store/s3_storage.hpp"

#include "protocol/time.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/object_key.hpp"
#include "tasks/store/s3_signature.hpp"
#include "tasks/store/unnamed_file.hpp"

#include <unistd.h>

#include <boost/url/parse.hpp>
#include <pugixml.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace celeriac {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t whole_put = 10u << 20;  // beyond it an object is sent in parts
constexpr std::uint64_t least_part = 8u << 20;  // S3 takes none below 5 MiB, and
constexpr std::uint64_t most_parts = 10'000;    // not more than these
constexpr std::uint64_t page = 4u << 20;        // read at a time
constexpr int attempts = 4;
constexpr auto first_pause = 200ms;

[[noreturn]] void refuse(const std::string& why) {
  throw StorageError(StorageFailure::refused, "storage_root: " + why);
}

struct Bucket {
  std::string origin, name, path;  // "https://host:port", "/bucket" and "/bucket/prefix/" encoded
  std::string prefix;              // "prefix/", of every key
  S3Access access;
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

Bucket read_bucket(const std::string& text) {
  const std::string bare = text.substr(std::string_view("s3+").size());  // `parsed` looks into it
  const auto parsed = boost::urls::parse_uri(bare);
  if (!parsed || parsed->host().empty()) refuse("not s3+https://key:secret@host/bucket?region=...");
  Bucket out;
  out.origin = std::string(parsed->scheme()) + "://" + std::string(parsed->encoded_host_and_port());
  std::string path = parsed->path();
  while (path.ends_with('/')) path.pop_back();
  if (path.size() < 2) refuse("the URL names no bucket");
  const auto slash = std::min(path.find('/', 1), path.size());
  out.name = encode_s3_path(path.substr(0, slash));
  out.path = encode_s3_path(path + "/");
  if (slash < path.size()) out.prefix = path.substr(slash + 1) + "/";
  out.access.key = parsed->user(), out.access.secret = parsed->password();
  if (out.access.key.empty()) {
    out.access.key = environment("AWS_ACCESS_KEY_ID");
    out.access.secret = environment("AWS_SECRET_ACCESS_KEY");
  }
  if (out.access.key.empty() || out.access.secret.empty()) refuse("the bucket's key and secret are missing");
  out.access.region = "us-east-1";
  for (const auto& parameter : parsed->params()) {
    if (std::string_view(parameter.key) == "region") out.access.region = parameter.value;
  }
  return out;
}

// What an object is made of before its name is known: a file here, and its digest.
class Spooled {
 public:
  Spooled(Reader& source, std::uint64_t max_bytes) { receive(source, max_bytes); }

  std::string path() const { return file_.path(); }
  std::uint64_t size() const { return size_; }
  const std::string& sha256() const { return sha256_; }

  std::string part(std::uint64_t offset, std::uint64_t length) const {
    std::string bytes(std::min(length, size_ - offset), '\0');
    for (std::size_t got = 0; got < bytes.size();) {
      const auto count =
          ::pread(file_.fd(), bytes.data() + got, bytes.size() - got, static_cast<off_t>(offset + got));
      if (count == 0) throw StorageError(StorageFailure::io, "a temporary file became shorter");
      if (count < 0 && errno != EINTR) fail();
      if (count > 0) got += static_cast<std::size_t>(count);
    }
    return bytes;
  }

 private:
  void receive(Reader& source, std::uint64_t max_bytes) {
    Sha256 digest;
    std::array<char, 64 * 1024> buffer;
    while (const auto count = source.read(buffer)) {
      size_ += count;
      if (size_ > max_bytes)
        throw StorageError(StorageFailure::too_large, "more than " + std::to_string(max_bytes) + " bytes");
      digest.update({buffer.data(), count});
      write({buffer.data(), count});
    }
    sha256_ = digest.hex();
  }
  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = ::write(file_.fd(), bytes.data(), bytes.size());
      if (count < 0 && errno != EINTR) fail();
      if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  [[noreturn]] static void fail() {
    throw StorageError(StorageFailure::io, "a temporary file: " + std::generic_category().message(errno));
  }

  UnnamedFile file_;
  std::string sha256_;
  std::uint64_t size_ = 0;
};

std::string digest_of(std::string_view bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.hex();
}

// <Error><Code>AccessDenied</Code>...: what the server says of itself.
std::string code_of(const std::string& body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return {};
  return document.child("Error").child_value("Code");
}

class S3 {
 public:
  explicit S3(Bucket bucket) : bucket_(std::move(bucket)) {}

  const Bucket& bucket() const { return bucket_; }
  std::string path_of(const std::string& key) const { return bucket_.path + encode_s3_path(key); }

  // Tries again what is worth it; a 404 and a 416 are answers, every other failure is thrown.
  HttpResponse ask(HttpRequest request, const std::string& path, const std::string& query = "") const {
    request.url = bucket_.origin + path + (query.empty() ? "" : "?" + query);
    request.user = bucket_.access.key, request.password = bucket_.access.secret;
    request.aws_sigv4 = "aws:amz:" + bucket_.access.region + ":s3";
    if (std::ranges::none_of(request.headers,
                             [](const auto& header) { return header.first == digest_header; }))
      request.headers.emplace_back(digest_header, digest_of(request.body));
    request.deadline = 10min;
    auto pause = first_pause;
    for (int attempt = 1;; ++attempt) {
      const HttpResult result = http_fetch(request);
      const bool last = attempt == attempts;
      if (result) {
        const int status = result->status;
        if ((status >= 200 && status < 300) || status == 404 || status == 416) return *result;
        const bool passing = status == 429 || status >= 500;
        if (!passing || last) throw failure(*result, path);
      } else if (last || result.error().kind == HttpFailure::malformed) {
        throw StorageError(StorageFailure::io, result.error().message);
      }
      std::this_thread::sleep_for(pause);
      pause *= 2;
    }
  }

  static constexpr const char* digest_header = "x-amz-content-sha256";

 private:
  StorageError failure(const HttpResponse& response, const std::string& path) const {
    const std::string code = code_of(response.body);
    const auto kind =
        response.status == 403 || response.status == 400 ? StorageFailure::refused : StorageFailure::io;
    return {kind, bucket_.origin + path + ": " + std::to_string(response.status) +
                      (code.empty() ? "" : " " + code)};
  }

  Bucket bucket_;
};

HttpRequest request_of(const char* method) {
  HttpRequest request;
  request.method = method;
  return request;
}

// Page by page; all pages are of the object that was there at the first.
class S3Reader : public Reader {
 public:
  S3Reader(const S3& s3, std::string path) : s3_(s3), path_(std::move(path)) { fetch(); }

  std::size_t read(std::span<char> buffer) override {
    if (at_ == page_.size() && offset_ < size_) fetch();
    const std::size_t count = std::min(buffer.size(), page_.size() - at_);
    std::copy_n(page_.begin() + static_cast<std::ptrdiff_t>(at_), count, buffer.begin());
    at_ += count;
    return count;
  }

 private:
  void fetch() {
    HttpRequest request = request_of("GET");
    request.headers.emplace_back(
        "range", "bytes=" + std::to_string(offset_) + "-" + std::to_string(offset_ + page - 1));
    if (!etag_.empty()) request.headers.emplace_back("if-match", etag_);
    const HttpResponse response = s3_.ask(std::move(request), path_);
    if (response.status == 404) throw StorageError(StorageFailure::not_found, path_ + ": no such object");
    page_.clear(), at_ = 0;
    if (response.status == 416) return;                          // an empty object has no first byte
    const std::string range = response.header("content-range");  // bytes 0-99/1234
    const auto slash = range.find('/');
    size_ = slash == std::string::npos ? response.body.size()
                                       : std::strtoull(range.c_str() + slash + 1, nullptr, 10);
    etag_ = response.header("etag");
    page_ = response.body;
    offset_ += page_.size();
    if (page_.empty() && offset_ < size_) throw StorageError(StorageFailure::io, path_ + ": an empty page");
  }

  S3 s3_;
  std::string path_, etag_, page_;
  std::size_t at_ = 0;
  std::uint64_t offset_ = 0, size_ = 0;
};

class S3Storage : public Storage {
 public:
  explicit S3Storage(Bucket bucket) : s3_(std::move(bucket)) {}

  StoredObject put(Reader& source, std::string_view extension, std::uint64_t max_bytes) override {
    check_extension(extension);
    Spooled spooled(source, max_bytes);
    StoredObject stored = named(content_key(spooled.sha256(), extension), spooled);
    // Same name, same bytes; another size is an object that some other hand has damaged.
    if (size_of(stored.key) != spooled.size()) send(stored.key, spooled);
    return stored;
  }

  StoredObject put_as(Reader& source, std::string_view key, std::uint64_t max_bytes) override {
    check_key(key);
    Spooled spooled(source, max_bytes);
    send(std::string(key), spooled);
    return named(std::string(key), spooled);
  }

  std::unique_ptr<Reader> open(std::string_view uri) override {
    if (uri.starts_with(file_scheme)) return open_file(std::string(uri.substr(file_scheme.size())));
    return std::make_unique<S3Reader>(s3_, s3_.path_of(key_of(uri)));
  }

  bool exists(std::string_view uri) override {
    if (!uri.starts_with(file_scheme)) return size_of(key_of(uri)).has_value();
    std::error_code ignored;
    return std::filesystem::is_regular_file(uri.substr(file_scheme.size()), ignored);
  }

  bool remove(std::string_view uri) override {
    const std::string key = key_of(uri);
    if (!size_of(key)) return false;
    s3_.ask(request_of("DELETE"), s3_.path_of(key));
    return true;
  }

  std::string signed_url(std::string_view uri, std::chrono::seconds valid) override {
    const Bucket& bucket = s3_.bucket();
    return sign_s3_url(bucket.access, bucket.origin, s3_.path_of(key_of(uri)),
                       static_cast<int>(valid.count()), std::chrono::system_clock::now());
  }

  int sweep(std::chrono::seconds age) override {
    const double oldest = unix_now() - static_cast<double>(age.count());
    const Bucket& bucket = s3_.bucket();
    std::string key_marker, id_marker;
    int removed = 0;
    for (;;) {
      const HttpResponse response =
          s3_.ask(request_of("GET"), bucket.name,
                  "key-marker=" + url_encode(key_marker) + "&prefix=" + url_encode(bucket.prefix) +
                      "&upload-id-marker=" + url_encode(id_marker) + "&uploads=");
      must_exist(response, bucket.name);
      pugi::xml_document document;
      document.load_buffer(response.body.data(), response.body.size());
      const auto list = document.child("ListMultipartUploadsResult");
      if (!list) throw StorageError(StorageFailure::io, bucket.name + ": the server lists no uploads");
      for (const auto upload : list.children("Upload")) {
        const auto begun = parse_iso8601(upload.child_value("Initiated"));
        const std::string key = upload.child_value("Key");
        if (!begun || *begun > oldest || !key.starts_with(bucket.prefix)) continue;
        s3_.ask(request_of("DELETE"), bucket.name + encode_s3_path("/" + key),
                "uploadId=" + url_encode(upload.child_value("UploadId")));
        ++removed;
      }
      const std::string key = list.child_value("NextKeyMarker"), id = list.child_value("NextUploadIdMarker");
      const bool further = key != key_marker || id != id_marker;
      if (std::string_view(list.child_value("IsTruncated")) != "true" || !further) return removed;
      key_marker = key, id_marker = id;
    }
  }

 private:
  static StoredObject named(std::string key, const Spooled& spooled) {
    StoredObject stored;
    stored.uri = std::string(storage_scheme) + key;
    stored.key = std::move(key);
    stored.sha256 = spooled.sha256();
    stored.size = spooled.size();
    return stored;
  }

  std::optional<std::uint64_t> size_of(const std::string& key) const {
    const HttpResponse response = s3_.ask(request_of("HEAD"), s3_.path_of(key));
    if (response.status == 404) return std::nullopt;
    return std::strtoull(response.header("content-length").c_str(), nullptr, 10);
  }

  static void must_exist(const HttpResponse& response, const std::string& path) {
    if (response.status == 404)
      throw StorageError(StorageFailure::io,
                         path + ": " + (code_of(response.body).empty() ? "404" : code_of(response.body)));
  }

  void send(const std::string& key, Spooled& spooled) const {
    if (spooled.size() > whole_put) return send_parts(key, spooled);
    HttpRequest request = request_of("PUT");
    if (spooled.size() > 0) request.body_file = spooled.path();
    request.headers.emplace_back(S3::digest_header, spooled.sha256());
    must_exist(s3_.ask(std::move(request), s3_.path_of(key)), s3_.path_of(key));
  }

  void send_parts(const std::string& key, Spooled& spooled) const {
    const std::string path = s3_.path_of(key);
    const HttpResponse begun = s3_.ask(request_of("POST"), path, "uploads=");
    must_exist(begun, path);
    pugi::xml_document document;
    document.load_buffer(begun.body.data(), begun.body.size());
    const std::string id = document.child("InitiateMultipartUploadResult").child_value("UploadId");
    if (id.empty()) throw StorageError(StorageFailure::io, path + ": the server named no upload");
    const std::string upload = "uploadId=" + url_encode(id);
    try {
      finish(path, upload, send_each(path, upload, spooled));
    } catch (const StorageError&) {
      try {
        s3_.ask(request_of("DELETE"), path, upload);  // parts that nobody completes cost money
      } catch (const StorageError&) {
        // The first failure is the one to tell of; sweep() removes what is left.
      }
      throw;
    }
  }

  std::vector<std::string> send_each(const std::string& path, const std::string& upload,
                                     Spooled& spooled) const {
    const std::uint64_t size = std::max(least_part, spooled.size() / (most_parts - 1) + 1);
    std::vector<std::string> tags;
    for (std::uint64_t offset = 0; offset < spooled.size(); offset += size) {
      HttpRequest request = request_of("PUT");
      request.body = spooled.part(offset, size);
      const HttpResponse response =
          s3_.ask(std::move(request), path, "partNumber=" + std::to_string(tags.size() + 1) + "&" + upload);
      must_exist(response, path);
      tags.push_back(response.header("etag"));
    }
    return tags;
  }

  void finish(const std::string& path, const std::string& upload,
              const std::vector<std::string>& tags) const {
    pugi::xml_document document;
    auto root = document.append_child("CompleteMultipartUpload");
    for (std::size_t i = 0; i < tags.size(); ++i) {
      auto part = root.append_child("Part");
      part.append_child("PartNumber").text() = static_cast<unsigned long long>(i + 1);
      part.append_child("ETag").text() = tags[i].c_str();
    }
    std::ostringstream text;
    document.save(text, "", pugi::format_raw);
    HttpRequest request = request_of("POST");
    request.body = text.str();
    const HttpResponse response = s3_.ask(std::move(request), path, upload);
    must_exist(response, path);
    // A 200 that was begun before the parts were joined may turn out to be an error.
    if (const std::string code = code_of(response.body); !code.empty())
      throw StorageError(StorageFailure::io, path + ": " + code);
  }

  S3 s3_;
};

}  // namespace

std::unique_ptr<Storage> make_s3_storage(const std::string& url) {
  return std::make_unique<S3Storage>(read_bucket(url));
}

}  // namespace celeriac
