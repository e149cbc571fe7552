// Every request: who asks and how much, before its route has it; what every answer bears.
#include "http/api_keys.hpp"
#include "http/counts.hpp"
#include "http/front.hpp"
#include "http/rows.hpp"
#include "protocol/time.hpp"
#include "protocol/uuid.hpp"

#include <spdlog/spdlog.h>
#include <algorithm>
#include <cctype>

namespace celeriac::http {
namespace {

constexpr std::uint64_t body_limit = 1u << 20;

bool harmless(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  });
}

// If-None-Match: a list of tags, or *.
bool same_entity(const std::string& wanted, const Response& response) {
  if (wanted.empty()) return false;
  if (wanted == "*") return true;
  for (const auto& [name, value] : response.headers)
    if (name == "ETag") return wanted.find(value) != wanted.npos;
  return false;
}

// "example.com:8000" -> "example.com"; "[::1]:8000" -> "[::1]".
std::string host_only(const std::string& host) {
  const auto end = host.starts_with('[') ? host.find(']') + 1 : host.find(':');
  return host.substr(0, end);
}

}  // namespace

std::optional<Response> Front::admit(Request& request, BodyRule& rule) {
  rule.limit = body_limit;
  const auto& given = request.header("x-request-id");
  request.id = harmless(given) ? given : uuid4();
  const auto refuse = [&](Response response) {
    decorate(request, response);
    counts_->count(request.method, "", response.status, 0);
    return response;
  };
  const auto& allowed = settings_.http_allowed_hosts;
  const auto host = host_only(request.header("host"));
  if (std::find(allowed.begin(), allowed.end(), "*") == allowed.end() &&
      std::find(allowed.begin(), allowed.end(), host) == allowed.end())
    return refuse(problem(421, "unknown-host", "This host name is not served here",
                          "http_allowed_hosts names those that are."));
  const auto match = router_.find(request.method, request.path);
  if (match.route && match.route->upload) {
    // Nobody unknown fills our disk. A browser asks for the password when it has seen the page.
    if (request.header("authorization").empty() && request.header("x-api-key").empty())
      return refuse(problem(401, "not-authenticated", "A bearer token or an API key is needed")
                        .with("WWW-Authenticate", "Bearer"));
    rule.limit =
        static_cast<std::uint64_t>(settings_.http_max_upload) + body_limit;  // and the parts around it
    rule.to_file = true;
  }
  return std::nullopt;
}

void Front::decorate(const Request& request, Response& response) const {
  response.with("X-Request-Id", request.id)
      .with("X-Content-Type-Options", "nosniff")
      .with("X-Frame-Options", "DENY")
      .with("Referrer-Policy", "no-referrer")
      .with("Strict-Transport-Security", "max-age=31536000");
  const auto has = [&](std::string_view name) {
    return std::any_of(response.headers.begin(), response.headers.end(),
                       [&](const auto& header) { return header.first == name; });
  };
  if (!has("Content-Security-Policy"))
    response.with("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  if (request.method == "GET" && response.status == 200 && !response.stream && !response.socket &&
      response.content_type == "application/json" && !has("ETag"))
    response.with("ETag", entity_tag(response.body));
  if (response.status == 200 && has("ETag") && same_entity(request.header("if-none-match"), response)) {
    response.status = 304;
    response.body.clear();
  }
  if (!has("Cache-Control")) response.with("Cache-Control", "no-store");
  const auto& origin = request.header("origin");
  const auto& origins = settings_.http_cors_origins;
  if (!origin.empty() && std::find(origins.begin(), origins.end(), origin) != origins.end())
    response.with("Access-Control-Allow-Origin", origin)
        .with("Vary", "Origin")
        .with("Access-Control-Expose-Headers",
              "Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id");
}

void Front::serve(Request request, Respond respond) {
  const auto match = router_.find(request.method, request.path);
  const double begun = unix_now();
  // What the answer needs of the request once the handler has it.
  auto shown = std::make_shared<Request>();
  shown->id = request.id;
  shown->headers = request.headers;
  shown->method = request.method;
  const std::string path = match.route ? match.route->path : "";
  Respond finish = [this, shown, path, begun, respond = std::move(respond)](Response response) {
    decorate(*shown, response);
    counts_->count(shown->method, path, response.status, unix_now() - begun);
    respond(std::move(response));
  };
  if (request.method == "OPTIONS" && !match.allowed.empty() &&
      !request.header("access-control-request-method").empty()) {
    Response answer;
    answer.status = 204;
    answer.with("Access-Control-Allow-Methods", match.allowed)
        .with("Access-Control-Allow-Headers",
              "Authorization, Content-Type, Idempotency-Key, Prefer, X-API-Key, X-Request-Id")
        .with("Access-Control-Max-Age", "600");
    return finish(std::move(answer));
  }
  if (!match.route) {
    if (match.allowed.empty())
      return finish(problem(404, "not-found", "There is nothing here", request.path));
    return finish(
        problem(405, "method-not-allowed", "This method is not for this path").with("Allow", match.allowed));
  }
  request.params = match.params;
  const Route& route = *match.route;
  if (route.access == Access::anybody) return route.handle(std::move(request), std::move(finish));

  const auto shown_by = credential(request, route);
  if (route.page) request.form_token = form_token(shown_by.token.empty() ? shown_by.key : shown_by.token);
  if (!shown_by.token.empty()) {
    auto caller = tokens_.verify(shown_by.token, unix_now());
    if (caller)
      request.caller = std::move(*caller);
    else
      spdlog::info("request {}: refused a token: {}", request.id, caller.error().what);
    return dispatch(std::move(request), route, std::move(finish));
  }
  const auto& key = shown_by.key;
  if (key.empty() || key.size() > 256) return dispatch(std::move(request), route, std::move(finish));
  auto kept = std::make_shared<Request>(std::move(request));
  const bool taken = database_->run<Caller>(
      [key, remote = kept->remote](Database& database) { return find_api_key(database, key, remote); },
      [this, kept, &route, finish](Caller caller, const DatabaseError* error) {
        if (error) {
          spdlog::error("request {}: {}", kept->id, error->what());
          return finish(
              problem(503, "database-away", "The database cannot be reached").with("Retry-After", "5"));
        }
        kept->caller = std::move(caller);
        dispatch(std::move(*kept), route, finish);
      });
  if (!taken) finish(problem(503, "busy", "Too many requests are under way").with("Retry-After", "1"));
}

