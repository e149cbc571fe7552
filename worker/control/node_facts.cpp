#include "worker/control/node_facts.hpp"

#include "config/settings_table.hpp"
#include "config/task_queues.hpp"
#include "config/version.hpp"
#include "protocol/repr.hpp"
#include "queues/amqp/url.hpp"
#include "worker/logging.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cctype>

namespace celeriac {
namespace {

constexpr std::string_view mask = "********";

bool is_hidden(std::string_view key) {
  static constexpr std::string_view words[] = {
      "API", "TOKEN", "KEY", "SECRET", "PASS", "DATABASE", "SIGNATURE", "BEAT_DBURI", "PROFANITIES_LIST"};
  std::string upper(key);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  return std::any_of(std::begin(words), std::end(words),
                     [&](std::string_view word) { return upper.find(word) != std::string::npos; });
}

// Several stores may be named, separated by commas.
std::string without_passwords(const std::string& urls) {
  std::string out;
  for (std::size_t at = 0; at <= urls.size();) {
    const std::size_t end = std::min(urls.find(',', at), urls.size());
    const std::string text = urls.substr(at, end - at);
    const auto url = parse_url(text);
    std::string shown = url ? url->display() : text.find('@') == std::string::npos ? text : std::string(mask);
    if (url && !url->password.empty()) {
      if (const auto blank = shown.find(":**@"); blank != std::string::npos)
        shown.replace(blank + 1, 2, mask);
    }
    out += (at > 0 ? "," : "") + shown;
    at = end + 1;
  }
  return out;
}

Json censored(std::string_view key, Json value) {
  if (value.is_object()) {
    for (auto& [name, inner] : value.items()) inner = censored(name, std::move(inner));
    return value;
  }
  if (is_hidden(key)) return mask;
  if (!value.is_string()) return value;
  auto text = value.get<std::string>();
  if (text.find("://") == std::string::npos) return value;
  redact(text);  // what stands in its query
  return without_passwords(text);
}

// What a Celery application says of itself whatever was set.
bool is_always_shown(std::string_view setting) {
  static constexpr std::string_view names[] = {"accept_content", "broker_url", "enable_utc", "result_backend",
                                               "timezone"};
  return std::find(std::begin(names), std::end(names), setting) != std::end(names);
}

void add_amqp_facts(const Settings& settings, Json& facts) {
  const auto servers = amqp::read_servers(settings);
  if (!servers || servers->empty()) return;
  const amqp::Server& first = servers->front();
  facts["hostname"] = first.endpoint.host;
  facts["userid"] = first.session.user;
  facts["virtual_host"] = first.session.vhost;
  facts["port"] = first.endpoint.port;
  facts["ssl"] = first.endpoint.tls;
  facts["transport"] = "amqp";
  facts["login_method"] = first.session.login_method;
  facts["heartbeat"] = static_cast<double>(first.session.heartbeat);
  if (servers->size() > 1)
    for (const auto& server : *servers) facts["alternates"].push_back(server.display);
}

}  // namespace

Json shown_settings(const Settings& settings, bool with_defaults) {
  const Settings defaults;
  Json out = Json::object();
  for (const SettingInfo& setting : settings_table()) {
    Json value = setting.get(settings);
    if (!with_defaults && !is_always_shown(setting.name) && value == setting.get(defaults)) continue;
    out[std::string(setting.name)] = censored(setting.name, std::move(value));
  }
  // Of a Python process; tools look for them.
  out["include"] = Json::array();
  out["deprecated_settings"] = nullptr;
  out["worker_hijack_root_logger"] = false;
  out["worker_log_color"] = false;
  if (!out.contains("broker_heartbeat")) out["broker_heartbeat"] = 0;
  return out;
}

Json broker_facts(const Settings& settings) {
  Json facts = Json::object();
  const auto url = parse_url(std::string_view(settings.broker_url).substr(0, settings.broker_url.find(';')));
  const auto or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  std::string host, user, path;
  if (url) host = url->host, user = url->user, path = url->path;
  facts["hostname"] = or_null(host);
  facts["userid"] = or_null(user);
  facts["virtual_host"] = path.size() > 1 ? path.substr(1) : "0";
  facts["port"] = url && url->port != 0 ? url->port : 6379;
  facts["insist"] = false;
  facts["ssl"] = url && url->scheme.substr(0, 6) == "rediss";
  facts["transport"] = "redis";
  facts["connect_timeout"] = settings.broker_connection_timeout;
  facts["transport_options"] = Json::object();
  facts["login_method"] = nullptr;
  facts["uri_prefix"] = nullptr;
  facts["heartbeat"] = 0;
  facts["failover_strategy"] = "round-robin";
  facts["alternates"] = Json::array();
  facts["credential_provider"] = nullptr;
  if (url && url->scheme.substr(0, 4) == "amqp") add_amqp_facts(settings, facts);
  return facts;
}

Json pool_facts(const ControlPanel& panel) {
  const auto& most = panel.settings.worker_max_tasks_per_child;
  Json facts = Json::object();
  facts["implementation"] = "celeriac:" + panel.pool.name();
  facts["max-concurrency"] = panel.pool.slots();
  facts["processes"] = panel.pool.pids();
  facts["max-tasks-per-child"] = most && *most > 0 ? Json(*most) : Json("N/A");
  facts["put-guarded-by-semaphore"] = false;
  const auto limit = [](const std::optional<double>& seconds) { return seconds ? Json(*seconds) : Json(0); };
  facts["timeouts"] = {limit(panel.settings.task_soft_time_limit), limit(panel.settings.task_time_limit)};
  facts["writes"] = {{"total", panel.consumer.processed()},
                     {"avg", "N/A"},
                     {"all", "N/A"},
                     {"raw", std::to_string(panel.consumer.processed())},
                     {"strategy", "fair"},
                     {"inqueues", {{"total", panel.pool.slots()}, {"active", panel.pool.busy()}}}};
  return facts;
}

Json resource_usage() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return "N/A";
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return {{"utime", seconds(usage.ru_utime)}, {"stime", seconds(usage.ru_stime)}, {"maxrss", usage.ru_maxrss},
          {"ixrss", usage.ru_ixrss},          {"idrss", usage.ru_idrss},          {"isrss", usage.ru_isrss},
          {"minflt", usage.ru_minflt},        {"majflt", usage.ru_majflt},        {"nswap", usage.ru_nswap},
          {"inblock", usage.ru_inblock},      {"oublock", usage.ru_oublock},      {"msgsnd", usage.ru_msgsnd},
          {"msgrcv", usage.ru_msgrcv},        {"nsignals", usage.ru_nsignals},    {"nvcsw", usage.ru_nvcsw},
          {"nivcsw", usage.ru_nivcsw}};
}

