// Whether the front end and what it depends on are well.
#include "http/front.hpp"

#include "config/version.hpp"
#include "http/counts.hpp"

namespace celeriac::http {

void Front::add_health_routes() {
  const auto basic = [](const Request&, const Respond& respond) {
    respond(
        json(200, Json{{"status", "healthy"}, {"service", "celeriac"}, {"version", std::string(version())}}));
  };
  for (const char* path : {"/health", "/api/health", "/api/v1/health"})
    router_.add({"GET", path, Access::anybody, "Whether the front end answers", basic});
  router_.add({"GET", "/livez", Access::anybody, "Alive", [](Request, Respond respond) {
                 respond(json(200, Json{{"status", "alive"}}));
               }});
  const auto detailed = [this](Request, Respond respond) {
    const bool broker = connected_;
    const bool taken = database_->run<bool>(
        [](Database& database) {
          database.run("SELECT FROM outbox LIMIT 1");
          return true;
        },
        [broker, respond](bool, const DatabaseError* error) {
          const bool well = broker && !error;
          auto response =
              json(well ? 200 : 503, Json{{"status", well ? "healthy" : "unhealthy"},
                                          {"version", std::string(version())},
                                          {"checks", Json{{"database", !error}, {"broker", broker}}}});
          if (!well) response.with("Retry-After", "5");
          respond(std::move(response));
        });
    if (!taken) respond(problem(503, "busy", "Too many requests are under way").with("Retry-After", "1"));
  };
  for (const char* path : {"/readyz", "/health/detailed", "/api/v1/health/detailed"})
    router_.add({"GET", path, Access::anybody, "Whether broker and database answer", detailed});
  router_.add({"GET", "/metrics", Access::anybody, "Prometheus", [this](Request, Respond respond) {
                 Response response;
                 response.content_type = "text/plain; version=0.0.4; charset=utf-8";
                 counts_->database_waiting.Set(static_cast<double>(database_->waiting()));
                 counts_->streams.Set(static_cast<double>(all_listeners()));
                 response.body = counts_->text();
                 respond(std::move(response));
               }});
}

}  // namespace celeriac::http
