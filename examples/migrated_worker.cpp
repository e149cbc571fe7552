// The worker of docs/migrating.md: a Python task under its own name and parameters.
#include "worker/app.hpp"

#include <numeric>
#include <string>
#include <vector>

static celeriac::Json total(celeriac::Context&, std::vector<double> amounts, std::string currency) {
  return {{"total", std::accumulate(amounts.begin(), amounts.end(), 0.0)}, {"currency", currency}};
}

int main(int argc, char** argv) {
  celeriac::App app;
  app.task("reports.sum", total,
           {.params = {"amounts", "currency"},
            .defaults = {{"currency", "EUR"}},
            .queue = "reports",
            .acks_late = true,
            .max_retries = 5,
            .autoretry_for = {"OSError"}});
  return celeriac::worker_main(app, argc, argv);
}
