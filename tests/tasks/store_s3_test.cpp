// Storage in a bucket: against a server that does what servers do and worse, and, where CELERIAC_VERSITYGW
// names one, against a real one that checks every signature (suite "server").
#include "protocol/time.hpp"
#include "tasks/engines/http.hpp"
#include "tasks/store/digest.hpp"
#include "tasks/store/s3_signature.hpp"
#include "tasks/store/s3_storage.hpp"
#include "tests/tasks/scripted_server.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

using namespace celeriac;
using namespace std::chrono_literals;
using testing::Received;
using testing::ScriptedServer;
using Connection = ScriptedServer::Connection;

namespace {

std::unique_ptr<Storage> bucket_at(const std::string& url, const std::string& secret = "SK") {
  return make_storage("s3+http://AK:" + secret + "@" + url.substr(7) + "/bucket/invoices?region=us-east-1");
}

std::string large_object() {
  std::string bytes(21u << 20, '\0');  // three parts
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>((i * 2654435761u) >> 13);
  return bytes;
}

StorageFailure failure_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const StorageError& error) {
    CHECK(std::string(error.what()).find("SK") == std::string::npos);
    return error.kind;
  }
  FAIL("nothing was thrown");
  return StorageFailure::io;
}

// versitygw on a folder of its own.
class S3Server {
 public:
  S3Server() {
    std::string folder = (std::filesystem::temp_directory_path() / "celeriac-s3-server-XXXXXX").string();
    folder_ = ::mkdtemp(folder.data());
    std::filesystem::create_directories(folder_ / "data" / "bucket");
    const std::string address = "127.0.0.1:" + std::to_string(free_port());
    url_ = "http://" + address;
    const std::string program = std::getenv("CELERIAC_VERSITYGW"), data = (folder_ / "data").string();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execl(program.c_str(), program.c_str(), "--quiet", "--access", "AK", "--secret", "SK", "--port",
              address.c_str(), "posix", data.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    HttpRequest request;
    request.url = url_;
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!http_fetch(request)) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      std::this_thread::sleep_for(50ms);
    }
  }
  ~S3Server() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    std::filesystem::remove_all(folder_);
  }
  const std::string& url() const { return url_; }
  std::filesystem::path bucket() const { return folder_ / "data" / "bucket"; }

 private:
  static int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    ::close(fd);
    return ntohs(address.sin_port);
  }

  std::filesystem::path folder_;
  std::string url_;
  pid_t pid_ = -1;
};

// This program once more, uploading one large object.
class Uploader {
 public:
  Uploader(const std::string& url, const std::string& key) {
    ::setenv("CELERIAC_UPLOAD_URL", url.c_str(), 1);
    ::setenv("CELERIAC_UPLOAD_KEY", key.c_str(), 1);
    char program[] = "/proc/self/exe", only[] = "--test-case=uploads for another";
    char* const arguments[] = {program, only, nullptr};
    const int failed = ::posix_spawn(&pid_, program, nullptr, nullptr, arguments, environ);
    ::unsetenv("CELERIAC_UPLOAD_URL");
    REQUIRE(failed == 0);
  }
  void kill() const {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
};

// Where versitygw keeps the parts of unfinished uploads.
bool any_part(const std::filesystem::path& bucket) {
  std::error_code changing;
  for (std::filesystem::recursive_directory_iterator entry(bucket / ".sgwtmp", changing), end;
       !changing && entry != end; entry.increment(changing)) {
    std::error_code gone;
    if (entry->is_regular_file(gone) && entry->path().filename() == "1") return true;
  }
  return false;
}

}  // namespace

TEST_CASE("uploads for another" * doctest::skip(std::getenv("CELERIAC_UPLOAD_URL") == nullptr)) {
  const std::string bytes = large_object();
  bucket_at(std::getenv("CELERIAC_UPLOAD_URL"))
      ->put_as(*read_memory(bytes), std::getenv("CELERIAC_UPLOAD_KEY"), 1u << 30);
}

TEST_CASE("a signed address is the one of Amazon's own example") {
  // https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
  const S3Access access{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"};
  const std::chrono::sys_seconds time{1369353600s};  // 2013-05-24
  const std::string url =
      sign_s3_url(access, "https://examplebucket.s3.amazonaws.com", "/test.txt", 86400, time);
  CHECK(url.ends_with("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"));
  CHECK(encode_s3_path("a b/\xC3\xA4+~_-.") == "a%20b/%C3%A4%2B~_-.");
}

TEST_CASE("each request is signed with the digest of what it carries") {
  std::mutex mutex;
  std::vector<Received> requests;
  ScriptedServer server([&](const Received& got, Connection& to) {
    const std::lock_guard lock(mutex);
    requests.push_back(got);
    to.reply(got.method == "HEAD" ? 404 : 200, "");
  });
  const auto stored = bucket_at(server.url())->put(*read_memory("abc"), ".pdf", 100);
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].method == "PUT");
  CHECK(requests[1].target == "/bucket/invoices/" + stored.key);
  CHECK(requests[1].body == "abc");
  CHECK(requests[1].headers.at("x-amz-content-sha256") == stored.sha256);
  CHECK(requests[1].headers.at("authorization").find("x-amz-content-sha256") != std::string::npos);
}

