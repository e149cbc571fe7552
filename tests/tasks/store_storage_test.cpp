#include "tasks/store/storage.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

using namespace celeriac;
namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "celeriac-storage-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::size_t files_below(const fs::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) count += entry.is_regular_file();
  return count;
}

StorageFailure failure_of(Storage& storage, std::string_view uri) {
  try {
    storage.open(uri);
  } catch (const StorageError& error) {
    return error.kind;
  }
  FAIL("opened");
  return StorageFailure::io;
}

// Fails after some bytes, as a connection does.
class BreakingReader : public Reader {
 public:
  std::size_t read(std::span<char> buffer) override {
    if (left_-- == 0) throw StorageError(StorageFailure::io, "broken off");
    std::fill(buffer.begin(), buffer.end(), 'x');
    return buffer.size();
  }

 private:
  int left_ = 2;
};

}  // namespace

TEST_CASE("an object is named by its content and stored once") {
  const Folder folder;
  const auto storage = make_storage((folder.path() / "root").string());
  const auto stored = storage->put(*read_memory("abc"), ".pdf", 100);
  CHECK(stored.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(stored.uri == "storage://originals/ba/78/" + stored.sha256 + ".pdf");
  CHECK(stored.size == 3);
  CHECK(storage->put(*read_memory("abc"), ".pdf", 100).uri == stored.uri);
  CHECK(files_below(folder.path()) == 1);
  CHECK(storage->exists(stored.uri));
  CHECK(storage->get(stored.uri, 3) == "abc");
  CHECK_THROWS_AS(storage->get(stored.uri, 2), StorageError);
}

TEST_CASE("an object that breaks off or is too large leaves nothing") {
  const Folder folder;
  const auto storage = make_storage(folder.path().string());
  BreakingReader breaking;
  CHECK_THROWS_AS(storage->put(breaking, ".pdf", 1 << 30), StorageError);
  CHECK_THROWS_AS(storage->put(*read_memory(std::string(1000, 'x')), ".pdf", 999), StorageError);
  CHECK(files_below(folder.path()) == 0);
}

TEST_CASE("writers of the same object at once leave one whole object") {
  const Folder folder;
  const auto storage = make_storage(folder.path().string());
  const std::string bytes(1 << 20, 'y');
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i)
    writers.emplace_back([&] { storage->put(*read_memory(bytes), ".bin", 2 << 20); });
  for (auto& writer : writers) writer.join();
  CHECK(files_below(folder.path()) == 1);
  CHECK(storage->get(storage->put(*read_memory(bytes), ".bin", 2 << 20).uri, 2 << 20) == bytes);
}

TEST_CASE("no URI leads out of the root") {
  const Folder folder;
  std::ofstream(folder.path() / "secret") << "secret";
  const auto storage = make_storage((folder.path() / "root").string());
  storage->put(*read_memory("abc"), ".pdf", 100);
  fs::create_directory_symlink(folder.path(), folder.path() / "root" / "link");
  fs::create_symlink(folder.path() / "secret", folder.path() / "root" / "alias");
  for (const std::string uri :
       {"storage://../secret", "storage:///etc/passwd", "storage://originals/../../secret",
        "storage://./../secret", "storage://", "storage://.", "storage://originals//../../secret",
        "storage://link/secret", "storage://alias", "http://example.com/x", "s3://bucket/key", "secret"}) {
    CAPTURE(uri);
    CHECK(failure_of(*storage, uri) == StorageFailure::refused);
  }
  CHECK(failure_of(*storage, std::string("storage://a\0b", 13)) == StorageFailure::refused);
  CHECK(failure_of(*storage, "storage://originals/none") == StorageFailure::not_found);
}

TEST_CASE("only regular files are read") {
  const Folder folder;
  const std::string pipe = (folder.path() / "pipe").string();
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  for (const std::string& path : {std::string("/dev/zero"), folder.path().string(), pipe}) {
    CAPTURE(path);
    CHECK_THROWS_AS(open_file(path), StorageError);
  }
  CHECK_THROWS_AS(open_file((folder.path() / "missing").string()), StorageError);
}

TEST_CASE("a strange extension or root is refused") {
  const Folder folder;
  const auto storage = make_storage(folder.path().string());
  for (const std::string extension : {"/../x", ".p/f", "pdf", ".PDF", ".verylongextension"}) {
    CAPTURE(extension);
    CHECK_THROWS_AS(storage->put(*read_memory("abc"), extension, 100), StorageError);
  }
  for (const char* wrong :
       {"s3://bucket", "s3+https://key:secret@host", "s3+https://key:secret@/bucket", "s3+http://host/b"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(make_storage(wrong), StorageError);
  }
  CHECK_THROWS_AS(make_storage(""), StorageError);
  CHECK_NOTHROW(make_storage("file://" + folder.path().string())->put(*read_memory("abc"), "", 100));
}
