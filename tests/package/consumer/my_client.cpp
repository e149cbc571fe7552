#include "config/settings.hpp"
#include "worker/client.hpp"

#include <iostream>

int main(int, char** argv) {
  celeriac::Settings settings;
  settings.broker_url = argv[1];
  const auto client = celeriac::Client::connect(settings);
  if (!client) return std::cerr << client.error().what << "\n", 1;
  std::cout << (*client)->send("math.add", {1, 2}).id() << "\n";
}
