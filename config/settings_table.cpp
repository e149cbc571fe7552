#include "config/settings_table.hpp"

#include "config/nearest.hpp"
#include "config/setting_values.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <unordered_map>

namespace celeriac {
namespace {

using setting_values::Warnings;
using Result = SettingResult<void>;

constexpr std::string_view general = "General and broker", tasks = "Tasks", worker = "Worker",
                           results = "Results", security = "Signed messages", beat = "Beat",
                           ledger = "The ledger of runs", http = "The HTTP front end",
                           invoices = "The invoice application", models = "Language models", mail = "Mail";

template <auto Member>
Result set_member(Settings& settings, const Json& value, Warnings& warnings) {
  if (value.is_null()) {
    const Settings defaults;  // a temporary here is an internal error of g++ 12
    settings.*Member = defaults.*Member;
    return {};
  }
  return setting_values::read(value, settings.*Member, warnings);
}
template <auto Member>
Json get_member(const Settings& settings) {
  return setting_values::write(settings.*Member);
}

template <auto Member>
SettingInfo row(std::string_view section, std::string_view name, std::string_view meaning,
                std::string_view option = {}, std::string_view choices = {}) {
  using T = std::remove_reference_t<decltype(std::declval<Settings&>().*Member)>;
  constexpr const T* tag = nullptr;
  return {name,
          setting_values::kind_of(tag),
          section,
          option,
          choices,
          meaning,
          setting_values::is_optional(tag),
          set_member<Member>,
          get_member<Member>};
}

SettingInfo with(SettingInfo info, decltype(SettingInfo::set) set) {
  info.set = set;
  return info;
}

SettingInfo number(SettingInfo info) {  // not seconds
  info.kind = SettingKind::number;
  return info;
}

// A URL, or a list of URLs that is joined as Celery spells lists in one text.
template <auto Member, char Separator>
Result set_urls(Settings& settings, const Json& value, Warnings& warnings) {
  if (!value.is_array()) return set_member<Member>(settings, value, warnings);
  std::vector<std::string> urls;
  if (auto done = setting_values::read(value, urls, warnings); !done) return done;
  std::string joined;
  for (const auto& url : urls) joined += (joined.empty() ? "" : std::string(1, Separator)) + url;
  settings.*Member = joined;
  return {};
}

// Celery's routes: {"task.*": {"queue": "q"}}, {"task.*": "q"} or a list of pairs.
Result set_routes(Settings& settings, const Json& value, Warnings& warnings) {
  if (value.is_null()) {
    settings.task_routes.clear();
    return {};
  }
  std::map<std::string, std::string> routes;
  auto add = [&](const std::string& pattern, const Json& route) -> Result {
    const Json* queue = &route;
    if (route.is_object()) {
      auto found = route.find("queue");
      if (found == route.end()) return setting_values::expects("a table with 'queue'", route);
      for (const auto& [key, unused] : route.items())
        if (key != "queue")
          warnings.push_back("task_routes: '" + key + "' of " + pattern + " has no effect here");
      queue = &*found;
    }
    if (!queue->is_string()) return setting_values::expects("a queue's name", *queue);
    routes[pattern] = queue->get<std::string>();
    return {};
  };
  if (value.is_object()) {
    for (const auto& [pattern, route] : value.items())
      if (auto done = add(pattern, route); !done) {
        done.error().key = pattern;
        return done;
      }
  } else if (value.is_array()) {
    for (const auto& pair : value) {
      if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string())
        return setting_values::expects("pairs of a task's name and its route", pair);
      if (auto done = add(pair[0].get<std::string>(), pair[1]); !done) return done;
    }
  } else {
    return setting_values::expects("a table from task names to queues", value);
  }
  settings.task_routes = std::move(routes);
  return {};
}

// "0.00015/0.0006": two numbers.
bool is_price(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto prompt = std::from_chars(text.data(), end, number);
  if (prompt.ec != std::errc() || number < 0 || prompt.ptr == end || *prompt.ptr != '/') return false;
  const auto completion = std::from_chars(prompt.ptr + 1, end, number);
  return completion.ec == std::errc() && number >= 0 && completion.ptr == end;
}

Result set_prices(Settings& settings, const Json& value, Warnings& warnings) {
  auto done = set_member<&Settings::llm_prices>(settings, value, warnings);
  if (!done) return done;
  for (const auto& [model, price] : settings.llm_prices)
    if (!is_price(price)) return setting_values::expects("two numbers, as in 0.00015/0.0006", price);
  return done;
}

Result set_prefetch(Settings& settings, const Json& value, Warnings& warnings) {
  settings.worker_prefetch_multiplier_set = !value.is_null();
  return set_member<&Settings::worker_prefetch_multiplier>(settings, value, warnings);
}
Result set_result_expires(Settings& settings, const Json& value, Warnings& warnings) {
  return set_member<&Settings::result_expires>(settings, value.is_null() ? Json(0) : value, warnings);
}
Result set_max_retries(Settings& settings, const Json& value, Warnings& warnings) {
  return set_member<&Settings::broker_connection_max_retries>(settings, value.is_null() ? Json(0) : value,
                                                              warnings);
}
Result set_priority(Settings& settings, const Json& value, Warnings& warnings) {
  auto done = set_member<&Settings::task_default_priority>(settings, value, warnings);
  if (done && settings.task_default_priority.value_or(0) > 255)
    return setting_values::expects("a priority from 0 to 255", value);
  return done;
}

Result set_max_priority(Settings& settings, const Json& value, Warnings& warnings) {
  auto done = set_member<&Settings::task_queue_max_priority>(settings, value, warnings);
  if (done && settings.task_queue_max_priority.value_or(0) > 255)
    return setting_values::expects("a priority from 0 to 255", value);
  return done;
}

// A queue that goes with its connection cannot be durable.
template <auto Member, auto Durable, auto Exclusive>
Result set_queue_kind(Settings& settings, const Json& value, Warnings& warnings) {
  auto done = set_member<Member>(settings, value, warnings);
  if (done && settings.*Durable && (settings.*Exclusive).value_or(false))
    return setting_values::expects("false, for a queue cannot be both durable and exclusive", value);
  return done;
}

std::vector<SettingInfo> build_table() {
  using S = Settings;
  constexpr auto control_durable = &S::control_queue_durable, event_durable = &S::event_queue_durable;
  constexpr auto control_exclusive = &S::control_queue_exclusive, event_exclusive = &S::event_queue_exclusive;
  return {
      with(row<&S::broker_url>(general, "broker_url", "where messages come from; several for failover: a;b"),
           set_urls<&S::broker_url, ';'>),
      row<&S::accept_content>(general, "accept_content",
                              "serializers a message may use: names or content types"),
      row<&S::result_accept_content>(general, "result_accept_content",
                                     "serializers a stored result may use; empty: accept_content"),
      row<&S::enable_utc>(general, "enable_utc", "times in messages are UTC"),
      row<&S::timezone>(general, "timezone", "zone of times shown to people"),
      row<&S::broker_connection_timeout>(general, "broker_connection_timeout", "for one attempt to connect"),
      row<&S::broker_connection_retry>(general, "broker_connection_retry",
                                       "reconnect when the connection is lost"),
      row<&S::broker_connection_retry_on_startup>(general, "broker_connection_retry_on_startup",
                                                  "keep trying when the first connection fails"),
      with(row<&S::broker_connection_max_retries>(general, "broker_connection_max_retries",
                                                  "attempts before the worker gives up; 0 or null: for ever"),
           set_max_retries),
      row<&S::broker_heartbeat>(general, "broker_heartbeat",
                                "RabbitMQ: a silent connection is given up after twice this long; 0: never"),
      row<&S::broker_login_method>(general, "broker_login_method", "RabbitMQ: how to log in", {},
                                   "PLAIN AMQPLAIN EXTERNAL"),
      row<&S::broker_native_delayed_delivery_queue_type>(
          general, "broker_native_delayed_delivery_queue_type",
          "RabbitMQ: kind of the queues that hold delayed messages for quorum queues", {}, "quorum classic"),
      row<&S::control_queue_ttl>(general, "control_queue_ttl",
                                 "RabbitMQ: commands and replies are dropped after this long"),
      row<&S::control_queue_expires>(general, "control_queue_expires",
                                     "RabbitMQ: control queues are deleted when unused for this long"),
      with(row<control_durable>(general, "control_queue_durable", "RabbitMQ: control queues are durable"),
           set_queue_kind<control_durable, control_durable, control_exclusive>),
      with(row<control_exclusive>(general, "control_queue_exclusive",
                                  "RabbitMQ: control queues go with their connection; unset: unless durable"),
           set_queue_kind<control_exclusive, control_durable, control_exclusive>),
      row<&S::event_queue_ttl>(general, "event_queue_ttl", "RabbitMQ: events are dropped after this long"),
      row<&S::event_queue_expires>(general, "event_queue_expires",
                                   "RabbitMQ: event queues are deleted when unused for this long"),
      with(row<event_durable>(general, "event_queue_durable", "RabbitMQ: event queues are durable"),
           set_queue_kind<event_durable, event_durable, event_exclusive>),
      with(row<event_exclusive>(general, "event_queue_exclusive",
                                "RabbitMQ: event queues go with their connection; unset: unless durable"),
           set_queue_kind<event_exclusive, event_durable, event_exclusive>),
      row<&S::event_queue_prefix>(general, "event_queue_prefix", "how the names of event queues begin"),
      row<&S::broker_transport_options>(general, "broker_transport_options", "see the table below"),
      row<&S::broker_use_ssl>(general, "broker_use_ssl", "TLS to the broker; see the table below"),

      row<&S::task_acks_late>(tasks, "task_acks_late", "acknowledge after the task has run, not before"),
      row<&S::task_acks_on_failure_or_timeout>(tasks, "task_acks_on_failure_or_timeout",
                                               "with acks_late: acknowledge failed tasks too"),
      row<&S::task_acks_on_failure>(tasks, "task_acks_on_failure",
                                    "the same for tasks that raise; unset: as above"),
      row<&S::task_acks_on_timeout>(tasks, "task_acks_on_timeout",
                                    "the same for tasks past their hard time limit; unset: as above"),
      row<&S::task_reject_on_worker_lost>(tasks, "task_reject_on_worker_lost",
                                          "with acks_late: requeue when the process running the task dies"),
      row<&S::task_default_queue>(tasks, "task_default_queue", "queue of tasks that no route names"),
      row<&S::task_default_rate_limit>(tasks, "task_default_rate_limit",
                                       "for tasks without their own, e.g. 100/m"),
      with(row<&S::task_default_priority>(tasks, "task_default_priority",
                                          "priority of messages this worker sends"),
           set_priority),
      row<&S::task_default_queue_type>(tasks, "task_default_queue_type",
                                       "RabbitMQ: kind of the queues this worker declares", {},
                                       "classic quorum"),
      with(row<&S::task_queue_max_priority>(tasks, "task_queue_max_priority",
                                            "RabbitMQ: x-max-priority of the queues this worker declares"),
           set_max_priority),
      row<&S::task_queues>(tasks, "task_queues",
                           "the queues a worker reads when --queues names none, and how RabbitMQ has them "
                           "declared: a table of entries; see the table below"),
      row<&S::task_ignore_result>(tasks, "task_ignore_result", "store no results"),
      row<&S::task_store_errors_even_if_ignored>(tasks, "task_store_errors_even_if_ignored",
                                                 "store failures even where results are ignored"),
      row<&S::task_track_started>(tasks, "task_track_started", "store STARTED when a task begins"),
      row<&S::task_inherit_parent_priority>(tasks, "task_inherit_parent_priority",
                                            "what a task sends has the task's own priority"),
      row<&S::task_time_limit>(tasks, "task_time_limit",
                               "the process running a task is killed after this long", "--time-limit"),
      row<&S::task_soft_time_limit>(tasks, "task_soft_time_limit",
                                    "the task sees SoftTimeLimitExceeded after this long",
                                    "--soft-time-limit"),
      row<&S::task_serializer>(tasks, "task_serializer", "of messages this worker sends", {},
                               "json yaml msgpack auth"),
      row<&S::task_compression>(tasks, "task_compression",
                                "of messages this worker sends: gzip, bzip2, zstd, ..."),
      with(row<&S::task_routes>(tasks, "task_routes", "task name or glob to queue"), set_routes),
      row<&S::dead_letter_queue>(tasks, "dead_letter_queue",
                                 "queue that is told of every message that failed for good"),

      row<&S::worker_concurrency>(worker, "worker_concurrency", "tasks at a time; 0: number of CPUs",
                                  "-c,--concurrency"),
      row<&S::worker_pool>(worker, "worker_pool",
                           "what runs tasks: child processes, threads, the worker itself, or one thread for "
                           "coroutines",
                           "-P,--pool", "prefork threads solo async"),
      with(
          row<&S::worker_prefetch_multiplier>(worker, "worker_prefetch_multiplier",
                                              "messages held per slot; 0: no limit", "--prefetch-multiplier"),
          set_prefetch),
      row<&S::worker_detect_quorum_queues>(
          worker, "worker_detect_quorum_queues",
          "RabbitMQ: with a quorum queue each consumer has its own prefetch and "
          "delays are kept by the server"),
      row<&S::worker_cancel_long_running_tasks_on_connection_loss>(
          worker, "worker_cancel_long_running_tasks_on_connection_loss",
          "RabbitMQ: end running acks_late tasks when the connection is lost, instead of recognising their "
          "messages"),
      row<&S::worker_disable_prefetch>(worker, "worker_disable_prefetch",
                                       "take a message only when a slot is free", "--disable-prefetch"),
      row<&S::worker_disable_rate_limits>(worker, "worker_disable_rate_limits", "ignore every rate limit"),
      row<&S::worker_deduplicate_successful_tasks>(
          worker, "worker_deduplicate_successful_tasks",
          "with acks_late: a message delivered again does not run when its result is SUCCESS"),
      row<&S::worker_eta_task_limit>(worker, "worker_eta_task_limit",
                                     "tasks waiting for their ETA at a time"),
      row<&S::worker_max_tasks_per_child>(worker, "worker_max_tasks_per_child",
                                          "a child process is replaced after so many tasks",
                                          "--max-tasks-per-child"),
      row<&S::worker_max_memory_per_child>(worker, "worker_max_memory_per_child",
                                           "KiB; a child above it is replaced after its task",
                                           "--max-memory-per-child"),
      row<&S::worker_task_memory_limit>(worker, "worker_task_memory_limit",
                                        "KiB; a task that grows above it is ended at once (not in Celery)",
                                        "--task-memory-limit"),
      row<&S::worker_proc_alive_timeout>(worker, "worker_proc_alive_timeout", "for a child process to be up"),
      row<&S::worker_soft_shutdown_timeout>(worker, "worker_soft_shutdown_timeout",
                                            "running tasks get this long on a cold shutdown"),
      row<&S::worker_enable_soft_shutdown_on_idle>(worker, "worker_enable_soft_shutdown_on_idle",
                                                   "wait even when nothing runs"),
      row<&S::worker_send_task_events>(worker, "worker_send_task_events", "send task events from the start",
                                       "-E,--task-events,--events"),
      row<&S::worker_enable_remote_control>(worker, "worker_enable_remote_control",
                                            "answer inspect and control"),
      row<&S::worker_redirect_stdouts>(worker, "worker_redirect_stdouts",
                                       "tasks' stdout and stderr go to the log"),
      row<&S::worker_redirect_stdouts_level>(worker, "worker_redirect_stdouts_level", "at this level", {},
                                             "DEBUG INFO WARNING ERROR CRITICAL"),
      row<&S::worker_log_format>(worker, "worker_log_format",
                                 "of the worker's log lines, in Python's % form"),
      row<&S::worker_task_log_format>(worker, "worker_task_log_format", "of tasks' log lines"),
      row<&S::worker_log_json>(worker, "worker_log_json", "one JSON object a log line (not in Celery)",
                               "--log-json"),
      row<&S::worker_state_db>(worker, "worker_state_db", "file that keeps revoked ids over a restart",
                               "-S,--statedb"),
      row<&S::worker_metrics_host>(worker, "worker_metrics_host",
                                   "address of the metrics port (not in Celery)", "--metrics-host"),
      row<&S::worker_metrics_port>(
          worker, "worker_metrics_port",
          "serve /metrics, /livez, /readyz and /startupz there; 0: any free port (not in Celery)",
          "--metrics-port"),

      with(row<&S::result_backend>(results, "result_backend",
                                   "where results go; several: a,b; empty: nowhere"),
           set_urls<&S::result_backend, ','>),
      with(row<&S::result_expires>(results, "result_expires",
                                   "results are kept this long; 0 or null: for ever"),
           set_result_expires),
      row<&S::result_extended>(results, "result_extended", "store name, arguments, worker and queue too"),
      row<&S::result_serializer>(results, "result_serializer", "of stored results", {}, "json"),
      row<&S::result_backend_transport_options>(results, "result_backend_transport_options",
                                                "see the table below"),
      row<&S::redis_backend_use_ssl>(results, "redis_backend_use_ssl",
                                     "TLS to a Redis store; see the table below"),
      row<&S::database_table_names>(results, "database_table_names", "keys task and group"),
      row<&S::database_table_schemas>(results, "database_table_schemas", "keys task and group"),
      row<&S::database_create_tables_at_setup>(results, "database_create_tables_at_setup",
                                               "create Celery's tables when they are missing"),

      row<&S::security_key>(security, "security_key", "PEM file of the private RSA key that signs"),
      row<&S::security_key_password>(security, "security_key_password", "of the private key"),
      row<&S::security_certificate>(security, "security_certificate", "PEM file of the key's certificate"),
      row<&S::security_cert_store>(security, "security_cert_store",
                                   "folder or file pattern of the certificates whose messages are accepted"),
      row<&S::security_digest>(security, "security_digest", "hash of the signatures"),
      row<&S::security_layout>(security, "security_layout",
                               "which Celery can read what is signed here; both are read", {}, "5.6 5.2"),

      row<&S::beat_schedule>(beat, "beat_schedule",
                             "what is sent at which times: a table of entries; see the table below"),
      row<&S::beat_schedule_filename>(beat, "beat_schedule_filename",
                                      "the schedule's name in Redis, or its file for other brokers",
                                      "-s,--schedule,--schedule-filename"),
      row<&S::beat_max_loop_interval>(beat, "beat_max_loop_interval",
                                      "at most this long between two looks at the schedule; 0: 300"),
      row<&S::beat_cron_starting_deadline>(beat, "beat_cron_starting_deadline",
                                           "a missed crontab is not made up for when it is older"),

      row<&S::ledger_url>(ledger, "ledger_url",
                          "PostgreSQL that keeps every run, for history and search (not in Celery)"),
      row<&S::ledger_expires>(ledger, "ledger_expires", "older runs are deleted; 0: never (not in Celery)"),

      row<&S::http_host>(http, "http_host", "address to listen on (not in Celery)"),
      row<&S::http_port>(http, "http_port", "port to listen on (not in Celery)"),
      row<&S::http_jwt_algorithm>(http, "http_jwt_algorithm",
                                  "of bearer tokens, the only one accepted (not in Celery)", {},
                                  "HS256 RS256"),
      row<&S::http_jwt_key>(http, "http_jwt_key",
                            "HS256: the secret; RS256: file of the public key (not in Celery)"),
      row<&S::http_allowed_hosts>(http, "http_allowed_hosts",
                                  "names in the Host header that are answered; * is any (not in Celery)"),
      row<&S::http_cors_origins>(http, "http_cors_origins",
                                 "origins whose pages may call the API (not in Celery)"),
      row<&S::http_max_upload>(http, "http_max_upload", "bytes of an uploaded document (not in Celery)"),
      row<&S::http_rate_limit>(http, "http_rate_limit",
                               "requests an hour for each caller; 0: no limit (not in Celery)"),
      row<&S::http_upload_rate_limit>(http, "http_upload_rate_limit",
                                      "uploads an hour for each caller; 0: no limit (not in Celery)"),
      row<&S::http_callback_hosts>(
          http, "http_callback_hosts",
          "hosts that may be called back when a task has ended; * is any (not in Celery)"),
      row<&S::http_callback_key>(http, "http_callback_key",
                                 "signs callbacks, at least 32 bytes (not in Celery)"),

      row<&S::database_url>(invoices, "database_url", "PostgreSQL that holds the invoices"),
      row<&S::storage_root>(
          invoices, "storage_root",
          "folder or bucket (s3+https://key:secret@host/bucket) behind storage:// addresses"),
      row<&S::export_endpoints>(
          invoices, "export_endpoints",
          "name to https://user:password@host/path or https://:token@host/path that exports go to"),
      row<&S::virus_scan_url>(invoices, "virus_scan_url",
                              "clamd that sees each document first: clamd://host:3310, unix:/path"),
      row<&S::websocket_events_url>(invoices, "websocket_events_url",
                                    "redis:// server whose channel websocket_events gets progress"),
      row<&S::validation_rules>(invoices, "validation_rules", "TOML file that changes validation rules"),
      row<&S::document_hosts>(invoices, "document_hosts",
                              "hosts that documents are fetched from although they are not public; * is any"),
      row<&S::quickbooks_verifier_token>(invoices, "quickbooks_verifier_token",
                                         "with it only webhooks of QuickBooks that it has signed are taken; "
                                         "better given in the environment"),
      row<&S::circuit_breaker_url>(
          invoices, "circuit_breaker_url",
          "Redis that tells all workers of mail and model servers that fail; empty: each process finds out"),

      row<&S::llm_provider>(models, "llm_provider", "who serves the models", {},
                            "openai openrouter anthropic huggingface local"),
      row<&S::llm_base_url>(models, "llm_base_url", "instead of the provider's own; needed for local"),
      row<&S::llm_api_key>(models, "llm_api_key", "better given in the environment"),
      row<&S::llm_model>(models, "llm_model", "the model asked; empty: none"),
      row<&S::llm_model_simple>(models, "llm_model_simple", "for simple work, instead of llm_model"),
      row<&S::llm_model_complex>(models, "llm_model_complex", "for hard work, instead of llm_model"),
      row<&S::llm_fallback_models>(models, "llm_fallback_models",
                                   "tried in order when a model does not answer"),
      with(row<&S::llm_prices>(models, "llm_prices",
                               "model to \"prompt/completion\", USD for 1000 tokens; * for all others"),
           set_prices),
      row<&S::llm_max_tokens>(models, "llm_max_tokens", "of an answer"),
      number(row<&S::llm_temperature>(models, "llm_temperature", "from 0 to 2")),
      row<&S::llm_stream>(models, "llm_stream", "take answers as a stream"),
      row<&S::llm_timeout>(models, "llm_timeout", "for one call"),
      number(row<&S::llm_cost_per_invoice>(models, "llm_cost_per_invoice",
                                           "USD; no call once it is spent; 0: no cap")),
      number(row<&S::llm_daily_cost>(models, "llm_daily_cost",
                                     "USD; the first cap of a day in llm_budgets; 0: none")),
      number(row<&S::llm_monthly_cost>(models, "llm_monthly_cost",
                                       "USD; the first cap of a month in llm_budgets; 0: none")),
      row<&S::llm_cache_expires>(models, "llm_cache_expires", "answers are kept this long; 0: not"),

      row<&S::email_accounts>(mail, "email_accounts",
                              "name to imaps://user:password@host/folder or gmail://address?..."),
      row<&S::email_trusted_senders>(mail, "email_trusted_senders", "addresses, domains and *.domains"),
      row<&S::email_quota_url>(mail, "email_quota_url", "Redis that counts Gmail's quota for all workers"),
      row<&S::smtp_url>(
          mail, "smtp_url",
          "server that reports are mailed over: smtps://user:password@host, or smtp:// with STARTTLS; "
          "empty: none is mailed"),
      row<&S::smtp_mail_from>(mail, "smtp_mail_from", "address that reports come from"),
      row<&S::report_recipients>(mail, "report_recipients",
                                 "group to addresses with commas between them; reports go to nobody else"),
  };
}

bool is_choice(std::string_view choices, std::string_view word) {
  for (std::size_t at = 0; at < choices.size();) {
    auto end = std::min(choices.find(' ', at), choices.size());
    if (choices.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace

std::string SettingFault::text() const {
  std::string out = key + ": ";
  if (!unknown) return out + what;
  out += "no such setting";
  if (!nearest.empty()) out += "; did you mean " + nearest + "?";
  return out;
}

std::string SettingInfo::environment() const {
  std::string out = "CELERY_";
  for (char c : name) out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return out;
}

const std::vector<SettingInfo>& settings_table() {
  static const std::vector<SettingInfo> table = build_table();
  return table;
}

const SettingInfo* find_setting(std::string_view name) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const SettingInfo*> out;
    for (const auto& info : settings_table()) out[info.name] = &info;
    return out;
  }();
  auto found = index.find(name);
  return found == index.end() ? nullptr : found->second;
}

std::vector<MemberInfo> setting_members(std::string_view setting) {
  if (setting == "broker_transport_options") return setting_values::redis_members();
  if (setting == "broker_use_ssl") return setting_values::tls_members();
  if (setting == "beat_schedule") return setting_values::beat_entry_members();
  if (setting == "task_queues") return setting_values::queue_members();
  return {};
}

SettingResult<void> assign_setting(Settings& settings, std::string_view name, const Json& value,
                                   std::vector<std::string>& warnings) {
  const SettingInfo* info = find_setting(name);
  SettingFault fault;
  fault.key = name;
  if (info == nullptr) {
    if (auto why = why_unsupported(name); !why.empty()) {
      warnings.push_back("setting '" + std::string(name) + "' has no effect: " + std::string(why));
      return {};
    }
    std::vector<std::string_view> names;
    for (const auto& known : settings_table()) names.push_back(known.name);
    for (const auto& known : unsupported_settings()) names.push_back(known.first);
    fault.nearest = nearest_word(name, names);
    fault.unknown = true;
    return tl::unexpected(std::move(fault));
  }
  if (!info->choices.empty() && value.is_string() &&
      !is_choice(info->choices, value.get_ref<const std::string&>())) {
    std::string list(info->choices);
    for (std::size_t at = 0; (at = list.find(' ', at)) != std::string::npos; at += 2)
      list.replace(at, 1, ", ");
    fault.what = setting_values::expects((list.find(',') == std::string::npos ? "" : "one of ") + list, value)
                     .value()
                     .what;
    return tl::unexpected(std::move(fault));
  }
  auto before = warnings.size();
  auto done = info->set(settings, value, warnings);
  for (auto i = before; i < warnings.size(); ++i)
    if (warnings[i].find(name) == std::string::npos) warnings[i] = std::string(name) + ": " + warnings[i];
  if (!done) {
    fault = std::move(done.error());
    fault.key = fault.key.empty() ? std::string(name) : std::string(name) + "." + fault.key;
    return tl::unexpected(std::move(fault));
  }
  return {};
}

Expected<AppliedJson> apply_json(Settings& settings, const Json& object) {
  if (!object.is_object()) return unexpected("settings: expected a JSON object");
  AppliedJson applied;
  for (const auto& [name, value] : object.items()) {
    auto done = assign_setting(settings, name, value, applied.warnings);
    if (done) continue;
    if (!done.error().unknown || done.error().key != name)
      return unexpected("setting " + done.error().text());
    applied.unknown.push_back(name);
  }
  return applied;
}

}  // namespace celeriac
