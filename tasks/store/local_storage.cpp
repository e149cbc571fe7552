#include "tasks/store/digest.hpp"
#include "tasks/store/object_key.hpp"
#include "tasks/store/s3_storage.hpp"
#include "tasks/store/storage.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace celeriac {
namespace {

[[noreturn]] void fail(const std::string& what, int error) {
  const auto kind = error == ENOENT || error == ENOTDIR                   ? StorageFailure::not_found
                    : error == ELOOP || error == EISDIR || error == ENXIO ? StorageFailure::refused
                                                                          : StorageFailure::io;
  throw StorageError(kind, what + ": " + std::generic_category().message(error));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

class FileReader : public Reader {
 public:
  FileReader(Descriptor file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}

  std::size_t read(std::span<char> buffer) override {
    for (;;) {
      const auto count = ::read(file_.get(), buffer.data(), buffer.size());
      if (count >= 0) return static_cast<std::size_t>(count);
      if (errno != EINTR) fail(name_, errno);
    }
  }

 private:
  Descriptor file_;
  std::string name_;
};

class MemoryReader : public Reader {
 public:
  explicit MemoryReader(std::string_view bytes) : rest_(bytes) {}
  std::size_t read(std::span<char> buffer) override {
    const auto count = std::min(buffer.size(), rest_.size());
    std::copy_n(rest_.data(), count, buffer.data());
    rest_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view rest_;
};

// O_NONBLOCK: opening a pipe must not wait for its writer before fstat can refuse it.
std::unique_ptr<Reader> open_regular(const std::string& path, int extra_flags) {
  if (path.find('\0') != std::string::npos) throw StorageError(StorageFailure::refused, "a NUL in the path");
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | extra_flags));
  if (file.get() < 0) fail(path, errno);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) fail(path, errno);
  if (!S_ISREG(info.st_mode)) throw StorageError(StorageFailure::refused, path + ": not a regular file");
  return std::make_unique<FileReader>(std::move(file), path);
}

void sync_folder(const std::filesystem::path& folder) {
  const Descriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() < 0 || ::fsync(handle.get()) != 0) fail(folder.string(), errno);
}

// Makes the folder and its parents, each of them durable in its own parent.
void make_folders(const std::filesystem::path& folder) {
  if (folder.empty() || std::filesystem::is_directory(folder)) return;
  const auto parent = folder.parent_path();
  make_folders(parent);
  if (::mkdir(folder.c_str(), 0770) != 0) {
    if (errno == EEXIST) return;
    fail(folder.string(), errno);
  }
  sync_folder(parent.empty() ? std::filesystem::path(".") : parent);
}

// A file that vanishes with this object unless it was given its final name.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& folder)
      : path_((folder / "put.XXXXXX").string()), file_(::mkostemp(path_.data(), O_CLOEXEC)) {
    if (file_.get() < 0) fail(path_, errno);
  }
  ~TemporaryFile() {
    if (file_.get() >= 0 && !path_.empty()) ::unlink(path_.c_str());
  }

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = ::write(file_.get(), bytes.data(), bytes.size());
      if (count < 0 && errno != EINTR) fail(path_, errno);
      if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  void become(const std::filesystem::path& target) {
    if (::fchmod(file_.get(), 0640) != 0 || ::fsync(file_.get()) != 0) fail(path_, errno);
    if (::rename(path_.c_str(), target.c_str()) != 0) fail(target.string(), errno);
    path_.clear();
    sync_folder(target.parent_path());
  }

 private:
  std::string path_;
  Descriptor file_;
};

class LocalStorage : public Storage {
 public:
  explicit LocalStorage(std::filesystem::path root) : root_(std::move(root)) {}

  StoredObject put(Reader& source, std::string_view extension, std::uint64_t max_bytes) override {
    check_extension(extension);
    make_folders(root_ / "temp");
    TemporaryFile temporary(root_ / "temp");
    StoredObject stored = receive(source, temporary, max_bytes);
    stored.key = content_key(stored.sha256, extension);
    stored.uri = std::string(storage_scheme) + stored.key;
    const auto target = root_ / stored.key;
    // Same name, same bytes: whoever was first has made it durable. Another size is a file
    // that some other hand has damaged, and is replaced.
    std::error_code missing;
    if (std::filesystem::file_size(target, missing) != stored.size || missing) {
      make_folders(target.parent_path());
      temporary.become(target);
    }
    return stored;
  }

