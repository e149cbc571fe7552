// How fast messages go through the Redis broker alone: claim, decode the envelope, ack. No task is
// run. Publishes first, then measures the draining.
//
//   redis_broker_bench <unix socket or port> <messages> <window> [body bytes]
#include "queues/redis/redis_broker.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

using namespace celeriac;
using Steady = std::chrono::steady_clock;

namespace {

double seconds_since(Steady::time_point start) {
  return std::chrono::duration<double>(Steady::now() - start).count();
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

Message task(std::size_t body) {
  Message message;
  message.headers =
      R"J({"lang": "py", "task": "t.add", "id": "0f8fad5b-d9cb-469f-a165-70867728950e", "shadow": null, "eta": null, )J"
      R"J("expires": null, "group": null, "group_index": null, "retries": 0, "timelimit": [null, null], )J"
      R"J("root_id": "0f8fad5b-d9cb-469f-a165-70867728950e", "parent_id": null, "argsrepr": "(1, 2)", )J"
      R"J("kwargsrepr": "{}", "origin": "gen1@host", "ignore_result": true})J";
  message.body = R"J([[1, 2], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}])J";
  if (body > 0) message.body = std::string(body, 'x');
  message.properties.correlation_id = "0f8fad5b-d9cb-469f-a165-70867728950e";
  message.properties.routing_key = "bench";
  message.properties.priority = 0;
  return message;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s <unix socket or port> <messages> <window> [body bytes]\n", argv[0]);
    return 2;
  }
  const std::string where = argv[1];
  const auto total = std::strtoull(argv[2], nullptr, 10);
  const auto window = static_cast<unsigned>(std::strtoul(argv[3], nullptr, 10));
  const std::size_t body = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0;

  redis::BrokerOptions options;
  options.connection.endpoint.host = "127.0.0.1";
  if (where.front() == '/')
    options.connection.endpoint.path = where;
  else
    options.connection.endpoint.port = static_cast<std::uint16_t>(std::stoul(where));
  boost::asio::io_context io(1);
  redis::RedisBroker broker(io, options);

  unsigned long long published = 0, handled = 0;
  auto start = Steady::now();
  double cpu = 0;
  auto finish = [&] {
    const double took = seconds_since(start);
    std::printf("window %u, body %zu: %.0f msg/s, worker CPU %.2f us/msg\n", window, body,
                static_cast<double>(total) / took, (cpu_seconds() - cpu) * 1e6 / static_cast<double>(total));
    broker.stop([&](std::size_t) { io.stop(); });
  };
  auto drain = [&] {
    std::printf("published %.0f msg/s\n", static_cast<double>(total) / seconds_since(start));
    std::fflush(stdout);
    start = Steady::now();
    cpu = cpu_seconds();
    broker.set_window(window);
    broker.consume({"bench"});
  };

  Broker::Handlers handlers;
  handlers.on_deliveries = [&](std::vector<Delivery>&& batch) {
    for (auto& delivery : batch) broker.ack(delivery.tag);
    handled += batch.size();
    if (handled == total) broker.flush([&](const Status&) { finish(); });
  };
  broker.start(std::move(handlers));

  // Keeps some thousand publishes under way.
  unsigned long long asked = 0;
  std::function<void()> more = [&] {
    while (asked < total && asked - published < (body > 50000 ? 20 : 4000)) {
      ++asked;
      broker.publish(task(body), [&](const Status& status) {
        if (!status.ok()) std::fprintf(stderr, "%s\n", status.what.c_str()), std::exit(1);
        if (++published == total) return drain();
        if (asked - published < 1000) more();
      });
    }
  };
  more();
  io.run();
}
