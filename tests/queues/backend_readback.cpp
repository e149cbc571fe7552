// Writes 10,000 results of every state and JSON type to every store, then lets a real Python Celery read
// each back and compare it field by field (backend_readback.py).
//
//   backend_readback <python> [count]     exits with 77 when that Python is not given or has no Celery
#include "queues/connect.hpp"
#include "tests/config/temporary_folder.hpp"
#include "tests/queues/loop.hpp"
#include "tests/queues/memcached_server.hpp"
#include "tests/queues/postgres_server.hpp"
#include "tests/queues/redis_server.hpp"

#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

extern char** environ;

namespace celeriac::testing {
namespace {

constexpr int skipped = 77;

int run(std::vector<std::string> command) {
  std::vector<char*> arguments;
  for (auto& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = 0;
  if (posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) return 127;
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

std::string value(int i) {
  const std::string n = std::to_string(i);
  const std::string values[] = {
      "null",
      "true",
      "false",
      n,
      "-" + std::to_string(i + 1),
      "2147483648",
      "9223372036854775807",
      "18446744073709551616",
      "-1180591620717411303424" + n,
      std::to_string(i % 97) + ".25",
      "1e+16",
      "5e-324",
      "NaN",
      "Infinity",
      "-Infinity",
      "\"\"",
      "\"plain " + n + "\"",
      R"("\u00e9\u4e2d\ud83d\ude00 \u0000 \" \\ \n")",
      "[]",
      "{}",
      "[1, 2.5, true, null, \"x\"]",
      R"({"a": {"b": [1, [2, [3, {"c": null}]]]}, "": 0, "\u00e9": "\ud83d\ude00"})",
      "\"" + std::string(70000, 'y') + "\"",
      "[" + std::string(i % 300, ' ') + n + "]"};
  const std::string text = values[static_cast<std::size_t>(i) % std::size(values)];
  return i % 24 == 23 ? "[" + n + "]" : text;
}

TaskResult make(int i) {
  const ExceptionInfo exceptions[] = {
      {"ValueError", "builtins", R"(["boom", 7])"},
      {"KeyError", "builtins", R"(["k\u00e9y"])"},
      {"NotRegistered", "celery.exceptions", R"(["no.such.task"])"},
      {"ChordError", "celery.exceptions", R"x(["Dependency x raised ValueError('boom', 7)"])x"},
      {"TimeLimitExceeded", "billiard.exceptions", "[3.5]"},
      {"BadInvoice", "acme.errors", R"(["no total", {"line": 3}])"},
      {"RuntimeError", "builtins", "[]"}};
  const std::string_view states[] = {state::success, state::success, state::failure, state::retry,
                                     state::revoked, state::started, "PROGRESS"};
  TaskResult result;
  result.task_id = "readback-" + std::to_string(i);
  result.status = states[i % 7];
  result.date_done = 1795173993 + i + (i % 3) * 0.123456;
  if (is_exception(result.status)) {
    result.result = result.status == state::revoked
                        ? ExceptionInfo{"TaskRevokedError", "celery.exceptions", R"(["revoked"])"}.json()
                        : exceptions[i / 7 % 7].json();
    if (i % 2)
      result.traceback = "Traceback (most recent call last):\n  line " + std::to_string(i) + "\n\u00c9";
  } else {
    result.result = result.status == state::started ? R"({"pid": 7, "hostname": "w1@host"})" : value(i);
  }
  if (i % 5 == 0)
    result.children = R"([[["child-1", null], null], [["child-2", ["readback-1", null]], null]])";
  if (i % 3 == 0) result.group_id = "group-" + std::to_string(i), result.parent_id = "parent";
  if (i % 2 == 0) {
    result.extended = true;
    result.name = "invoices.read";
    result.args = "[" + std::to_string(i) + R"(, "\u00e9"])";
    result.kwargs = R"({"strict": true, "n": 1.5})";
    result.worker = "w1@host";
    result.queue = "validation";
    result.retries = i % 4;
  }
  return result;
}

// One JSON object a line: what Python must see.
void write_expectations(const std::string& path, int count) {
  std::ofstream out(path);
  for (int i = 0; i < count; ++i) {
    const auto result = make(i);
    std::string line = write_result(result);
    out << line << "\n";
  }
}

int read_with(const std::string& python, const std::string& url, const std::string& expectations) {
  return run(
      {python, std::string(CELERIAC_SOURCE_DIR) + "/tests/queues/backend_readback.py", url, expectations});
}

int check(const std::string& python, const std::string& url, const std::string& expectations, int count) {
  boost::asio::io_context io;
  auto made = make_backend(io, Settings{}, url);
  if (!made) return std::fprintf(stderr, "%s\n", made.error().what.c_str()), 1;
  auto backend = std::move(*made);
  backend->start([](BrokerState, std::string) {});
  int done = 0, failed = 0;
  for (int i = 0; i < count; ++i) {
    backend->store(make(i), [&](Status status) {
      ++done;
      if (!status.ok() && failed++ < 5) std::fprintf(stderr, "%s\n", status.what.c_str());
    });
    if (i % 100 == 0) io.poll();
  }
  if (!run_until(
          io, [&] { return done == count; }, std::chrono::seconds(120)) ||
      failed)
    return 1;
  bool stopped = false;
  backend->stop([&] { stopped = true; });
  run_until(io, [&] { return stopped; });
  return read_with(python, url, expectations);
}

}  // namespace
}  // namespace celeriac::testing

int main(int argc, char** argv) {
  using namespace celeriac::testing;
  const std::string python = argc > 1 ? argv[1] : "";
  if (python.empty() || run({python, "-c", "import celery, memcache, redis, sqlalchemy, psycopg2"}) != 0) {
    std::fprintf(stderr, "no Python with Celery at '%s'\n", python.c_str());
    return skipped;
  }
  const int count = argc > 2 ? std::atoi(argv[2]) : 10000;
  RedisServer redis;
  PostgresServer postgres;
  MemcachedServer memcached;
  celeriac::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() + "/results");
  const std::string expectations = folder.path() + "/expectations";
  write_expectations(expectations, count);
  int failures = 0;
  for (const std::string& url :
       {redis.url(), postgres.url("db+postgresql+psycopg2"), "db+sqlite:///" + folder.path() + "/results.db",
        "file://" + folder.path() + "/results", memcached.url()})
    failures += check(python, url, expectations, count) != 0;
  if (run({python, "-c", "import django_celery_results"}) == 0) {
    const std::string url = postgres.url("django-db+postgresql");
    failures += read_with(python, url, "migrate") != 0 || check(python, url, expectations, count) != 0;
  }
  return failures;
}
