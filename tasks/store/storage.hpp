// Where documents are kept: content-addressed, so the same bytes are stored once.
//
// A stored object is named by a URI that says which store holds it: storage://<key> for the
// configured store, file:///... for a file on this host. Keys are made of the content's
// SHA-256 (originals/ab/cd/<sha256>.pdf), relative, without "..", and may be shown. The
// interface asks nothing a bucket could not do: no rename, no append, no directory.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace celeriac {

enum class StorageFailure {
  not_found,
  refused,  // outside of the store, not a regular file, an unknown scheme
  too_large,
  io,  // disk full, permissions: worth another try
};

struct StorageError : std::runtime_error {
  StorageError(StorageFailure failure, const std::string& what) : std::runtime_error(what), kind(failure) {}
  StorageFailure kind;
};

// A stream of bytes.
class Reader {
 public:
  virtual ~Reader() = default;
  // Fills the front of `buffer`; 0 at the end. Throws StorageError.
  virtual std::size_t read(std::span<char> buffer) = 0;
};

struct StoredObject {
  std::string uri;     // storage://originals/...
  std::string key;     // the URI without its scheme
  std::string sha256;  // 64 hexadecimal digits
  std::uint64_t size = 0;
};

// Blocking; an object may be used from several threads and processes at once.
class Storage {
 public:
  virtual ~Storage() = default;

  // Streams `source` in. Either the whole object is there afterwards, durably, or nothing is.
  // `extension` (".pdf", may be empty) becomes part of the name. More than `max_bytes` fails
  // with too_large as soon as they have been read.
  virtual StoredObject put(Reader& source, std::string_view extension, std::uint64_t max_bytes) = 0;

  // The same under a name of the caller's: "exports/<job>/<file>". What was there is replaced in one step.
  virtual StoredObject put_as(Reader& source, std::string_view key, std::uint64_t max_bytes) = 0;

  virtual std::unique_ptr<Reader> open(std::string_view uri) = 0;
  virtual bool exists(std::string_view uri) = 0;
  // False: there was none. Only storage:// objects can be removed.
  virtual bool remove(std::string_view uri) = 0;

  // An address from which anybody may read the object for a while; "" when the store has none to give.
  virtual std::string signed_url(std::string_view uri, std::chrono::seconds valid);

  // Removes what writes left behind that were killed in the middle, if it is older than `age`; says how much
  // it was. A write takes minutes: what is hours old has nobody who goes on with it.
  virtual int sweep(std::chrono::seconds age) = 0;

  // The whole object in memory, bounded by `max_bytes`.
  std::string get(std::string_view uri, std::uint64_t max_bytes);
};

// A file of this host. Only regular files: no device, pipe or directory.
std::unique_ptr<Reader> open_file(const std::string& path);

// Bytes in memory, which must outlive the reader.
std::unique_ptr<Reader> read_memory(std::string_view bytes);

// `root` is a folder or a file:// URL of one, made when the first object is stored; or a bucket
// (s3_storage.hpp).
inline bool is_bucket(std::string_view root) {
  return root.starts_with("s3+http://") || root.starts_with("s3+https://");
}
std::unique_ptr<Storage> make_storage(const std::string& root);

}  // namespace celeriac
