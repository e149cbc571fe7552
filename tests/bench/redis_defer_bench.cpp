// What messages put off until later cost us: memory here and in the server, and time.
//
//   redis_defer_bench <unix socket> <messages>
#include "queues/redis/redis_broker.hpp"

#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

using namespace celeriac;
using Steady = std::chrono::steady_clock;

namespace {

double resident_bytes() {
  double pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

Message task() {
  Message message;
  message.headers = R"({"task": "t.add", "id": "0f8fad5b-d9cb-469f-a165-70867728950e"})";
  message.body = "[[1, 2], {}, {}]";
  message.properties.correlation_id = "0f8fad5b-d9cb-469f-a165-70867728950e";
  message.properties.routing_key = "bench";
  return message;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s <unix socket> <messages>\n", argv[0]);
    return 2;
  }
  const auto total = std::strtoull(argv[2], nullptr, 10);
  redis::BrokerOptions options;
  options.connection.endpoint.path = argv[1];
  boost::asio::io_context io(1);
  redis::RedisBroker broker(io, options);

  unsigned long long asked = 0, published = 0, deferred = 0;
  double before = 0;
  auto start = Steady::now();
  auto seconds = [&] { return std::chrono::duration<double>(Steady::now() - start).count(); };
  auto count = static_cast<double>(total);

  Broker::Handlers handlers;
  handlers.on_deliveries = [&](std::vector<Delivery>&& batch) {
    const auto due = Clock::now() + std::chrono::hours(1);
    for (auto& delivery : batch) broker.defer(delivery.tag, due + std::chrono::microseconds(delivery.tag));
    deferred += batch.size();
    if (deferred < total) return;
    broker.flush([&](const Status&) {
      std::printf("put off: %.0f msg/s, %.1f bytes each of ours\n", count / seconds(),
                  (resident_bytes() - before) / count);
      start = Steady::now();
      broker.stop([&](std::size_t restored) {
        std::printf("gave back %zu at stop: %.0f msg/s\n", restored, count / seconds());
        io.stop();
      });
    });
  };
  broker.start(std::move(handlers));
  std::function<void()> more = [&] {
    while (asked < total && asked - published < 4000) {
      ++asked;
      broker.publish(task(), [&](const Status& status) {
        if (!status.ok()) std::fprintf(stderr, "%s\n", status.what.c_str()), std::exit(1);
        if (++published < total) return asked - published < 1000 ? more() : void();
        before = resident_bytes();
        start = Steady::now();
        broker.set_window(256);
        broker.consume({"bench"});
      });
    }
  };
  more();
  io.run();
}
