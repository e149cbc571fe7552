// The smallest worker: one function, one name. docs/tasks-in-cpp.md goes on from here.
#include "worker/app.hpp"

static double add(celeriac::Context&, double x, double y) { return x + y; }

int main(int argc, char** argv) {
  celeriac::App app;
  app.task("math.add", add, {.params = {"x", "y"}});
  return celeriac::worker_main(app, argc, argv);
}
