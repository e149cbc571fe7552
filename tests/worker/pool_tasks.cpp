#include "tests/worker/pool_tasks.hpp"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

namespace celeriac {
namespace {

void nap(Context&, double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// Waits for its soft limit, looking often.
std::string await_soft_limit(Context& context, double at_most) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(at_most);
  try {
    while (std::chrono::steady_clock::now() < end) {
      context.checkpoint();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  } catch (const SoftTimeLimitExceeded&) {
    return "caught";
  }
  return "not told";
}

void hang(Context&) {
  for (std::atomic<unsigned> turns{0};;) turns.fetch_add(1, std::memory_order_relaxed);
}

std::uint64_t devour(Context&, std::uint64_t megabytes) {
  std::vector<std::unique_ptr<char[]>> held;
  for (std::uint64_t i = 0; i < megabytes; ++i) {
    constexpr std::size_t chunk = 1u << 20;
    held.push_back(std::make_unique<char[]>(chunk));
    for (std::size_t at = 0; at < chunk; at += 4096) const_cast<volatile char*>(held.back().get())[at] = 1;
  }
  return held.size();
}

std::vector<std::string> open_descriptors(Context&) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    out.push_back(entry.path().filename().string());
  return out;
}

std::optional<std::string> environment(Context&, std::string name) {
  const char* value = std::getenv(name.c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

void print(Context&) {
  std::printf("by printf %d\n", 1);
  std::cout << "by cout " << 2 << std::endl;
  std::cerr << "by cerr\n";
  std::thread([] { std::fputs("from a thread\n", stderr); }).join();
  std::cout << std::string(10000, 'x') << "\nwithout an end" << std::flush;
}

void print_many(Context&, int count) {
  for (int i = 0; i < count; ++i) std::printf("line %d\n", i);
}

std::string send(Context& context, std::string task) {
  context.progress(1, 2, "sending");
  return context.send(task, Json::array({1}));
}

}  // namespace

App pool_test_app() {
  App app;
  app.task("noop", [](Context&) {});
  app.task("echo", [](Context&, Json value) { return value; }, {.params = {"x"}});
  app.task("fail", [](Context&, std::string what) { throw TaskError("ValueError", what); },
           {.params = {"what"}});
  app.task("nap", nap, {.params = {"seconds"}});
  app.task("await_soft_limit", await_soft_limit, {.params = {"at_most"}});
  app.task("hang", hang);
  app.task("segfault", [](Context&) { std::raise(SIGSEGV); });
  app.task("abort", [](Context&) { std::abort(); });
  app.task("exit", [](Context&, int code) { std::_Exit(code); }, {.params = {"code"}});
  app.task("devour", devour, {.params = {"megabytes"}});
  app.task("send", send, {.params = {"task"}});
  app.task("pid", [](Context&) { return getpid(); });
  app.task("print", print);
  app.task("print_many", print_many, {.params = {"count"}});
  app.task("open_descriptors", open_descriptors);
  app.task("environment", environment, {.params = {"name"}});
  return app;
}

Job test_job(JobId id, const std::string& task, const std::string& args) {
  auto message = std::make_shared<Message>();
  auto headers = std::make_shared<TaskHeaders>();
  headers->id = "id-" + std::to_string(id);
  headers->task = task;
  headers->argsrepr = "()";
  headers->kwargsrepr = "{}";
  message->headers = R"({"lang": "py", "task": ")" + task + R"(", "id": ")" + headers->id + R"("})";
  message->body =
      "[" + args + R"(, {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])";
  message->properties.routing_key = "celery";
  Job job;
  job.id = id;
  job.queue = "celery";
  job.hostname = "worker@test";
  job.message = std::move(message);
  job.headers = std::move(headers);
  return job;
}

}  // namespace celeriac