  StoredObject put_as(Reader& source, std::string_view key, std::uint64_t max_bytes) override {
    const std::string uri = std::string(storage_scheme) + std::string(key);
    path_of(uri);  // refuses a key that leads out
    make_folders(root_ / "temp");
    make_folders((root_ / key).parent_path());
    const auto target = path_of(uri);
    TemporaryFile temporary(root_ / "temp");
    StoredObject stored = receive(source, temporary, max_bytes);
    stored.key = std::string(key);
    stored.uri = uri;
    temporary.become(target);
    return stored;
  }

  std::unique_ptr<Reader> open(std::string_view uri) override {
    if (uri.starts_with(file_scheme)) return open_regular(std::string(uri.substr(file_scheme.size())), 0);
    return open_regular(path_of(uri).string(), O_NOFOLLOW);
  }

  bool exists(std::string_view uri) override {
    const auto path =
        uri.starts_with(file_scheme) ? std::filesystem::path(uri.substr(file_scheme.size())) : path_of(uri);
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored);
  }

  bool remove(std::string_view uri) override {
    const auto path = path_of(uri);
    if (::unlink(path.c_str()) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    fail(path.string(), errno);
  }

  int sweep(std::chrono::seconds age) override {
    namespace fs = std::filesystem;
    const auto folder = root_ / "temp";
    const auto oldest = fs::file_time_type::clock::now() - age;
    int removed = 0;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
      std::error_code gone;  // another sweep was faster
      const auto written = fs::last_write_time(entry->path(), gone);
      if (gone || written > oldest || !entry->is_regular_file(gone)) continue;
      removed += fs::remove(entry->path(), gone);
    }
    if (error && error != std::errc::no_such_file_or_directory)
      throw StorageError(StorageFailure::io, folder.string() + ": " + error.message());
    return removed;
  }

 private:
  static StoredObject receive(Reader& source, TemporaryFile& temporary, std::uint64_t max_bytes) {
    Sha256 digest;
    StoredObject stored;
    std::array<char, 64 * 1024> buffer;
    while (const auto count = source.read(buffer)) {
      stored.size += count;
      if (stored.size > max_bytes) {
        throw StorageError(StorageFailure::too_large, "more than " + std::to_string(max_bytes) + " bytes");
      }
      const std::string_view piece(buffer.data(), count);
      digest.update(piece);
      temporary.write(piece);
    }
    stored.sha256 = digest.hex();
    return stored;
  }

  // The folders on the way are resolved: a symbolic link inside of the root must not lead out of it.
  std::filesystem::path path_of(std::string_view uri) const {
    const std::filesystem::path key(key_of(uri));
    std::error_code error;
    const auto real_root = std::filesystem::weakly_canonical(root_, error);
    const auto real_folder = std::filesystem::weakly_canonical((root_ / key).parent_path(), error);
    const auto [end, ignored] =
        std::mismatch(real_root.begin(), real_root.end(), real_folder.begin(), real_folder.end());
    if (error || end != real_root.end()) {
      throw StorageError(StorageFailure::refused, "the URI leads out of the storage root");
    }
    return real_folder / key.filename();
  }

  std::filesystem::path root_;
};

}  // namespace

std::string Storage::get(std::string_view uri, std::uint64_t max_bytes) {
  const auto reader = open(uri);
  std::string bytes;
  std::array<char, 64 * 1024> buffer;
  while (const auto count = reader->read(buffer)) {
    if (bytes.size() + count > max_bytes) {
      throw StorageError(StorageFailure::too_large, "more than " + std::to_string(max_bytes) + " bytes");
    }
    bytes.append(buffer.data(), count);
  }
  return bytes;
}

std::unique_ptr<Reader> open_file(const std::string& path) { return open_regular(path, 0); }
std::unique_ptr<Reader> read_memory(std::string_view bytes) { return std::make_unique<MemoryReader>(bytes); }

std::string Storage::signed_url(std::string_view, std::chrono::seconds) { return {}; }

std::unique_ptr<Storage> make_storage(const std::string& root) {
  if (is_bucket(root)) return make_s3_storage(root);
  std::string folder = root;
  if (folder.starts_with(file_scheme)) folder.erase(0, file_scheme.size());
  if (folder.empty() || folder.find("://") != std::string::npos) {
    throw StorageError(StorageFailure::refused,
                       "storage_root must be a folder, a file:// URL or s3+https://key:secret@host/bucket");
  }
  // The worker may change its directory; the root may not move with it.
  return std::make_unique<LocalStorage>(std::filesystem::absolute(folder).lexically_normal());
}

}  // namespace celeriac