bool Front::refuse_caller(const Request& request, const Route& route, const Respond& respond) {
  if (!request.caller.known()) {
    respond(
        problem(401, "not-authenticated", "A bearer token or an API key is needed")
            .with("WWW-Authenticate", route.page ? "Basic realm=\"celeriac\", charset=\"UTF-8\"" : "Bearer"));
    return true;
  }
  if (route.access == Access::admin && !request.caller.admin()) {
    respond(problem(403, "not-allowed", "Only administrators may do this"));
    return true;
  }
  return false;
}

void Front::dispatch(Request request, const Route& route, Respond respond) {
  // Guessing is limited too, by address. A key has a limit of its own.
  const auto& caller = request.caller;
  const bool own = settings_.http_rate_limit > 0 && caller.rate_limit.has_value();
  const int limit = own ? *caller.rate_limit : settings_.http_rate_limit;
  const auto who = own              ? "key." + caller.key_id
                   : caller.known() ? "user." + caller.user_id
                                    : "address." + request.remote;
  auto kept = std::make_shared<Request>(std::move(request));
  rates_.count(who, limit,
               [this, limit, kept, &route, respond = std::move(respond)](const RateVerdict& verdict) {
                 if (limit == 0) return admitted(std::move(*kept), route, respond);
                 const auto policy = "\"default\";q=" + std::to_string(limit) + ";w=3600";
                 const auto state =
                     "\"default\";r=" + std::to_string(verdict.left) + ";t=" + std::to_string(verdict.reset);
                 const Respond told = [policy, state, respond](Response response) {
                   response.with("RateLimit-Policy", policy).with("RateLimit", state);
                   respond(std::move(response));
                 };
                 if (!verdict.allowed)
                   return told(problem(429, "rate-limit", "Too many requests")
                                   .with("Retry-After", std::to_string(verdict.reset)));
                 admitted(std::move(*kept), route, told);
               });
}

void Front::admitted(Request request, const Route& route, Respond respond) {
  if (refuse_caller(request, route, respond)) return;
  if (route.page && request.method == "POST") {
    const auto form = FormValues::read(route.upload ? request.query : request.body);
    if (!form || !from_our_page(request, (*form)["form"]))
      return respond(problem(403, "foreign-form", "This form was not sent from a page of this server",
                             "Open the page again and repeat it."));
  }
  route.handle(std::move(request), std::move(respond));
}

void Front::add_page(std::string path, Access access, std::string summary,
                     std::function<void(const Request&, const Respond&)> handle) {
  Route route;
  route.method = "GET";
  route.path = std::move(path);
  route.access = access;
  route.summary = std::move(summary);
  route.handle = std::move(handle);
  route.page = true;
  router_.add(std::move(route));
}

void Front::add_action(std::string path, std::string summary,
                       std::function<void(const Request&, const FormValues&, const Respond&)> handle) {
  Route route;
  route.method = "POST";
  route.path = std::move(path);
  route.access = Access::admin;
  route.summary = std::move(summary);
  route.handle = [handle = std::move(handle)](const Request& request, const Respond& respond) {
    handle(request, FormValues::read(request.body).value_or(FormValues()), respond);
  };
  route.page = true;
  router_.add(std::move(route));
}

void Front::add_query(std::string method, std::string path, Access access, std::string summary,
                      std::function<Response(Database&, const Request&)> work) {
  router_.add({std::move(method), std::move(path), access, std::move(summary),
               [this, work = std::move(work)](Request request, Respond respond) {
                 const auto id = request.params.find("id");
                 if (id != request.params.end() && !is_uuid(id->second))
                   return respond(problem(404, "unknown-id", "This is no id"));
                 in_database([work, request = std::move(request)](
                                 Database& database) { return work(database, request); },
                             std::move(respond));
               }});
}

void Front::add_order(std::string path, std::string summary,
                      std::function<Response(Database&, const Request&, const std::string&)> work) {
  router_.add({"POST", std::move(path), Access::user, std::move(summary),
               [this, work = std::move(work)](Request request, Respond respond) {
                 const auto id = request.params.find("id");
                 if (id != request.params.end() && !is_uuid(id->second))
                   return respond(problem(404, "unknown-id", "This is no id"));
                 in_database([work, queue = document_queue(), request = std::move(request)](
                                 Database& database) { return work(database, request, queue); },
                             [this, respond = std::move(respond)](Response response) {
                               if (response.status == 202) outbox_->wake();
                               respond(std::move(response));
                             });
               }});
}

void Front::in_database(std::function<Response(Database&)> work, Respond respond) {
  const bool taken =
      database_->run<Response>(std::move(work), [respond](Response response, const DatabaseError* error) {
        if (!error) return respond(std::move(response));
        spdlog::error("database: {}", error->what());
        respond(error->kind == SqlFailure::operational
                    ? problem(503, "database-away", "The database cannot be reached").with("Retry-After", "5")
                    : problem(500, "database-error", "The database refused a statement"));
      });
  if (!taken) respond(problem(503, "busy", "Too many requests are under way").with("Retry-After", "1"));
}

}  // namespace celeriac::http