TEST_CASE("a server that is busy is asked again, one that refuses is not") {
  std::atomic<int> busy{2};
  ScriptedServer server([&](const Received&, Connection& to) {
    busy-- > 0 ? to.reply(503, "<Error><Code>SlowDown</Code></Error>") : to.reply(200, "");
  });
  bucket_at(server.url())->put_as(*read_memory("abc"), "exports/x", 100);
  CHECK(server.requests() == 3);

  ScriptedServer strict([](const Received&, Connection& to) {
    to.reply(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>");
  });
  CHECK(failure_of([&] { bucket_at(strict.url())->put_as(*read_memory("abc"), "exports/x", 100); }) ==
        StorageFailure::refused);
  CHECK(strict.requests() == 1);
}

TEST_CASE("an upload in parts that fails is taken back") {
  for (const std::string fault : {"part", "complete"}) {
    CAPTURE(fault);
    std::atomic<bool> aborted{false};
    ScriptedServer server([&](const Received& got, Connection& to) {
      if (got.target.ends_with("?uploads=")) {
        to.reply(200,
                 "<InitiateMultipartUploadResult><UploadId>u/1</UploadId></InitiateMultipartUploadResult>");
      } else if (got.method == "DELETE") {
        aborted = got.target.ends_with("?uploadId=u%2F1");
        to.reply(204, "");
      } else if (got.method == "PUT") {
        got.target.find("partNumber=2") != std::string::npos&& fault == "part"
            ? to.reply(400, "<Error><Code>BadDigest</Code></Error>")
            : to.reply(200, "", "ETag: \"tag\"\r\n");
      } else {
        to.reply(200, "<Error><Code>InternalError</Code></Error>");  // as S3 does it: the status came first
      }
    });
    const std::string bytes = large_object();
    failure_of([&] { bucket_at(server.url())->put_as(*read_memory(bytes), "exports/x", 1u << 30); });
    CHECK(aborted);
  }
}

TEST_CASE("uploads that nobody goes on with are swept away, page after page; young and foreign ones stay") {
  std::mutex mutex;
  std::vector<std::string> removed;
  const auto upload = [](const std::string& key, const std::string& id, const std::string& begun) {
    return "<Upload><Key>" + key + "</Key><UploadId>" + id + "</UploadId><Initiated>" + begun +
           "</Initiated></Upload>";
  };
  ScriptedServer server([&](const Received& got, Connection& to) {
    if (got.method == "DELETE") {
      const std::lock_guard lock(mutex);
      removed.push_back(got.target);
      return to.reply(removed.size() == 1 ? 404 : 204, "");  // another sweep was faster
    }
    CHECK(got.target.starts_with("/bucket?key-marker="));
    CHECK(got.target.find("&prefix=invoices%2F&") != std::string::npos);
    const std::string head = "<ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    const bool first = got.target.find("key-marker=&") != std::string::npos;
    to.reply(200, first ? head +
                              "<IsTruncated>true</IsTruncated><NextKeyMarker>invoices/b c</NextKeyMarker>"
                              "<NextUploadIdMarker>u 2</NextUploadIdMarker>" +
                              upload("invoices/a", "u/1", "2024-05-01T10:00:00.000Z") +
                              upload("invoices/b c", "u 2", "2024-05-01T10:00:00Z") +
                              "</ListMultipartUploadsResult>"
                        : head + "<IsTruncated>false</IsTruncated>" +
                              upload("invoices/young", "u3", format_iso8601(unix_now())) +
                              upload("others/x", "u4", "2024-05-01T10:00:00.000Z") +
                              upload("invoices/odd", "u5", "no date") + "</ListMultipartUploadsResult>");
  });
  CHECK(bucket_at(server.url())->sweep(1h) == 2);
  CHECK(removed == std::vector<std::string>{"/bucket/invoices/a?uploadId=u%2F1",
                                            "/bucket/invoices/b%20c?uploadId=u%202"});

  ScriptedServer odd([](const Received&, Connection& to) { to.reply(200, "<html>hello</html>"); });
  CHECK(failure_of([&] { bucket_at(odd.url())->sweep(1h); }) == StorageFailure::io);
}

TEST_CASE("what waits to be sent has no name that a killed process could leave") {
  std::string folder = (std::filesystem::temp_directory_path() / "celeriac-s3-spool-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()));
  ::setenv("TMPDIR", folder.c_str(), 1);
  std::atomic<bool> empty{false};
  ScriptedServer server([&](const Received& got, Connection& to) {
    empty = std::filesystem::is_empty(folder);
    to.reply(200, "");
    CHECK(got.body == "abc");
  });
  bucket_at(server.url())->put_as(*read_memory("abc"), "exports/x", 100);
  CHECK(empty);
  ::setenv("TMPDIR", "/nowhere/at/all", 1);
  const auto kind =
      failure_of([&] { bucket_at(server.url())->put_as(*read_memory("abc"), "exports/x", 100); });
  ::unsetenv("TMPDIR");
  CHECK(kind == StorageFailure::io);
  std::filesystem::remove_all(folder);
}

TEST_CASE("an object that is replaced while it is read is not mixed") {
  std::atomic<int> page{0};
  const std::string half(4u << 20, 'x');
  ScriptedServer server([&](const Received& got, Connection& to) {
    if (page++ == 0)
      return to.reply(206, half, "ETag: \"one\"\r\nContent-Range: bytes 0-4194303/8388608\r\n");
    to.reply(got.headers.at("if-match") == "\"one\"" ? 412 : 500,
             "<Error><Code>PreconditionFailed</Code></Error>");
  });
  CHECK(failure_of([&] { bucket_at(server.url())->get("storage://exports/x", 1u << 30); }) ==
        StorageFailure::io);
}

TEST_SUITE("server" * doctest::skip(std::getenv("CELERIAC_VERSITYGW") == nullptr)) {
  TEST_CASE("objects of every size come back as they were") {
    const S3Server server;
    const auto storage = bucket_at(server.url());
    for (const std::string& bytes :
         {std::string(), std::string("abc"), std::string(9u << 20, 'y'), large_object()}) {
      CAPTURE(bytes.size());
      const auto stored = storage->put(*read_memory(bytes), ".bin", 1u << 30);
      CHECK(stored.size == bytes.size());
      CHECK(storage->exists(stored.uri));
      CHECK(storage->get(stored.uri, 1u << 30) == bytes);
      CHECK(storage->put(*read_memory(bytes), ".bin", 1u << 30).uri == stored.uri);
      CHECK(std::filesystem::file_size(server.bucket() / "invoices" / stored.key) == bytes.size());
      CHECK(storage->remove(stored.uri));
      CHECK_FALSE(storage->remove(stored.uri));
      CHECK(failure_of([&] { storage->get(stored.uri, 100); }) == StorageFailure::not_found);
    }
  }

  TEST_CASE("a name is replaced, and may hold what URLs escape") {
    const S3Server server;
    const auto storage = bucket_at(server.url());
    const std::string key = "exports/M\xC3\xBCller & S\xC3\xB6hne (1)+~=.csv";
    storage->put_as(*read_memory("one"), key, 100);
    const auto stored = storage->put_as(*read_memory("two"), key, 100);
    CHECK(storage->get(stored.uri, 100) == "two");
    CHECK(failure_of([&] { storage->put_as(*read_memory("x"), "../out", 100); }) == StorageFailure::refused);
  }

  TEST_CASE("a signed address opens the object to anybody, and no other address does") {
    const S3Server server;
    const auto storage = bucket_at(server.url());
    const auto stored = storage->put(*read_memory("abc"), ".pdf", 100);
    HttpRequest request;
    request.url = storage->signed_url(stored.uri, 1h);
    const auto answer = http_fetch(request);
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->body == "abc");
    request.url.back() = request.url.back() == '0' ? '1' : '0';
    CHECK(http_fetch(request)->status == 403);
  }

  TEST_CASE("a process killed in the middle of an upload leaves no object, and its parts are swept away") {
    const S3Server server;
    const auto storage = bucket_at(server.url());
    const std::string key = "exports/large", bytes = large_object(), uri = "storage://" + key;
    int left = 0;
    for (int attempt = 0; left == 0; ++attempt) {
      REQUIRE(attempt < 20);  // each upload so far was whole before its process died
      const Uploader uploader(server.url(), key);
      // No listing tells of an upload that ended: this one has begun.
      while (!storage->exists(uri) && !any_part(server.bucket())) std::this_thread::sleep_for(1ms);
      uploader.kill();
      left = storage->exists(uri) ? 0 : storage->sweep(0s);
      if (storage->exists(uri)) {
        CHECK(storage->get(uri, 1u << 30) == bytes);
        storage->remove(uri);
      }
      storage->sweep(0s);
    }
    CHECK(left == 1);
    CHECK_FALSE(any_part(server.bucket()));
    CHECK_FALSE(storage->exists(uri));
    storage->put_as(*read_memory(bytes), key, 1u << 30);
    CHECK(storage->get(uri, 1u << 30) == bytes);
    CHECK(storage->sweep(0s) == 0);
  }

  TEST_CASE("a wrong secret is refused") {
    const S3Server server;
    CHECK(failure_of([&] {
            bucket_at(server.url(), "wrong")->put_as(*read_memory("x"), "exports/x", 100);
          }) == StorageFailure::refused);
  }
}
