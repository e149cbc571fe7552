#include "worker/app.hpp"

static double add(celeriac::Context&, double x, double y) { return x + y; }

int main(int argc, char** argv) {
  celeriac::App app;
  app.task("math.add", add, {.params = {"x", "y"}});
  return celeriac::worker_main(app, argc, argv);
}
