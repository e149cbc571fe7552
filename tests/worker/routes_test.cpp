#include "worker/routes.hpp"

#include <doctest/doctest.h>

using namespace celeriac;

namespace {
Json nothing(Context&) { return nullptr; }
}  // namespace

TEST_CASE("a task goes where the most exact rule says") {
  App app;
  app.task("ocr.page", nothing, {.queue = "ocr"});
  Settings settings;
  settings.task_routes = {{"mail.*", "email"}, {"mail.urgent", "fast"}, {"ocr.skew", "cpu"}};
  CHECK(route("mail.send", settings, app) == "email");
  CHECK(route("mail.urgent", settings, app) == "fast");
  CHECK(route("ocr.page", settings, app) == "ocr");
  CHECK(route("elsewhere", settings, app) == "celery");
}

TEST_CASE("a worker reads its tasks' queues unless it is told which") {
  App app;
  app.task("a", nothing, {.queue = "ocr"});
  app.task("b", nothing, {.queue = "ocr"});
  app.task("c", nothing);
  Settings settings;
  WorkerOptions options;
  using Queues = std::vector<std::string>;
  CHECK(consumed_queues(settings, options, app) == Queues{"celery", "ocr"});
  options.exclude_queues = {"ocr"};
  CHECK(consumed_queues(settings, options, app) == Queues{"celery"});
  settings.task_queues = {{"near", {}}, {"far", {}}, {"ocr", {}}};
  CHECK(consumed_queues(settings, options, app) == Queues{"far", "near"});
  options.queues = {"x", "y", "x", "ocr"};
  CHECK(consumed_queues(settings, options, app) == Queues{"x", "y"});
}