// kombu's description of a durable queue.
Json queue_facts(const std::string& queue, const Settings& settings) {
  const QueueSettings given = queue_settings(settings, queue);
  Json arguments = parse_json(given.queue_arguments).value_or(nullptr);
  if (arguments.empty()) arguments = nullptr;
  Json exchange = {{"name", given.exchange},   {"type", given.exchange_type},
                   {"arguments", nullptr},     {"durable", true},
                   {"passive", false},         {"auto_delete", false},
                   {"delivery_mode", nullptr}, {"no_declare", false}};
  return {{"name", queue},
          {"exchange", std::move(exchange)},
          {"routing_key", given.routing_key},
          {"queue_arguments", std::move(arguments)},
          {"binding_arguments", nullptr},
          {"consumer_arguments", nullptr},
          {"durable", true},
          {"exclusive", false},
          {"auto_delete", false},
          {"no_ack", false},
          {"alias", nullptr},
          {"bindings", Json::array()},
          {"no_declare", nullptr},
          {"expires", nullptr},
          {"message_ttl", nullptr},
          {"max_length", nullptr},
          {"max_length_bytes", nullptr},
          {"max_priority", nullptr}};
}

std::string report_text(const ControlPanel& panel) {
  utsname system{};
  ::uname(&system);
  std::string text = fmt::format(
      "\nsoftware -> celeriac:{}\nplatform -> system:{} arch:{}\n            kernel version:{} imp:C++\n"
      "pool     -> {} x{}\nsettings -> transport:redis results:{}\n\n",
      version(), system.sysname, system.machine, system.release, panel.pool.name(), panel.pool.slots(),
      panel.results_url.empty() ? "disabled" : panel.results_url);
  const Json settings = shown_settings(panel.settings, false);
  for (const auto& [name, value] : settings.items()) {
    text += name + ": " + python_repr(value) + "\n";
  }
  return text;
}

}  // namespace celeriac
