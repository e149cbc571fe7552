// How many tasks a client sends a second: send() one per call, send_all() many at once; and how many chains
// of three tasks by apply() and apply_all().
//
//   publish BROKER SECONDS send|send_all|apply|apply_all     prints calls per second; the queue is named
//   "publish"
//
// publish.py runs it beside Celery's apply_async.
#include "config/settings.hpp"
#include "worker/client.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

using namespace celeriac;

namespace {

Signature three_steps() {
  const auto step = [](std::vector<Json> args) {
    return Signature("bench.add", std::move(args)).set("queue", "publish");
  };
  return chain({step({1, 2}), step({2}), step({3})});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::cerr << "usage: publish BROKER SECONDS send|send_all|apply|apply_all\n", 2;
  Settings settings;
  settings.broker_url = argv[1];
  settings.result_backend = argv[1];
  const std::chrono::duration<double> limit(std::atof(argv[2]));
  const std::string how = argv[3];
  const auto client = Client::connect(settings);
  if (!client) return std::cerr << client.error().what << "\n", 1;

  using Clock = std::chrono::steady_clock;
  const auto begun = Clock::now();
  std::size_t sent = 0;
  std::chrono::duration<double> taken{};
  do {
    if (how == "apply") {
      (*client)->apply(three_steps());
      ++sent;
    } else if (how == "apply_all") {
      sent += (*client)->apply_all(std::vector<Signature>(5000, three_steps())).size();
    } else if (how == "send") {
      (*client)->send("bench.add", {1, 2}, {}, {.queue = "publish"});
      ++sent;
    } else {
      sent += (*client)
                  ->send_all("bench.add", std::vector<Json>(20000, Json::array({1, 2})), {.queue = "publish"})
                  .size();
    }
    taken = Clock::now() - begun;
  } while (taken < limit);
  std::cout << static_cast<std::size_t>(sent / taken.count()) << "\n";
}
