// The API's own description, OpenAPI 3.1: one operation for each route, and one for each task.
#include "http/front.hpp"
#include "http/pages/html.hpp"

#include "config/version.hpp"

#include <algorithm>
#include <cctype>

namespace celeriac::http {
namespace {

Json parameters_of(const std::string& path) {
  Json out = Json::array();
  for (std::size_t at = path.find('{'); at != path.npos; at = path.find('{', at + 1)) {
    const auto name = path.substr(at + 1, path.find('}', at) - at - 1);
    out.push_back(
        Json{{"name", name}, {"in", "path"}, {"required", true}, {"schema", Json{{"type", "string"}}}});
  }
  return out;
}

Json answers(bool open) {
  const Json error = Json{
      {"description", "problem"},
      {"content",
       Json{{"application/problem+json", Json{{"schema", Json{{"$ref", "#/components/schemas/Problem"}}}}}}}};
  Json out = Json{{"default", error}, {"2XX", Json{{"description", "done"}}}};
  if (!open) out["401"] = error;
  return out;
}

// Arguments by their places, by their names, or mixed: what is required is given in either way.
Json arguments_schema(const TaskEntry& task, Json properties) {
  Json args = Json{{"type", "array"}}, places = Json::array(), names = Json::object();
  for (const auto& name : task.params) names[name] = Json::object();
  std::vector<std::string> required;
  for (const auto& argument : task.arguments) {
    places.push_back(argument.schema);
    names[argument.name] = argument.schema;
    if (argument.required) required.push_back(argument.name);
  }
  Json kwargs = Json{{"type", "object"}, {"properties", std::move(names)}};
  if (!places.empty()) args["prefixItems"] = std::move(places);
  if (!task.params.empty()) {
    args["maxItems"] = task.params.size();
    kwargs["additionalProperties"] = false;
  }
  properties["args"] = std::move(args);
  properties["kwargs"] = std::move(kwargs);
  Json schema =
      Json{{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  if (required.empty()) return schema;
  Json ways = Json::array();
  for (std::size_t placed = 0; placed <= required.size(); ++placed) {
    Json way = Json{{"required", Json::array()}, {"properties", Json::object()}};
    if (placed > 0) {
      way["required"].push_back("args");
      way["properties"]["args"] = Json{{"minItems", placed}};
    }
    if (placed < required.size()) {
      way["required"].push_back("kwargs");
      Json named = Json::array();
      for (std::size_t i = placed; i < required.size(); ++i) named.push_back(required[i]);
      way["properties"]["kwargs"] = Json{{"required", std::move(named)}};
    }
    ways.push_back(std::move(way));
  }
  schema["anyOf"] = std::move(ways);
  return schema;
}

// What the URL of callback_url gets.
Json callback_operation() {
  const auto header = [](const char* name, const char* what) {
    return Json{{"name", name},
                {"in", "header"},
                {"required", true},
                {"description", what},
                {"schema", Json{{"type", "string"}}}};
  };
  Json operation = Json{
      {"summary", "The task has ended"},
      {"parameters",
       Json::array({header("webhook-id", "the same for each attempt"),
                    header("webhook-timestamp", "Unix seconds"),
                    header("webhook-signature", "v1, and base64 of HMAC-SHA256 over id.timestamp.body")})},
      {"requestBody",
       Json{{"content", Json{{"application/json",
                              Json{{"schema", Json{{"$ref", "#/components/schemas/TaskState"}}}}}}}}},
      {"responses", Json{{"2XX", Json{{"description", "understood; else it is sent again"}}},
                         {"410", Json{{"description", "never again"}}}}}};
  return Json{{"ended", Json{{"{$request.body#/callback_url}", Json{{"post", std::move(operation)}}}}}};
}

Json send_operation(const TaskEntry& task) {
  const Json time = Json{{"type", Json::array({"string", "number"})}};
  const Json schema = arguments_schema(
      task, Json{{"countdown", Json{{"type", "number"}, {"minimum", 0}}},
                 {"eta", time},
                 {"expires", time},
                 {"priority", Json{{"type", "integer"}, {"minimum", 0}, {"maximum", 255}}},
                 {"unique_for", Json{{"type", Json::array({"string", "number"})}}},
                 {"dedupe_key", Json{{"type", "string"}, {"minLength", 1}, {"maxLength", 255}}},
                 {"on_conflict", Json{{"enum", Json::array({"refuse", "return"})}}},
                 {"callback_url", Json{{"type", "string"}, {"format", "uri"}, {"maxLength", 2000}}},
                 {"queue", Json{{"type", "string"}, {"minLength", 1}, {"maxLength", 255}}}});
  const Json headers =
      Json::array({Json{{"name", "Idempotency-Key"},
                        {"in", "header"},
                        {"schema", Json{{"type", "string"}, {"maxLength", 130}}}},
                   Json{{"name", "Prefer"},
                        {"in", "header"},
                        {"schema", Json{{"type", "string"}, {"examples", Json::array({"wait=10"})}}}}});
  Json out = Json{{"operationId", "send." + task.name},
                  {"summary", "Send " + task.name + " to queue " + task.queue},
                  {"parameters", headers},
                  {"requestBody", Json{{"content", Json{{"application/json", Json{{"schema", schema}}}}}}},
                  {"callbacks", callback_operation()},
                  {"responses", answers(false)}};
  out["responses"]["202"] =
      Json{{"description", "accepted"},
           {"headers", Json{{"Location", Json{{"schema", Json{{"type", "string"}}}}},
                            {"Retry-After", Json{{"schema", Json{{"type", "integer"}}}}}}}};
  return out;
}

Json description(const std::vector<Route>& routes, const std::vector<TaskEntry>& tasks) {
  Json paths = Json::object();
  for (const auto& route : routes) {
    if (route.path == "/api/v1/tasks/{name}") continue;  // named one by one below
    if (!route.path.starts_with("/api/")) continue;      // pages and probes
    std::string method = route.method;
    std::transform(method.begin(), method.end(), method.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    Json operation = Json{{"summary", route.summary},
                          {"operationId", method + route.path},
                          {"parameters", parameters_of(route.path)},
                          {"responses", answers(route.access == Access::anybody)}};
    if (route.method == "GET" && route.path == "/api/v1/tasks/{id}")
      operation["responses"]["200"] = Json{
          {"description", "the task's state"},
          {"content",
           Json{{"application/json", Json{{"schema", Json{{"$ref", "#/components/schemas/TaskState"}}}}}}}};
    if (route.access == Access::anybody) operation["security"] = Json::array();
    paths[route.path][method] = std::move(operation);
  }
  for (const auto& task : tasks) paths["/api/v1/tasks/" + task.name]["post"] = send_operation(task);
  const Json problem_schema = Json{{"type", "object"},
                                   {"required", Json::array({"type", "title", "status"})},
                                   {"properties", Json{{"type", Json{{"type", "string"}}},
                                                       {"title", Json{{"type", "string"}}},
                                                       {"status", Json{{"type", "integer"}}},
                                                       {"detail", Json{{"type", "string"}}},
                                                       {"errors", Json{{"type", "array"}}}}}};
  const Json state_schema =
      Json{{"type", "object"},
           {"required", Json::array({"id", "task", "queue", "state", "final", "links"})},
           {"properties", Json{{"id", Json{{"type", "string"}, {"format", "uuid"}}},
                               {"task", Json{{"type", "string"}}},
                               {"queue", Json{{"type", "string"}}},
                               {"created", Json{{"type", "string"}, {"format", "date-time"}}},
                               {"state", Json{{"type", "string"}}},
                               {"final", Json{{"type", "boolean"}}},
                               {"result", Json::object()},
                               {"error", Json::object()},
                               {"ended", Json{{"type", Json::array({"string", "null"})}}},
                               {"links", Json{{"type", "object"}}}}}};
  return Json{{"openapi", "3.1.0"},
              {"info", Json{{"title", "celeriac"}, {"version", std::string(version())}}},
              {"security", Json::array({Json{{"bearer", Json::array()}}, Json{{"key", Json::array()}}})},
              {"paths", paths},
              {"components",
               Json{{"schemas", Json{{"Problem", problem_schema}, {"TaskState", state_schema}}},
                    {"securitySchemes",
                     Json{{"bearer", Json{{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"}}},
                          {"key", Json{{"type", "apiKey"}, {"in", "header"}, {"name", "X-API-Key"}}}}}}}};
}

}  // namespace

void Front::add_document_routes() {
  router_.add(
      {"GET", "/api/v1/openapi.json", Access::anybody, "This description",
       [this](Request, Respond respond) { respond(json(200, description(router_.routes(), tasks_))); }});
  router_.add(
      {"GET", "/docs", Access::anybody, "This description, to read", [this](Request, Respond respond) {
         Response response;
         response.content_type = "text/html; charset=utf-8";
         response.body =
             "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>celeriac API</title>"
             "<h1>celeriac API</h1><p><a href=\"/api/v1/openapi.json\">OpenAPI 3.1</a></p><table>"
             "<tr><th>Method<th>Path<th>Meaning</tr>";
         for (const auto& route : router_.routes())
           response.body += "<tr><td>" + route.method + "<td><code>" + escaped(route.path) + "</code><td>" +
                            escaped(route.summary) + "</tr>";
         response.body += "</table><h2>Tasks</h2><ul>";
         for (const auto& task : tasks_)
           response.body += "<li><code>POST /api/v1/tasks/" + escaped(task.name) + "</code> to queue " +
                            escaped(task.queue) + "</li>";
         response.body += "</ul></html>\n";
         respond(std::move(response));
       }});
}

}  // namespace celeriac::http
