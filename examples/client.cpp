// A program that is no worker: sends tasks and waits for what becomes of them. Any Celery worker runs them.
#include "worker/client.hpp"
#include "config/load.hpp"

#include <iostream>

using namespace celeriac;
using namespace std::chrono_literals;

int main() {
  const auto loaded = load_settings({.environment = process_environment()});  // CELERY_BROKER_URL, ...
  if (!loaded) return std::cerr << loaded.error().what << "\n", 2;
  const auto client = Client::connect(loaded->settings);
  if (!client) return std::cerr << client.error().what << "\n", 1;

  const auto sum = (*client)->send("math.add", {1, 2});
  std::cout << "1 + 2 = " << sum.get(10s) << "\n";

  const auto step = (*client)->apply(chain({Signature("math.add", {1, 2}), Signature("math.add", {10})}));
  std::cout << "1 + 2 + 10 = " << step.get(10s) << "\n";

  double total = 0;
  for (const auto& result : (*client)->send_all("math.add", {{1, 1}, {2, 2}, {3, 3}}))
    total += result.get(10s).get<double>();
  std::cout << "2 + 4 + 6 = " << total << "\n";
}
