#include "queues/connect.hpp"
#include "tests/config/temporary_folder.hpp"
#include "tests/queues/backend_conformance.hpp"
#include "tests/queues/small_disk.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <fstream>
#include <thread>

namespace celeriac::testing {
namespace {

namespace fs = std::filesystem;

BackendUnderTest file_store(const std::string& folder) {
  return {.make = [folder](boost::asio::io_context& io, const Settings& settings) {
    return make_backend(io, settings, "file://" + folder);
  }};
}

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::size_t files(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("the file store keeps its contract") {
  TemporaryFolder folder;
  exercise_backend(file_store(folder.path()));
}

TEST_CASE("files have Celery's names and hold Celery's documents") {
  TemporaryFolder folder;
  Settings settings;
  BackendLoop plain(file_store(folder.path()), settings);
  settings.result_backend_transport_options.global_keyprefix = "shop";
  BackendLoop prefixed(file_store(folder.path()), settings);
  const auto result = result_of("a", state::success, R"({"total": 5})");
  CHECK(plain.store_now(result).ok());
  CHECK(prefixed.store_now(result).ok());
  CHECK(contents(folder.path() + "/celery-task-meta-a") == write_result(result));
  CHECK(contents(folder.path() + "/shop_celery-task-meta-a") == write_result(result));
  CHECK(files(folder.path()) == 2);
}

TEST_CASE("an id that cannot be a file's name is an error for its task alone") {
  TemporaryFolder folder;
  BackendLoop loop(file_store(folder.path()));
  for (const std::string& id :
       {std::string("../escape"), std::string("a\0b", 3), std::string(250, 'x'), std::string("good")})
    loop.store(result_of(id, state::success));
  REQUIRE(loop.flush());
  CHECK(loop.failures == 3);
  CHECK(loop.fetch("good"));
  CHECK_FALSE(loop.fetch(std::string(250, 'x')));
  CHECK(files(folder.path()) == 1);
}

TEST_CASE("a reader never meets half a result") {
  TemporaryFolder folder;
  BackendLoop loop(file_store(folder.path()));
  const std::string value = "\"" + std::string(200000, 'x') + "\"";
  CHECK(loop.store_now(result_of("busy", "PROGRESS", value)).ok());
  std::atomic<bool> stop = false;
  std::atomic<int> looks = 0, broken = 0;
  std::thread reader([&] {
    while (!stop) {
      broken += !read_result(contents(folder.path() + "/celery-task-meta-busy")).has_value();
      ++looks;
    }
  });
  for (int i = 0; i < 100 || looks < 100; ++i) {
    loop.store(result_of("busy", "PROGRESS", value));
    REQUIRE(loop.flush());
  }
  stop = true;
  reader.join();
  CHECK(broken == 0);
}

TEST_CASE("a full disk keeps results waiting") {
  SmallDisk disk;
  if (!disk.available()) {
    MESSAGE("no right to mount: not tried");
    return;
  }
  BackendLoop loop(file_store(disk.folder()));
  CHECK(loop.store_now(result_of("first", state::success)).ok());
  disk.fill();
  const std::string value = "\"" + std::string(5000, 'x') + "\"";
  for (int i = 0; i < 20; ++i) loop.store(result_of("full-" + std::to_string(i), state::success, value));
  REQUIRE(loop.run_until([&] { return loop.times_lost > 0; }));
  CHECK(loop.last_failure.find("No space left") != std::string::npos);
  disk.make_room();
  REQUIRE(loop.flush());
  CHECK(loop.failures == 0);
  for (int i = 0; i < 20; ++i) CHECK(loop.fetch("full-" + std::to_string(i)));
  CHECK(files(disk.folder()) == 21);
}

TEST_CASE("a file that is no result is an error when it is read") {
  TemporaryFolder folder;
  BackendLoop loop(file_store(folder.path()));
  std::ofstream(folder.path() + "/celery-task-meta-half") << R"({"status": "SUCC)";
  std::optional<Expected<std::optional<Json>>> answer;
  loop.backend->fetch("half", [&](Expected<std::optional<Json>> meta) { answer.emplace(std::move(meta)); });
  REQUIRE(loop.run_until([&] { return answer.has_value(); }));
  CHECK_FALSE(answer->has_value());
  CHECK(loop.store_now(result_of("half", state::success, "1")).ok());
  CHECK((*loop.fetch("half"))["result"] == 1);
}

TEST_CASE("expired results are deleted, others stay") {
  TemporaryFolder folder;
  Settings settings;
  settings.result_expires = 3600;
  BackendLoop loop(file_store(folder.path()), settings);
  CHECK(loop.store_now(result_of("young", state::success)).ok());
  CHECK(loop.store_now(result_of("old", state::success)).ok());
  std::ofstream(folder.path() + "/somebody-elses");
  const auto past = fs::file_time_type::clock::now() - std::chrono::hours(2);
  fs::last_write_time(folder.path() + "/celery-task-meta-old", past);
  fs::last_write_time(folder.path() + "/somebody-elses", past);
  std::optional<Expected<std::uint64_t>> deleted;
  loop.backend->cleanup([&](Expected<std::uint64_t> count) { deleted = std::move(count); });
  REQUIRE(loop.run_until([&] { return deleted.has_value(); }));
  CHECK(**deleted == 1);
  CHECK(files(folder.path()) == 2);
}

TEST_CASE("a folder that does not exist ends it with a clear word") {
  boost::asio::io_context io;
  auto made = make_backend(io, {}, "file:///nowhere/at/all");
  REQUIRE(made.has_value());
  std::string why;
  (*made)->start([&](BrokerState state, std::string what) {
    if (state == BrokerState::failed) why = what;
  });
  io.run();
  CHECK(why == "result folder '/nowhere/at/all': No such file or directory");
  CHECK_FALSE(make_backend(io, {}, "file://relative").has_value());
}

}  // namespace celeriac::testing
